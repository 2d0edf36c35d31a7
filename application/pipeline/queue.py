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
    """First come, first served within a tenant; between tenants one command of each in turn."""

    def __init__(self, max_tenant_commands: int = MAX_TENANT_COMMANDS) -> None:
        self._max_tenant = max_tenant_commands
        self._max = max_tenant_commands * MAX_QUEUE_TENANTS
        self._waiting: dict[str, deque[Pending]] = {}
        """By tenant, the next one first; no queue is empty."""
        self._sizes: dict[str, int] = {}
        self._count = 0
        """What commits together counts as all that it is, here and by tenant."""

    def __len__(self) -> int:
        return self._count

    def has_room(self, tenant: str, *, bulk: bool = False) -> bool:
        """Whether one more command of a tenant may wait; `bulk` where it is one of many at once."""
        most = max(self._max_tenant // _BULK_SHARE, 1) if bulk else self._max_tenant
        return self._count < self._max and self._sizes.get(tenant, 0) < most

    def add(self, pending: Pending) -> None:
        tenant = pending.envelope.tenant
        waiting = self._waiting.get(tenant)
        if waiting is None:
            waiting = self._waiting[tenant] = deque()
        waiting.append(pending)
        self._count += pending.size
        self._sizes[tenant] = self._sizes.get(tenant, 0) + pending.size

    def take(self, limit: int) -> list[Pending]:
        """Take the next commands, until there are `limit`; what shares the outcome of one of them follows it.

        Equal keys share one outcome where body and credential are equal too; else the second, and what its tenant
        sent after it, waits for the next batch.
        """
        batch: list[Pending] = []
        taken = 0
        by_key: dict[tuple[str, str, str], Pending] = {}
        held: dict[str, deque[Pending]] = {}
        while self._waiting and taken < limit:
            tenant = next(iter(self._waiting))
            waiting = self._waiting.pop(tenant)
            turn = 1 if self._waiting else limit
            while waiting and turn and taken < limit:
                pending = waiting[0]
                first = next((by_key[key] for key in pending.keys if key in by_key), None)
                if first is None:
                    for key in pending.keys:
                        by_key[key] = pending
                    batch.append(pending)
                    taken += pending.size
                elif first.is_repeated_by(pending):
                    first.followers.append(pending.future)
                else:
                    held[tenant] = waiting
                    break
                waiting.popleft()
                self._count -= pending.size
                self._sizes[tenant] -= pending.size
                turn -= 1
            if not waiting:
                del self._sizes[tenant]
            elif tenant not in held:
                self._waiting[tenant] = waiting
        if held:
            self._waiting = held | self._waiting
        return batch
