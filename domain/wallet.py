"""The wallet: money that a school holds for somebody, a liability of the school."""

from datetime import datetime
from typing import ClassVar, Literal, Self, assert_never

import msgspec

from domain.errors import Code, DomainError
from domain.event import Event, MoneyEvent, State, Transaction, stored

# --- events


@stored
class WalletOpened(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.wallet.opened.v1"
    account: str
    currency: str
    payer: str
    recorded_at: datetime


class _Movement(MoneyEvent, frozen=True, kw_only=True):
    """`description` is a fixed phrase or the caller's words; `receipt` is the number of the receipt."""

    account: str
    amount: int
    currency: str
    description: str
    receipt: str


@stored
class WalletToppedUp(_Movement, frozen=True, kw_only=True):
    """Money came in by a tender. `leg` counts the tenders of a settlement whose excess this is, else 0."""

    topic: ClassVar[str] = "bursar.wallet.topped_up.v1"
    tender: str
    reference: str | None = None
    leg: int = 0


@stored
class WalletCharged(_Movement, frozen=True, kw_only=True):
    """Money was spent on `purpose`; a charge that is neither sale nor invoice names its income role."""

    topic: ClassVar[str] = "bursar.wallet.charged.v1"
    purpose: Literal["charge", "sale", "invoice"]
    income: str | None = None


@stored
class WalletRefunded(_Movement, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.wallet.refunded.v1"
    sale: str


WalletEvent = WalletOpened | WalletToppedUp | WalletCharged | WalletRefunded

# --- state


class Wallet(State, kw_only=True):
    """Amounts in minor units. `overdraft_limit` is zero unless granted."""

    account: str = ""
    currency: str = ""
    payer: str = ""
    status: Literal["open", "frozen", "closed"] = "open"
    balance: int = 0
    held: int = 0
    overdraft_limit: int = 0

    @property
    def available(self) -> int:
        """What may be spent: the balance less holds, plus the overdraft granted."""
        return self.balance - self.held + self.overdraft_limit


def evolve(state: Wallet, event: WalletEvent) -> None:
    match event:
        case WalletToppedUp(amount=amount) | WalletRefunded(amount=amount):
            state.balance += amount
        case WalletCharged(amount=amount):
            state.balance -= amount
        case WalletOpened():
            state.account = event.account
            state.currency = event.currency
            state.payer = event.payer
        case _:
            assert_never(event)


# --- as answers show it


class WalletView(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet as every answer shows it, of a read or of a command. Amounts in minor units."""

    account: str
    currency: str
    balance: int
    available: int
    status: str
    payer: str

    @classmethod
    def of(cls, state: Wallet) -> Self:
        return cls(
            account=state.account,
            currency=state.currency,
            balance=state.balance,
            available=state.available,
            status=state.status,
            payer=state.payer,
        )


# --- decisions


def open_wallet(
    state: Wallet, *, account: str, currency: str, payer: str, recorded_at: datetime
) -> WalletOpened:
    if state.version:
        raise DomainError(Code.WALLET_EXISTS, f"Wallet {account} is already there.", account=account)
    return WalletOpened(account=account, currency=currency, payer=payer, recorded_at=recorded_at)


def _check_open(state: Wallet, account: str, currency: str) -> None:
    if not state.version:
        raise DomainError(Code.WALLET_NOT_FOUND, f"There is no wallet {account}.", account=account)
    if state.status != "open":
        raise DomainError(Code.WALLET_NOT_OPEN, f"Wallet {account} is {state.status}.", account=account)
    if currency != state.currency:
        raise DomainError(
            Code.CURRENCY_MISMATCH,
            f"Wallet {account} is in {state.currency}, not {currency}.",
            account=account,
        )


def top_up(
    state: Wallet,
    transaction: Transaction,
    *,
    account: str,
    amount: int,
    tender: str,
    reference: str | None,
    receipt: str,
    description: str,
    leg: int = 0,
) -> WalletToppedUp:
    _check_open(state, account, transaction.currency)
    return WalletToppedUp(
        account=account,
        amount=amount,
        currency=transaction.currency,
        tender=tender,
        reference=reference,
        receipt=receipt,
        description=description,
        leg=leg,
        **transaction.stamp(),
    )


def check_funds(state: Wallet, *, account: str, currency: str, required: int) -> None:
    """Refuse what a charge of `required` minor units would refuse, so that tenders can be split first."""
    _check_open(state, account, currency)
    if required > state.available:
        raise DomainError(
            Code.INSUFFICIENT_FUNDS,
            f"Wallet {account} has {state.available} available, {required} is required.",
            account=account,
            available=state.available,
            required=required,
        )


def charge(
    state: Wallet,
    transaction: Transaction,
    *,
    account: str,
    amount: int,
    purpose: Literal["charge", "sale", "invoice"],
    description: str,
    receipt: str,
    income: str | None = None,
) -> WalletCharged:
    check_funds(state, account=account, currency=transaction.currency, required=amount)
    return WalletCharged(
        account=account,
        amount=amount,
        currency=transaction.currency,
        purpose=purpose,
        income=income,
        receipt=receipt,
        description=description,
        **transaction.stamp(),
    )


def refund(
    state: Wallet,
    transaction: Transaction,
    *,
    account: str,
    amount: int,
    sale: str,
    description: str,
    receipt: str,
) -> WalletRefunded:
    _check_open(state, account, transaction.currency)
    return WalletRefunded(
        account=account,
        amount=amount,
        currency=transaction.currency,
        sale=sale,
        receipt=receipt,
        description=description,
        **transaction.stamp(),
    )
