"""Money from outside enters once: a (provider, reference) is claimed in the commit that credits it."""

from typing import ClassVar, Final

from domain.errors import Code, DomainError
from domain.event import Event, MoneyEvent, State, Transaction, stored
from domain.ids import WalletId

PROVIDERS: Final = frozenset({"mpesa", "card"})
"""The tenders whose references are claimed; a cash or bank reference is a remark."""

REFERENCE_REQUIRED: Final = frozenset({"mpesa"})
"""The tenders that must name theirs: else a statement that is imported later would book the money again."""


@stored
class ProviderReceiptClaimed(MoneyEvent, frozen=True, kw_only=True):
    """`account` is the wallet that was topped up; None where the money paid an invoice or a sale."""

    topic: ClassVar[str] = "bursar.receipt.claimed.v1"
    provider: str
    reference: str
    amount: int
    currency: str
    account: WalletId | None = None


class ProviderReceipt(State, kw_only=True):
    """`claimed_by` is the transaction that has the money, `account` the wallet where it went, if to one."""

    claimed_by: str = ""
    amount_minor: int = 0
    account: WalletId | None = None


def evolve(state: ProviderReceipt, event: Event) -> None:
    assert isinstance(event, ProviderReceiptClaimed), (state, event)
    state.claimed_by = event.transaction_id
    state.amount_minor = event.amount
    state.account = event.account


def check_unnamed(provider: str, *, card_reference: bool) -> None:
    """Refuse money without a reference (`reference_required`) where its provider gives each one, or policy asks for it."""
    if provider in REFERENCE_REQUIRED or (provider == "card" and card_reference):
        raise DomainError(Code.REFERENCE_REQUIRED, f"A tender of type {provider} names its reference.")


def claim(
    state: ProviderReceipt,
    transaction: Transaction,
    *,
    provider: str,
    reference: str,
    amount_minor: int,
    account: WalletId | None,
    may_read: bool,
) -> ProviderReceiptClaimed:
    """Claim a reference, for the wallet `account` where one is credited with it or with what exceeds an invoice.

    A second claim is refused with `reference_already_used` and names the first; who `may_read` wallets hears of its
    amount and wallet too, since the provider's money may have been booked otherwise than it was paid.
    """
    if state.claimed_by:
        facts: dict[str, str | int] = {"transaction_id": state.claimed_by}
        if may_read:
            facts["amount"] = state.amount_minor
            if state.account is not None:
                facts["account"] = state.account
        raise DomainError(
            Code.REFERENCE_ALREADY_USED,
            f"{provider} reference {reference} was already used by transaction {state.claimed_by}.",
            provider=provider,
            reference=reference,
            **facts,
        )
    return ProviderReceiptClaimed(
        provider=provider,
        reference=reference,
        amount=amount_minor,
        currency=transaction.currency,
        account=account,
        **transaction.stamp,
    )
