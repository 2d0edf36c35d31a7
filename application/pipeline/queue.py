"""Commands that wait for the writer: a queue for each tenant, taken in turns, so that none starves another."""

from collections import deque
from typing import Final

from application.pipeline.pending import Pending

MAX_TENANT_COMMANDS: Final = 4_000
MAX_QUEUE_TENANTS: Final = 4
"""How many tenants' full queues fill the whole: it is full for one long before it is full for all."""
_BULK_SHARE: Final = 2
"""Many at once fill but this part of their tenant's queue, so that others of the tenant are not turned away."""


class CommandQueue:
    """First come, first served within a tenant; between tenants one command of each in turn.

    What commits together counts as all that it is: in the room that it takes, and in the turns that its tenant has had.
    """

    def __init__(self, max_tenant_commands: int = MAX_TENANT_COMMANDS) -> None:
        self._max_tenant = max_tenant_commands
        self._max = max_tenant_commands * MAX_QUEUE_TENANTS
        self._waiting: dict[str, deque[Pending]] = {}
        """By tenant, the next one first; no queue is empty."""
        self._sizes: dict[str, int] = {}
        self._turns_had: dict[str, int] = {}
        """Those that a tenant whose queue is not empty has had beforehand."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def has_room(self, tenant: str, *, size: int = 1, bulk: bool = False) -> bool:
        """Whether so many more commands of a tenant may wait; `bulk` where they are some of many at once."""
        most = max(self._max_tenant // _BULK_SHARE, 1) if bulk else self._max_tenant
        return self._count + size <= self._max and self._sizes.get(tenant, 0) + size <= most

    def add(self, pending: Pending) -> None:
        tenant = pending.envelope.tenant
        waiting = self._waiting.get(tenant)
        if waiting is None:
            waiting = self._waiting[tenant] = deque()
        waiting.append(pending)
        self._count += pending.size
        self._sizes[tenant] = self._sizes.get(tenant, 0) + pending.size

    def take(self, limit: int) -> list[Pending]:
        """Take the next commands, at most `limit` or one; what shares the outcome of one of them follows it.

        Equal keys share one outcome where body and credential are equal too; else the second, and what its tenant
        sent after it, waits for the next batch.
        """
        batch = _Batch(limit)
        held: dict[str, deque[Pending]] = {}
        while self._waiting and batch.room > 0:
            tenant = next(iter(self._waiting))
            waiting = self._waiting.pop(tenant)
            is_alone = not self._waiting
            if not is_alone and self._turns_had.get(tenant):
                self._turns_had[tenant] -= 1
                self._waiting[tenant] = waiting
                continue
            turn = batch.room if is_alone else 1
            while waiting and turn > 0 and batch.admits(waiting[0]):
                size = waiting.popleft().size
                turn -= size
                self._count -= size
                self._sizes[tenant] -= size
            if not waiting:
                del self._sizes[tenant]
                self._turns_had.pop(tenant, None)
            elif turn > 0:
                held[tenant] = waiting
            else:
                self._waiting[tenant] = waiting
                self._turns_had[tenant] = 0 if is_alone else -turn
        if held:
            self._waiting = held | self._waiting
        return batch.commands


class _Batch:
    """Commands of which none waits for the outcome of another; `room` is for how many more."""

    def __init__(self, room: int) -> None:
        self.commands: list[Pending] = []
        self.room = room
        self._by_key: dict[tuple[str, str, str], Pending] = {}

    def admits(self, pending: Pending) -> bool:
        """Whether a command is of the batch now, or one of it answers for it."""
        by_key = self._by_key
        first = next((by_key[key] for key in pending.keys if key in by_key), None)
        if first is not None:
            if first.is_repeated_by(pending):
                first.followers.append(pending.future)
                return True
            return False
        if pending.size > self.room and self.commands:
            self.room = 0
            return False
        for key in pending.keys:
            by_key[key] = pending
        self.commands.append(pending)
        self.room -= pending.size
        return True
