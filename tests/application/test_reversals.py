"""What the reversal of a transaction decides, through the writer."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from application.commands import reversals
from application.pipeline.atomic import together
from application.pipeline.command import Envelope, Outcome
from domain import invoice, ledger_account, provider_receipt, reversal, series, wallet
from domain.aggregates import apply, decode, initial
from domain.errors import Code, DomainError
from domain.event import State
from domain.ids import whole_id
from domain.reversal import TransactionReversed
from domain.wallet import WalletCharged
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

LINE = {"description": "Term 1", "quantity": 1, "total": 1000, "income": "tuition"}


def reverse(transaction_id: str, **options: Any) -> Envelope:
    return envelope(
        "transaction.reverse", transaction=transaction_id, **{"reason": "Wrong wallet", **options}
    )


async def refusal(school: School, command: Envelope) -> DomainError:
    with pytest.raises(DomainError) as caught:
        await school.give(command)
    return caught.value


async def transaction(school: School, command: Envelope) -> str:
    return str(answer(await school.give(command))["transaction_id"])


async def invoiced(school: School, *, payer: str = "STU-1", total: int = 1000) -> str:
    bill = await school.do(
        "invoice.create",
        payer=payer,
        currency="KES",
        due_date="2030-01-01",
        lines=[{**LINE, "total": total}],
        issue=True,
    )
    return str(bill["id"])


def settle(bill: str, *tenders: dict[str, Any], **options: Any) -> Envelope:
    return envelope("invoice.settle", invoice=bill, settle={"tenders": tenders, **options})


def states(store: MemoryStore) -> dict[str, State]:
    """Every aggregate, folded from the log."""
    found: dict[str, State] = {}
    for event in store.log.events:
        apply(found.setdefault(event.stream, initial(event.stream)), decode(event.topic, event.state))
    return found


def balances(store: MemoryStore) -> dict[str, Any]:
    """What every wallet, invoice and ledger account holds."""
    held: dict[str, Any] = {}
    for stream, state in states(store).items():
        match state:
            case wallet.Wallet():
                held[stream] = state.balance_minor
            case invoice.Invoice():
                held[stream] = (state.status, state.open_minor)
            case ledger_account.LedgerAccount():
                held[stream] = state.net_minor
            case _:
                pass
    return held


def last_events(store: MemoryStore) -> list[Any]:
    return [decode(event.topic, event.state) for event in store.log.commands[-1][1].events]


# --- what is reversible, whole


@pytest.mark.parametrize("tender", ["cash", "bank"])
@on_a_loop
async def test_a_top_up_is_taken_back(tender: str) -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        await school.give(top_up(amount=70))
        before = balances(store)
        source = {"type": tender, "reference": "SLIP-1"}
        original = await school.do(
            "wallet.top_up", account="STU-1", amount=100, currency="KES", source=source
        )
        outcome = await school.give(reverse(original["transaction_id"]))
        assert balances(store) == before
        found = answer(outcome)
        reversed_ = last_events(store)[-1]
        assert found == {
            "transaction_id": reversed_.transaction_id,
            "reverses": original["transaction_id"],
            "wallets": [{**original["wallet"], "balance": 70, "available": 70}],
            "receipt": found["receipt"],
        }
        assert found["receipt"]["number"] == reversed_.receipt
        assert int(reversed_.receipt[-6:]) == int(original["receipt"]["number"][-6:]) + 1
        assert (reversed_.reverses, reversed_.reason) == (original["transaction_id"], "Wrong wallet")
        assert outcome.position == len(store.log.events)


@on_a_loop
async def test_a_bank_reference_may_be_named_again() -> None:
    """It is a remark and claims nothing, so that the same slip may be booked on the right wallet."""
    async with running_school(MemoryStore()) as school:
        await school.do("wallet.open", account="STU-2", currency="KES")
        source = {"type": "bank", "reference": "SLIP-1"}
        wrong = await school.do("wallet.top_up", account="STU-1", amount=9, currency="KES", source=source)
        await school.give(reverse(wrong["transaction_id"]))
        right = await school.do("wallet.top_up", account="STU-2", amount=9, currency="KES", source=source)
        assert right["wallet"]["balance"] == 9


@on_a_loop
async def test_a_charge_is_given_back() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        await school.give(top_up(amount=100))
        before = balances(store)
        charged = await transaction(school, charge(amount=60))
        found = answer(await school.give(reverse(charged)))
        assert balances(store) == before
        assert [one["balance"] for one in found["wallets"]] == [100]


@on_a_loop
async def test_a_settlement_is_taken_back_and_the_invoice_reopens() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        await school.do("wallet.open", account="STU-2", currency="KES")
        await school.give(top_up(amount=300))
        bill = await invoiced(school)
        await school.give(settle(bill, {"type": "cash", "amount": 50}))
        before = balances(store)
        assert before[f"greenhill/invoice/{bill}"] == ("partially_paid", 950)
        settled = await transaction(
            school,
            settle(
                bill,
                {"type": "wallet", "amount": 250},
                {"type": "cash", "amount": 100},
                {"type": "bank", "amount": 680, "account": "STU-2", "reference": "SLIP-2"},
            ),
        )
        assert balances(store)[f"greenhill/invoice/{bill}"] == ("paid", 0)
        assert balances(store)["greenhill/wallet/STU-2"] == 80
        found = answer(await school.give(reverse(settled)))
        assert balances(store) == before
        assert {one["account"]: one["balance"] for one in found["wallets"]} == {"STU-1": 300, "STU-2": 0}
        numbers = [event for event in last_events(store) if getattr(event, "kind", "") == "reversal"]
        assert [(event.number, event.amount) for event in numbers] == [(found["receipt"]["number"], 1030)]


@on_a_loop
async def test_a_wallet_gets_back_what_it_paid_before_it_gives_back_an_excess() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        await school.give(top_up(amount=40))
        bill = await invoiced(school, total=100)
        before = balances(store)
        settled = await transaction(
            school, settle(bill, {"type": "wallet", "amount": 40}, {"type": "cash", "amount": 70})
        )
        await school.give(charge(amount=10))
        # The 10 of the excess are spent, but the 40 that it paid come back first.
        await school.give(reverse(settled))
        assert balances(store)["greenhill/wallet/STU-1"] == 30
        assert balances(store)[f"greenhill/invoice/{bill}"] == before[f"greenhill/invoice/{bill}"]


@on_a_loop
async def test_a_paid_invoice_that_reopened_is_paid_and_reopened_again() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        bill = await invoiced(school)
        before = balances(store)
        for _ in range(2):
            settled = await transaction(school, settle(bill, {"type": "cash"}))
            await school.give(reverse(settled))
            assert balances(store) == before


@on_a_loop
async def test_a_transaction_of_an_atomic_bulk_is_taken_back_alone() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        bulk = together((top_up(amount=100, key="key-0001"), charge(amount=60, key="key-0002")), new_id())
        first, second = answer(await school.give(bulk))["answers"]
        assert first["transaction_id"] != second["transaction_id"]
        assert whole_id(first["transaction_id"]) == whole_id(second["transaction_id"]) == bulk.command_id
        await school.give(reverse(second["transaction_id"]))
        assert await school.balance() == 100
        await school.give(reverse(first["transaction_id"]))
        assert await school.balance() == 0
        for one in (first, second):
            error = await refusal(school, reverse(one["transaction_id"]))
            assert error.code == Code.ALREADY_REVERSED
        assert (await refusal(school, reverse(bulk.command_id))).code == Code.TRANSACTION_NOT_FOUND


@on_a_loop
async def test_reversals_commit_together_too() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        before = balances(store)
        topped_up = await transaction(school, top_up(amount=100))
        charged = await transaction(school, charge(amount=60))
        wrong_order = together(
            (reverse(topped_up, key="key-0001"), reverse(charged, key="key-0002")), new_id()
        )
        error = await refusal(school, wrong_order)
        assert (error.code, error.extra["element"]) == (Code.INSUFFICIENT_FUNDS, 0)
        twice = together((reverse(charged, key="key-0003"), reverse(charged, key="key-0004")), new_id())
        error = await refusal(school, twice)
        assert (error.code, error.extra["element"]) == (Code.ALREADY_REVERSED, 1)
        await school.give(
            together((reverse(charged, key="key-0002"), reverse(topped_up, key="key-0001")), new_id())
        )
        assert balances(store) == before


@on_a_loop
async def test_the_accounts_are_those_that_were_posted_to() -> None:
    """Whatever stands for a role by now."""
    store = MemoryStore()
    async with running_school(store) as school:
        before = balances(store)
        topped_up = await transaction(school, top_up(amount=100))
        await school.do("tenant.policies", largest_amount=50)  # nor does a limit of today stop it
        await school.give(reverse(topped_up))
        assert balances(store) == before
        sides = [(event.topic, event.code) for event in last_events(store) if hasattr(event, "code")]
        assert sides == [("bursar.account.debited.v1", "2100"), ("bursar.account.credited.v1", "1000")]


# --- once


@on_a_loop
async def test_twenty_at_once_take_it_back_once() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        await school.give(top_up(amount=10_000))
        topped_up = await transaction(school, top_up(amount=100))
        found = await asyncio.gather(
            *(school.give(reverse(topped_up)) for _ in range(20)), return_exceptions=True
        )
        await check_once(school, found)


async def check_once(school: School, found: list[Any]) -> None:
    done = [one for one in found if isinstance(one, Outcome)]
    refused = [one for one in found if isinstance(one, DomainError)]
    assert (len(done), len(refused)) == (1, 19)
    winner = answer(done[0])["transaction_id"]
    assert {(one.code, one.extra["transaction_id"]) for one in refused} == {(Code.ALREADY_REVERSED, winner)}
    assert await school.balance() == 10_000


@on_a_loop
async def test_twenty_through_two_processes_take_it_back_once() -> None:
    log = MemoryLog()
    async with running_school(MemoryStore(log)) as school, running_writer(MemoryStore(log)) as writer:
        other = School(writer)
        await school.give(top_up(amount=10_000))
        topped_up = await transaction(school, top_up(amount=100))
        found = await asyncio.gather(
            *(one.give(reverse(topped_up)) for _ in range(10) for one in (school, other)),
            return_exceptions=True,
        )
        await check_once(school, found)


@on_a_loop
async def test_another_process_knows_what_this_one_has_just_written() -> None:
    log = MemoryLog()
    async with running_school(MemoryStore(log)) as school, running_writer(MemoryStore(log)) as writer:
        other = School(writer)
        assert await other.balance() == 0  # it knows the log, as it was
        for _ in range(3):
            await other.give(reverse(await transaction(school, top_up(amount=100))))
        assert await school.balance() == 0


@on_a_loop
async def test_the_same_again_is_a_replay() -> None:
    async with running_school(MemoryStore()) as school:
        topped_up = await transaction(school, top_up(amount=100))
        first = await school.give(reverse(topped_up, key="key-0001"))
        again = await school.give(reverse(topped_up, key="key-0001"))
        assert (again.response, again.replayed) == (first.response, True)


@on_a_loop
async def test_a_dry_run_writes_nothing() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        topped_up = await transaction(school, top_up(amount=100))
        before = len(store.log.events)
        shown = answer(await school.give(reverse(topped_up, dry_run=True)))
        assert shown["events"][-1]["type"] == TransactionReversed.topic
        assert len(store.log.events) == before
        await school.give(reverse(topped_up))


# --- what is not


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


# --- the log


@on_a_loop
async def test_what_it_touches_is_loaded_at_once() -> None:
    log = MemoryLog()
    async with running_school(MemoryStore(log)) as school:
        await school.give(top_up(amount=300))
        bill = await invoiced(school)
        tenders = ({"type": "wallet", "amount": 250}, {"type": "cash", "amount": 100})
        settled = await transaction(school, settle(bill, *tenders))
    store = MemoryStore(log)
    loads: list[int] = []
    original = store.load

    async def load(streams: Any, *, at: int) -> Any:
        loads.append(len(streams))
        return await original(streams, at=at)

    store.load = load  # type: ignore[method-assign]
    async with running_writer(store) as writer:
        await School(writer).give(reverse(settled))
    assert len(loads) == 2, "what is foreseen, and all that the transaction touched"


@on_a_loop
async def test_nothing_is_written_of_what_is_never_reversed() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        topped_up = await transaction(school, top_up(amount=100))
        assert not any(isinstance(one, reversal.Reversal) for one in states(store).values())
        taken_back = await transaction(school, reverse(topped_up))
        state = states(store)[f"greenhill/transaction/{topped_up}"]
        assert state == reversal.Reversal(version=1, reversed_by=taken_back)


@on_a_loop
async def test_what_this_version_cannot_read_is_not_taken_back() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        topped_up = await transaction(school, top_up(amount=100))
        _, command = store.log.commands[-1]
        newer = [
            type(one)(one.stream, one.version, "bursar.wallet.topped_up.v99", one.state)
            for one in command.events
        ]
        original = store.events_of

        async def events_of(command_id: str, *, tenant: str) -> Any:
            return newer if command_id == topped_up else await original(command_id, tenant=tenant)

        store.events_of = events_of  # type: ignore[method-assign]
        error = await refusal(school, reverse(topped_up))
        assert error.code == Code.UNAVAILABLE
        assert "bursar.wallet.topped_up.v99" in error.detail


@on_a_loop
async def test_what_it_reads_is_not_read_again_under_the_lock() -> None:
    log = MemoryLog()
    store = MemoryStore(log)
    read: list[tuple[str, bool]] = []
    original = store.events_of

    async def events_of(command_id: str, *, tenant: str) -> Any:
        read.append((command_id, store._locked))
        return await original(command_id, tenant=tenant)

    store.events_of = events_of  # type: ignore[method-assign]
    async with running_school(MemoryStore(log)) as other, running_writer(store) as writer:
        school = School(writer)
        assert await school.balance() == 0
        for _ in range(3):
            topped_up = await transaction(other, top_up(amount=100))
            await school.give(reverse(topped_up))
        assert read
        assert not any(locked for _, locked in read[1:]), "it knows by then that others write"
        assert len(read) <= 4
