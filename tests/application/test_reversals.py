"""What the reversal of a transaction restores, through the writer."""

import pytest

from application.pipeline.atomic import together
from domain.errors import Code
from domain.ids import whole_id
from tests.support.given import on_a_loop
from tests.support.memory_store import MemoryStore
from tests.support.reversing import (
    balances,
    invoiced,
    last_events,
    refusal,
    reverse,
    settle,
    transaction,
)
from tests.support.writer import (
    answer,
    charge,
    new_id,
    running_school,
    top_up,
)


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
async def test_a_transfer_is_taken_back_as_long_as_the_money_is_there() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        await school.do("wallet.open", account="STU-2", currency="KES", payer="STU-1")
        await school.give(top_up(amount=100))
        before = balances(store)
        moved = await school.do(
            "wallet.transfer", **{"from": "STU-1", "to": "STU-2"}, amount=60, currency="KES"
        )
        spent = await transaction(school, charge(account="STU-2", amount=1))
        assert (await refusal(school, reverse(moved["transaction_id"]))).code == Code.INSUFFICIENT_FUNDS
        await school.give(reverse(spent))
        found = answer(await school.give(reverse(moved["transaction_id"])))
        assert balances(store) == before
        assert {one["account"]: one["balance"] for one in found["wallets"]} == {"STU-1": 100, "STU-2": 0}
        assert "receipt" not in found


@on_a_loop
async def test_a_captured_hold_is_given_back_and_holds_no_more() -> None:
    async with running_school(MemoryStore()) as school:
        await school.give(top_up(amount=100))
        placed = await school.do("wallet.hold", account="STU-1", amount=80, currency="KES")
        captured = await school.do("hold.capture", hold=placed["hold"]["id"], amount=50)
        found = answer(await school.give(reverse(captured["transaction_id"])))
        assert [(one["balance"], one["held"], one["available"]) for one in found["wallets"]] == [
            (100, 0, 100)
        ]


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
