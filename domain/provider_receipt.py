"""Money from outside enters once: a (provider, reference) is claimed in the commit that credits it."""

from typing import ClassVar, Final

from domain.errors import Code, DomainError
from domain.event import Event, MoneyEvent, State, Transaction, stored

PROVIDERS: Final = frozenset({"mpesa", "card"})
"""The tenders whose references are claimed; a cash or bank reference is a remark."""


@stored
class ProviderReceiptClaimed(MoneyEvent, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.receipt.claimed.v1"
    provider: str
    reference: str
    amount: int
    currency: str


class ProviderReceipt(State, kw_only=True):
    """`claimed_by` is the transaction that has the money."""

    claimed_by: str = ""


def evolve(state: ProviderReceipt, event: Event) -> None:
    assert isinstance(event, ProviderReceiptClaimed), (state, event)
    state.claimed_by = event.transaction_id


def claim(
    state: ProviderReceipt, transaction: Transaction, *, provider: str, reference: str, amount_minor: int
) -> ProviderReceiptClaimed:
    """Claim a reference; a second claim is refused with `reference_already_used` and names the first."""
    if state.claimed_by:
        raise DomainError(
            Code.REFERENCE_ALREADY_USED,
            f"{provider} reference {reference} was already used by transaction {state.claimed_by}.",
            provider=provider,
            reference=reference,
            transaction_id=state.claimed_by,
        )
    return ProviderReceiptClaimed(
        provider=provider,
        reference=reference,
        amount=amount_minor,
        currency=transaction.currency,
        **transaction.stamp,
    )
