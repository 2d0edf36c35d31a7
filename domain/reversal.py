"""The reversal: a transaction is taken back whole and once, by another one that points at it."""

from typing import ClassVar

from domain.errors import Code, DomainError
from domain.event import Event, MoneyEvent, State, Transaction, stored
from domain.provider_receipt import PROVIDERS


@stored
class TransactionReversed(MoneyEvent, frozen=True, kw_only=True):
    """`reverses` is the transaction that is taken back, `receipt` the number of the reversal's own, where that had one.

    Its stream is named by the transaction that is taken back, and holds this alone.
    """

    topic: ClassVar[str] = "bursar.transaction.reversed.v1"
    reverses: str
    reason: str
    receipt: str | None


class Reversal(State, kw_only=True):
    """Whether a transaction was taken back: `reversed_by` is the one that did it."""

    reversed_by: str = ""


def evolve(state: Reversal, event: Event) -> None:
    assert isinstance(event, TransactionReversed), (state, event)
    state.reversed_by = event.transaction_id


# --- decisions


def check_reversible(state: Reversal, *, transaction_id: str) -> None:
    """Refuse what was taken back before (`already_reversed`), and say by which transaction."""
    if state.reversed_by:
        raise DomainError(
            Code.ALREADY_REVERSED,
            f"Transaction {transaction_id} was reversed by transaction {state.reversed_by}.",
            transaction_id=state.reversed_by,
        )


def check_tender(tender: str) -> None:
    """Refuse to take back what a provider brought (`not_reversible`): it alone gives that back."""
    if tender in PROVIDERS:
        raise DomainError(
            Code.NOT_REVERSIBLE, f"Money that came by {tender} is taken back by its provider alone."
        )


def reverse(
    state: Reversal, transaction: Transaction, *, reverses: str, reason: str, receipt: str | None
) -> TransactionReversed:
    check_reversible(state, transaction_id=reverses)
    return TransactionReversed(reverses=reverses, reason=reason, receipt=receipt, **transaction.stamp)
