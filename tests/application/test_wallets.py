"""What the commands of wallets decide, through the writer."""

import pytest

from domain.errors import Code, DomainError
from tests.support.given import on_a_loop
from tests.support.memory_store import MemoryStore
from tests.support.writer import answer, charge, envelope, running_school, top_up


@on_a_loop
async def test_a_frozen_wallet_takes_and_does_not_pay() -> None:
    async with running_school(MemoryStore()) as school:
        await school.give(top_up(amount=100))
        frozen = await school.give(envelope("wallet.freeze", account="STU-1", reason="lost card"))
        assert answer(frozen)["status"] == "frozen"
        with pytest.raises(DomainError) as refusal:
            await school.give(charge(amount=1))
        assert refusal.value.code == Code.WALLET_NOT_OPEN
        assert answer(await school.give(top_up(amount=5)))["wallet"]["balance"] == 105
        opened = await school.give(envelope("wallet.unfreeze", account="STU-1", reason="found it"))
        assert answer(opened)["status"] == "open"
        assert answer(await school.give(charge(amount=105)))["wallet"]["balance"] == 0


@pytest.mark.parametrize("action", ["wallet.freeze", "wallet.unfreeze"])
@on_a_loop
async def test_freezing_takes_a_reason(action: str) -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        before = len(store.log.events)
        with pytest.raises(DomainError) as refusal:
            await school.give(envelope(action, account="STU-1"))
        assert refusal.value.code == Code.REASON_REQUIRED
        assert len(store.log.events) == before


@on_a_loop
async def test_what_is_as_asked_adds_nothing_to_the_log() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        before = len(store.log.events)
        found = await school.give(envelope("wallet.unfreeze", account="STU-1", reason="to be sure"))
        assert answer(found)["status"] == "open"
        assert len(store.log.events) == before
