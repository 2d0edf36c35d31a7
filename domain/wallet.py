"""The wallet: money that a school holds for somebody, a liability of the school."""

from datetime import datetime
from typing import ClassVar, Literal, Self, assert_never

import msgspec

from domain.errors import Code, DomainError
from domain.event import Event, MoneyEvent, State, Transaction, stored
from domain.money import format_minor

WalletStatus = Literal["open", "frozen", "closed"]

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


@stored
class WalletFrozen(Event, frozen=True, kw_only=True):
    """It pays nothing any more; money that comes for it is still credited."""

    topic: ClassVar[str] = "bursar.wallet.frozen.v1"
    account: str
    status: WalletStatus
    recorded_at: datetime


@stored
class WalletUnfrozen(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.wallet.unfrozen.v1"
    account: str
    status: WalletStatus
    recorded_at: datetime


WalletEvent = WalletOpened | WalletToppedUp | WalletCharged | WalletRefunded | WalletFrozen | WalletUnfrozen

# --- state


class Wallet(State, kw_only=True):
    """Amounts in minor units. `overdraft_limit` is zero unless granted."""

    wallet_id: str = ""
    currency: str = ""
    payer: str = ""
    status: WalletStatus = "open"
    balance_minor: int = 0
    held_minor: int = 0
    overdraft_limit_minor: int = 0

    @property
    def available_minor(self) -> int:
        """What may be spent: the balance less holds, plus the overdraft granted."""
        return self.balance_minor - self.held_minor + self.overdraft_limit_minor


def evolve(state: Wallet, event: WalletEvent) -> None:
    match event:
        case WalletToppedUp(amount=amount) | WalletRefunded(amount=amount):
            state.balance_minor += amount
        case WalletCharged(amount=amount):
            state.balance_minor -= amount
        case WalletFrozen(status=status) | WalletUnfrozen(status=status):
            state.status = status
        case WalletOpened():
            state.wallet_id = event.account
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
            account=state.wallet_id,
            currency=state.currency,
            balance=state.balance_minor,
            available=state.available_minor,
            status=state.status,
            payer=state.payer,
        )


# --- decisions


def open_wallet(
    state: Wallet, *, wallet_id: str, currency: str, payer: str, recorded_at: datetime
) -> WalletOpened:
    if state.version:
        raise DomainError(Code.WALLET_EXISTS, f"Wallet {wallet_id} is already there.", account=wallet_id)
    return WalletOpened(account=wallet_id, currency=currency, payer=payer, recorded_at=recorded_at)


def _check_status(state: Wallet, wallet_id: str, *allowed: WalletStatus) -> None:
    if not state.version:
        raise DomainError(Code.WALLET_NOT_FOUND, f"There is no wallet {wallet_id}.", account=wallet_id)
    if state.status not in allowed:
        raise DomainError(Code.WALLET_NOT_OPEN, f"Wallet {wallet_id} is {state.status}.", account=wallet_id)


def freeze(state: Wallet, *, wallet_id: str, recorded_at: datetime) -> WalletFrozen | None:
    """Freeze a wallet; nothing happens where it is frozen already."""
    _check_status(state, wallet_id, "open", "frozen")
    if state.status == "frozen":
        return None
    return WalletFrozen(account=wallet_id, status="frozen", recorded_at=recorded_at)


def unfreeze(state: Wallet, *, wallet_id: str, recorded_at: datetime) -> WalletUnfrozen | None:
    """Let a frozen wallet pay again; nothing happens where it is open already."""
    _check_status(state, wallet_id, "open", "frozen")
    if state.status == "open":
        return None
    return WalletUnfrozen(account=wallet_id, status="open", recorded_at=recorded_at)


def _check_currency(state: Wallet, wallet_id: str, currency: str) -> None:
    if currency != state.currency:
        raise DomainError(
            Code.CURRENCY_MISMATCH,
            f"Wallet {wallet_id} is in {state.currency}, not {currency}.",
            account=wallet_id,
        )


def top_up(
    state: Wallet,
    transaction: Transaction,
    *,
    wallet_id: str,
    amount_minor: int,
    tender: str,
    reference: str | None,
    receipt: str,
    description: str,
    leg: int = 0,
) -> WalletToppedUp:
    _check_status(state, wallet_id, "open", "frozen")
    _check_currency(state, wallet_id, transaction.currency)
    return WalletToppedUp(
        account=wallet_id,
        amount=amount_minor,
        currency=transaction.currency,
        tender=tender,
        reference=reference,
        receipt=receipt,
        description=description,
        leg=leg,
        **transaction.stamp,
    )


def check_funds(state: Wallet, *, wallet_id: str, currency: str, required_minor: int) -> None:
    """Refuse what a charge of `required` minor units would refuse, so that tenders can be split first."""
    _check_status(state, wallet_id, "open")
    _check_currency(state, wallet_id, currency)
    if required_minor > state.available_minor:
        raise DomainError(
            Code.INSUFFICIENT_FUNDS,
            f"Wallet {wallet_id} has {format_minor(state.available_minor, currency)} {currency} available,"
            f" {format_minor(required_minor, currency)} {currency} is required.",
            account=wallet_id,
            available=state.available_minor,
            required=required_minor,
        )


def charge(
    state: Wallet,
    transaction: Transaction,
    *,
    wallet_id: str,
    amount_minor: int,
    purpose: Literal["charge", "sale", "invoice"],
    description: str,
    receipt: str,
    income: str | None = None,
) -> WalletCharged:
    check_funds(state, wallet_id=wallet_id, currency=transaction.currency, required_minor=amount_minor)
    return WalletCharged(
        account=wallet_id,
        amount=amount_minor,
        currency=transaction.currency,
        purpose=purpose,
        income=income,
        receipt=receipt,
        description=description,
        **transaction.stamp,
    )


def refund(
    state: Wallet,
    transaction: Transaction,
    *,
    wallet_id: str,
    amount_minor: int,
    sale: str,
    description: str,
    receipt: str,
) -> WalletRefunded:
    _check_status(state, wallet_id, "open", "frozen")
    _check_currency(state, wallet_id, transaction.currency)
    return WalletRefunded(
        account=wallet_id,
        amount=amount_minor,
        currency=transaction.currency,
        sale=sale,
        receipt=receipt,
        description=description,
        **transaction.stamp,
    )
