"""How many bytes of bodies a process holds at once: bounded for each tenant, and in all."""

from typing import Final

from api.errors import ApiError
from domain.errors import Code

MAX_TENANT_BYTES: Final = 40_000_000
MAX_BULK_BYTES: Final = MAX_TENANT_BYTES // 2
"""What a tenant's bulks fill of it at most, so that its single commands are not turned away."""
MAX_BYTES: Final = 3 * MAX_TENANT_BYTES


class Bodies:
    """The bodies that were received, and whose requests are not yet answered."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._all = 0

    def has_room(self, tenant: str, size: int, *, bulk: bool) -> bool:
        """Whether a tenant may send `size` bytes more."""
        most = MAX_BULK_BYTES if bulk else MAX_TENANT_BYTES
        return self._held.get(tenant, 0) + size <= most and self._all + size <= MAX_BYTES

    def hold(self, tenant: str, size: int) -> None:
        self._held[tenant] = self._held.get(tenant, 0) + size
        self._all += size

    def let_go(self, tenant: str, size: int) -> None:
        """The request is answered."""
        remaining = self._held[tenant] - size
        if remaining:
            self._held[tenant] = remaining
        else:
            del self._held[tenant]
        self._all -= size


def too_many() -> ApiError:
    """The refusal (`unavailable`) where there is no room."""
    return ApiError(
        Code.UNAVAILABLE, "The service holds as many large requests as it can; send it again soon."
    )
