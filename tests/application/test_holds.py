"""What the commands on holds decide, through the writer and by the writer's clock."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import Code, DomainError
from tests.support.given import on_a_loop
from tests.support.memory_store import MemoryLog, MemoryStore
from tests.support.writer import (
    School,
    answer,
    charge,
    envelope,
    new_id,
    running_school,
    running_writer,
    top_up,
)


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


async def place(school: School, amount: int = 100, **fields: Any) -> Any:
    return await school.do("wallet.hold", account="STU-1", amount=amount, currency="KES", **fields)


async def refusal(school: School, command: Any) -> Code:
    with pytest.raises(DomainError) as caught:
        await school.give(command)
    return caught.value.code


def shown(found: Any) -> tuple[int, int, int]:
    return found["wallet"]["balance"], found["wallet"]["held"], found["wallet"]["available"]


@on_a_loop
async def test_a_hold_is_captured_in_part_and_the_rest_is_free() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        await school.give(top_up(amount=500))
        placed = await place(school, 300, description="Uniform")
        assert shown(placed) == (500, 300, 200)
        assert await refusal(school, charge(amount=201)) == Code.INSUFFICIENT_FUNDS
        found = await school.do("hold.capture", hold=placed["hold"]["id"], amount=120, income="shop")
        assert shown(found) == (380, 0, 380)
        assert found["hold"] == placed["hold"] | {"status": "captured", "captured": 120}
        charged = store.log.events[-1]
        assert charged.topic == "bursar.wallet.charged.v1"
        assert b'"description":"Uniform"' in charged.state
        assert b'"income":"shop"' in charged.state


@on_a_loop
async def test_a_hold_is_released_also_where_the_wallet_is_frozen() -> None:
    async with running_school(MemoryStore()) as school:
        await school.give(top_up(amount=500))
        placed = await place(school, 300)
        await school.do("wallet.freeze", account="STU-1", reason="lost")
        released = await school.do("hold.release", hold=placed["hold"]["id"])
        assert (released["hold"]["status"], shown(released)) == ("released", (500, 0, 500))


@on_a_loop
async def test_a_hold_that_has_ended_or_never_was() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        await school.give(top_up(amount=500))
        ends = {
            "hold.capture": (await place(school))["hold"]["id"],
            "hold.release": (await place(school))["hold"]["id"],
        }
        for action, hold in ends.items():
            await school.do(action, hold=hold)
        before = len(store.log.events)
        for action in ends:
            for hold in ends.values():
                assert await refusal(school, envelope(action, hold=hold)) == Code.HOLD_NOT_ACTIVE
            assert await refusal(school, envelope(action, hold=new_id())) == Code.HOLD_NOT_FOUND
        assert len(store.log.events) == before


@on_a_loop
async def test_a_hold_expires_after_the_policys_hours_and_the_next_command_records_it() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    async with running_school(store) as school:
        await school.give(top_up(amount=500))
        placed = await place(school, 500)
        assert datetime.fromisoformat(placed["hold"]["expires_at"]) == clock.now + timedelta(hours=168)
        await school.do("tenant.policies", hold_hours=2)
        clock.now += timedelta(hours=168) - timedelta(microseconds=1)
        assert await refusal(school, charge(amount=1)) == Code.INSUFFICIENT_FUNDS
        clock.now += timedelta(microseconds=1)
        assert (
            await refusal(school, envelope("hold.capture", hold=placed["hold"]["id"])) == Code.HOLD_NOT_ACTIVE
        )
        assert shown(answer(await school.give(charge(amount=1)))) == (499, 0, 499)
        own = [event.topic for event in store.log.events if event.stream == "greenhill/wallet/STU-1"]
        assert own[-2:] == ["bursar.wallet.hold_expired.v1", "bursar.wallet.charged.v1"]
        again = await place(school, 499)
        assert datetime.fromisoformat(again["hold"]["expires_at"]) == clock.now + timedelta(hours=2)


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("wallet.top_up", {"amount": 1, "source": {"type": "cash"}}),
        ("wallet.freeze", {"reason": "to be sure"}),
        ("wallet.hold", {"amount": 1}),
        ("pos.checkout", {"amount": 1}),
    ],
)
@on_a_loop
async def test_whatever_comes_next_records_the_end_of_a_hold(action: str, fields: dict[str, Any]) -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    async with running_school(store) as school:
        await school.give(top_up(amount=500))
        await place(school, 500)
        clock.now += timedelta(hours=168)
        if action == "pos.checkout":
            line = {"sku": "A", "quantity": 1, "total": 500, "tax_code": "A"}
            found = await school.do(
                action, wallet="STU-1", currency="KES", lines=[line], tenders=[{"type": "wallet"}]
            )
        elif action == "wallet.freeze":
            found = {"wallet": await school.do(action, account="STU-1", **fields)}
        else:
            found = await school.do(action, account="STU-1", currency="KES", **fields)
        assert found["wallet"]["held"] == (1 if action == "wallet.hold" else 0)
        assert [event.topic for event in store.log.events].count("bursar.wallet.hold_expired.v1") == 1


@on_a_loop
async def test_a_hold_is_bounded_as_a_payment_is() -> None:
    async with running_school(MemoryStore()) as school:
        await school.give(top_up(amount=500))
        await school.do("tenant.policies", largest_amount=50)
        command = envelope("wallet.hold", account="STU-1", amount=51, currency="KES")
        assert await refusal(school, command) == Code.AMOUNT_TOO_LARGE


@on_a_loop
async def test_of_many_ends_at_once_one_wins_whichever_process_hears_it() -> None:
    """Twenty captures and releases of one hold, by two writers on one log."""
    log = MemoryLog()
    async with running_school(MemoryStore(log)) as one, running_writer(MemoryStore(log)) as other:
        two = School(other)
        await one.give(top_up(amount=500))
        hold = (await place(one, 300))["hold"]["id"]

        async def end(number: int) -> Any:
            action = ("hold.capture", "hold.release")[number % 2]
            try:
                return await (one, two)[number // 2 % 2].do(action, hold=hold)
            except DomainError as error:
                return error.code

        found = await asyncio.gather(*(end(number) for number in range(20)))
        won = [each for each in found if isinstance(each, dict)]
        assert len(won) == 1
        assert found.count(Code.HOLD_NOT_ACTIVE) == 19
        left = 200 if "transaction_id" in won[0] else 500
        assert shown(won[0]) == (left, 0, left)
        assert await one.balance() == left
