"""Reversals through a writer, and what every wallet, invoice and account holds."""

from typing import Any

import pytest

from application.pipeline.command import Envelope, Outcome
from domain import invoice, ledger_account, wallet
from domain.aggregates import apply, decode, initial
from domain.errors import Code, DomainError
from domain.event import State
from tests.support.memory_store import MemoryStore
from tests.support.writer import (
    School,
    answer,
    envelope,
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


async def check_once(school: School, found: list[Any]) -> None:
    done = [one for one in found if isinstance(one, Outcome)]
    refused = [one for one in found if isinstance(one, DomainError)]
    assert (len(done), len(refused)) == (1, 19)
    winner = answer(done[0])["transaction_id"]
    assert {(one.code, one.extra["transaction_id"]) for one in refused} == {(Code.ALREADY_REVERSED, winner)}
    assert await school.balance() == 10_000
