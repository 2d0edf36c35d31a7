"""How many bytes of bodies a process holds at once: bounded for whoever sends them, and in all.

Small bodies have a room of their own, so that nobody's large ones turn them away; what finds no place there, or is
large, takes its tenant's.
"""

from typing import Final

from api.errors import ApiError
from domain.errors import Code

SMALL_BODY_BYTES: Final = 64_000
MAX_CLIENT_SMALL_BYTES: Final = 2_000_000
"""What one client's small bodies fill of their room, so that they are in nobody else's way."""
MAX_SMALL_BYTES: Final = 30 * MAX_CLIENT_SMALL_BYTES

MAX_TENANT_BYTES: Final = 40_000_000
MAX_BULK_BYTES: Final = MAX_TENANT_BYTES // 2
"""What a tenant's bulks fill of it at most, so that its single commands are not turned away."""
MAX_BYTES: Final = 3 * MAX_TENANT_BYTES


class _Room:
    """Bytes held by several, together at most so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[tuple[str, ...], int] = {}
        self._all = 0

    def take(self, whose: tuple[str, ...], size: int, *, most: int) -> bool:
        """Hold `size` bytes more, of `most` that one may hold; False where there is no room for them."""
        held = self._held.get(whose, 0) + size
        if held > most or self._all + size > self._most:
            return False
        self._held[whose] = held
        self._all += size
        return True

    def give_back(self, whose: tuple[str, ...], size: int) -> None:
        self._held[whose] -= size
        self._all -= size
        if not self._held[whose]:
            del self._held[whose]


class Bodies:
    """The bodies that were received, and whose requests are not yet answered."""

    def __init__(self) -> None:
        self.small = _Room(MAX_SMALL_BYTES)
        self.large = _Room(MAX_BYTES)


class HeldBody:
    """What is held of one body, small until it is known to be large."""

    __slots__ = ("_bodies", "_client", "_is_large", "_most", "_size", "_tenant")

    def __init__(self, bodies: Bodies, *, tenant: str, client: str, bulk: bool) -> None:
        self._bodies = bodies
        self._tenant = (tenant,)
        self._client = (tenant, client)
        self._most = MAX_BULK_BYTES if bulk else MAX_TENANT_BYTES
        self._size = 0
        self._is_large = False

    def grow(self, size: int) -> bool:
        """Hold `size` bytes more; False where there is no room for them."""
        if not size:
            return True
        whole = self._size + size
        if (
            not self._is_large
            and whole <= SMALL_BODY_BYTES
            and self._bodies.small.take(self._client, size, most=MAX_CLIENT_SMALL_BYTES)
        ):
            self._size = whole
            return True
        added = size if self._is_large else whole
        if not self._bodies.large.take(self._tenant, added, most=self._most):
            return False
        if not self._is_large:
            self.let_go()
        self._size, self._is_large = whole, True
        return True

    def let_go(self) -> None:
        """Hold nothing any more."""
        if self._size:
            if self._is_large:
                self._bodies.large.give_back(self._tenant, self._size)
            else:
                self._bodies.small.give_back(self._client, self._size)
        self._size = 0


def too_many() -> ApiError:
    """The refusal (`unavailable`) where there is no room."""
    return ApiError(
        Code.UNAVAILABLE, "The service holds as many large requests as it can; send it again soon."
    )
