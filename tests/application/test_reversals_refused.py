"""What is not reversed, and under which dates something is."""

from datetime import UTC, date, datetime, timedelta

import pytest

from application.commands import reversals
from domain import provider_receipt, series
from domain.errors import Code
from domain.wallet import WalletCharged
from tests.support.given import on_a_loop
from tests.support.memory_store import MemoryStore
from tests.support.reversing import (
    invoiced,
    last_events,
    refusal,
    reverse,
    settle,
    states,
    transaction,
)
from tests.support.writer import (
    answer,
    charge,
    envelope,
    new_id,
    running_school,
    top_up,
)


@on_a_loop
async def test_what_is_not_there_is_not_found() -> None:
    store = MemoryStore()
    async with running_school(store) as school, running_school(store, tenant="maple") as other:
        topped_up = await transaction(school, top_up(amount=100))
        opening = store.log.commands[1][1].id
        before = len(store.log.events)
        for transaction_id in (new_id(), opening):
            assert (await refusal(school, reverse(transaction_id))).code == Code.TRANSACTION_NOT_FOUND
        error = await refusal(other, reverse(topped_up, tenant="maple"))
        assert error.code == Code.TRANSACTION_NOT_FOUND
        assert len(store.log.events) == before


@pytest.mark.parametrize("tender", ["mpesa", "card"])
@on_a_loop
async def test_what_a_provider_brought_is_taken_back_by_it_alone(tender: str) -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        source = {"type": tender, "reference": "R-1"}
        topped_up = await school.do(
            "wallet.top_up", account="STU-1", amount=100, currency="KES", source=source
        )
        settled = await transaction(
            school,
            settle(
                await invoiced(school),
                {"type": "cash", "amount": 10},
                {"type": tender, "amount": 20, "reference": "R-2"},
            ),
        )
        before = len(store.log.events)
        for transaction_id in (topped_up["transaction_id"], settled):
            assert (await refusal(school, reverse(transaction_id))).code == Code.NOT_REVERSIBLE
        assert len(store.log.events) == before
        claims = [one for one in states(store).values() if isinstance(one, provider_receipt.ProviderReceipt)]
        assert len(claims) == 2


@on_a_loop
async def test_what_has_a_way_of_its_own_is_told_it() -> None:
    async with running_school(MemoryStore()) as school:
        await school.give(top_up(amount=100))
        sold = await school.do(
            "pos.checkout",
            wallet="STU-1",
            currency="KES",
            lines=[{"sku": "PEN", "quantity": 1, "total": 100, "tax_code": "A"}],
            tenders=[{"type": "wallet", "amount": 40}, {"type": "mpesa", "amount": 60, "reference": "R-1"}],
        )
        refunded = await school.do("pos.refund", sale=sold["sale"]["id"], amount=10)
        bill = await invoiced(school)
        assert (await refusal(school, reverse(sold["transaction_id"]))).code == Code.USE_REFUND
        assert (await refusal(school, reverse(refunded["transaction_id"]))).code == Code.NOT_REVERSIBLE
        assert (await refusal(school, reverse(bill))).code == Code.USE_VOID
        await school.give(settle(bill, {"type": "cash", "amount": 1}))
        assert (await refusal(school, reverse(bill))).code == Code.USE_CREDIT


@on_a_loop
async def test_a_reversal_is_not_reversed() -> None:
    async with running_school(MemoryStore()) as school:
        topped_up = await transaction(school, top_up(amount=100))
        taken_back = await transaction(school, reverse(topped_up))
        error = await refusal(school, reverse(taken_back))
        assert (error.code, error.detail) == (
            Code.NOT_REVERSIBLE,
            "A reversal is not taken back; do again what it took back.",
        )


def test_what_no_way_is_known_for_is_not_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {kind: way for kind, way in reversals.WAYS.items() if kind is not WalletCharged}
    monkeypatch.setattr(reversals, "WAYS", fewer)

    @on_a_loop
    async def refused() -> None:
        store = MemoryStore()
        async with running_school(store) as school:
            await school.give(top_up(amount=100))
            charged = await transaction(school, charge(amount=60))
            before = len(store.log.events)
            error = await refusal(school, reverse(charged))
            assert (error.code, error.detail) == (
                Code.NOT_REVERSIBLE,
                "bursar.wallet.charged.v1 is not taken back by a reversal.",
            )
            assert len(store.log.events) == before

    refused()


