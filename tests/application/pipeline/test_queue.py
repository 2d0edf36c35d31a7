"""The queue of commands: in order within a tenant, in turns between tenants, full for one before it is full for all."""

import asyncio
from collections.abc import Sequence

from application.pipeline.pending import Pending
from application.pipeline.queue import MAX_QUEUE_TENANTS, CommandQueue
from tests.support.given import on_a_loop
from tests.support.writer import top_up


def waiting(tenant: str, amount: int, **options: str) -> Pending:
    return Pending(
        top_up(amount=amount, tenant=tenant, **options), asyncio.get_running_loop().create_future()
    )


def told(batch: Sequence[Pending]) -> list[tuple[str, int]]:
    return [(one.envelope.tenant, one.envelope.command.amount) for one in batch]


@on_a_loop
async def test_tenants_take_turns_and_each_keeps_its_order() -> None:
    queue = CommandQueue()
    for amount in range(1, 6):
        queue.add(waiting("busy", amount))
    queue.add(waiting("small", 1))
    queue.add(waiting("other", 1))
    queue.add(waiting("small", 2))
    assert told(queue.take(4)) == [("busy", 1), ("small", 1), ("other", 1), ("busy", 2)]
    queue.add(waiting("late", 1))
    assert told(queue.take(3)) == [("small", 2), ("busy", 3), ("late", 1)]
    assert len(queue) == 2
    assert told(queue.take(9)) == [("busy", 4), ("busy", 5)]
    assert queue.take(9) == []


@on_a_loop
async def test_more_tenants_than_a_batch_holds_all_have_their_turn() -> None:
    queue = CommandQueue()
    for number in range(10):
        queue.add(waiting(f"t{number}", 1))
        queue.add(waiting(f"t{number}", 2))
    taken = [told(queue.take(4)) for _ in range(5)]
    assert [one for batch in taken for one in batch] == [
        (f"t{number}", amount) for amount in (1, 2) for number in range(10)
    ]


@on_a_loop
async def test_another_body_under_a_key_holds_up_its_tenant_alone() -> None:
    queue = CommandQueue()
    for pending in (
        waiting("busy", 1, key="key-0001"),
        waiting("busy", 1, key="key-0001"),
        waiting("busy", 2, key="key-0001"),
        waiting("busy", 3),
        waiting("small", 1),
        waiting("small", 2),
    ):
        queue.add(pending)
    first = queue.take(9)
    assert told(first) == [("busy", 1), ("small", 1), ("small", 2)]
    assert len(first[0].followers) == 1
    assert told(queue.take(9)) == [("busy", 2), ("busy", 3)]
    assert len(queue) == 0


@on_a_loop
async def test_it_is_full_for_a_tenant_before_it_is_full_for_all() -> None:
    queue = CommandQueue(4)
    for amount in range(1, 5):
        assert queue.has_room("busy")
        assert queue.has_room("busy", bulk=True) == (amount <= 2), "many at once leave half to others"
        queue.add(waiting("busy", amount))
    assert not queue.has_room("busy")
    assert queue.has_room("small")
    for number in range(MAX_QUEUE_TENANTS - 1):
        for amount in range(4):
            queue.add(waiting(f"t{number}", amount + 1))
    assert not queue.has_room("small")