@on_a_loop
async def test_what_is_spent_is_not_taken_back() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        topped_up = await transaction(school, top_up(amount=100))
        await school.give(charge(amount=1))
        before = len(store.log.events)
        error = await refusal(school, reverse(topped_up))
        assert (error.code, error.extra["available"], error.extra["required"]) == (
            Code.INSUFFICIENT_FUNDS,
            99,
            100,
        )
        assert len(store.log.events) == before
        await school.give(top_up(amount=1))
        await school.give(reverse(topped_up))
        assert await school.balance() == 0


@on_a_loop
async def test_a_frozen_wallet_is_credited_and_pays_nothing_back() -> None:
    async with running_school(MemoryStore()) as school:
        topped_up = await transaction(school, top_up(amount=100))
        charged = await transaction(school, charge(amount=60))
        await school.give(envelope("wallet.freeze", account="STU-1", reason="Lost card"))
        given_back = answer(await school.give(reverse(charged)))
        assert given_back["wallets"][0]["balance"] == 100
        assert (await refusal(school, reverse(topped_up))).code == Code.WALLET_NOT_OPEN
        await school.give(envelope("wallet.unfreeze", account="STU-1", reason="Found it"))
        await school.give(reverse(topped_up))


@on_a_loop
async def test_a_refusal_leaves_no_gap_in_the_numbers() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        topped_up = await transaction(school, top_up(amount=100))
        await school.give(reverse(topped_up))
        await refusal(school, reverse(topped_up))
        await school.give(top_up(amount=1))
        (receipts,) = [one for one in states(store).values() if isinstance(one, series.Series) and one.count]
        assert (receipts.series, receipts.count) == ("receipt", 3)


# --- dates


def days_ago(days: int) -> str:
    return (datetime.now(UTC).date() - timedelta(days)).isoformat()


@on_a_loop
async def test_it_does_not_predate_what_it_takes_back() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        topped_up = await transaction(school, top_up(amount=100, effective_date=days_ago(5)))
        error = await refusal(school, reverse(topped_up, effective_date=days_ago(6)))
        assert (error.code, error.extra["earliest"]) == (Code.EFFECTIVE_DATE_TOO_EARLY, days_ago(5))
        await school.give(reverse(topped_up, effective_date=days_ago(5)))
        dates = {event.effective_date for event in last_events(store) if hasattr(event, "effective_date")}
        assert dates == {date.fromisoformat(days_ago(5))}


@on_a_loop
async def test_money_is_not_taken_back_before_a_day_on_which_it_was_spent() -> None:
    """By the dates the wallet would have had less than nothing, though it has enough today."""
    async with running_school(MemoryStore()) as school:
        topped_up = await transaction(school, top_up(amount=100, effective_date=days_ago(9)))
        await school.give(charge(amount=80, effective_date=days_ago(5)))
        await school.give(top_up(amount=80))
        error = await refusal(school, reverse(topped_up, effective_date=days_ago(7)))
        assert (error.code, error.extra["available"]) == (Code.INSUFFICIENT_FUNDS, 20)
        await school.give(reverse(topped_up))


@on_a_loop
async def test_to_date_one_back_takes_the_capability() -> None:
    async with running_school(MemoryStore()) as school:
        topped_up = await transaction(school, top_up(amount=100, effective_date=days_ago(40)))
        await school.do("key.create", client="OFFICE", role="bursar", prefix="bk_1", key_hash="0" * 64)
        await school.do("key.create", client="TILL", role="cashier", prefix="bk_2", key_hash="1" * 64)
        error = await refusal(school, reverse(topped_up, credential="bk_2"))
        assert (error.code, error.extra["capability"]) == (Code.CAPABILITY_MISSING, "transaction.reverse")
        error = await refusal(school, reverse(topped_up, credential="bk_1", effective_date=days_ago(39)))
        assert error.extra["capability"] == "transaction.backdate_any"
        await school.give(reverse(topped_up, credential="bk_1", effective_date=days_ago(3)))
