"""The wallet: money that a school holds for somebody, a liability of the school."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import ClassVar, Literal, Self, assert_never

import msgspec

from domain import calendar
from domain.errors import Code, DomainError
from domain.event import Event, MoneyEvent, State, Transaction, stored
from domain.ids import SaleId, WalletId
from domain.money import format_minor

WalletStatus = Literal["open", "frozen", "closed"]

# --- events


@stored
class WalletOpened(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.wallet.opened.v1"
    account: WalletId
    currency: str
    payer: str
    recorded_at: datetime


class _Movement(MoneyEvent, frozen=True, kw_only=True):
    """`description` is a fixed phrase or the caller's words; `receipt` is the number of the receipt."""

    account: WalletId
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
    sale: SaleId


class _Reversed(_Movement, frozen=True, kw_only=True):
    """`reverses` is the transaction that is taken back."""

    reverses: str


@stored
class WalletTopUpReversed(_Reversed, frozen=True, kw_only=True):
    """What a top-up, or the excess of a settlement, brought goes back to its tender."""

    topic: ClassVar[str] = "bursar.wallet.top_up_reversed.v1"
    tender: str
    reference: str | None
    leg: int


@stored
class WalletChargeReversed(_Reversed, frozen=True, kw_only=True):
    """What was charged comes back."""

    topic: ClassVar[str] = "bursar.wallet.charge_reversed.v1"
    purpose: Literal["charge", "sale", "invoice"]
    income: str | None


@stored
class WalletFrozen(Event, frozen=True, kw_only=True):
    """It pays nothing any more; money that comes for it is still credited."""

    topic: ClassVar[str] = "bursar.wallet.frozen.v1"
    account: WalletId
    status: WalletStatus
    recorded_at: datetime


@stored
class WalletUnfrozen(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.wallet.unfrozen.v1"
    account: WalletId
    status: WalletStatus
    recorded_at: datetime


WalletEvent = (
    WalletOpened
    | WalletToppedUp
    | WalletCharged
    | WalletRefunded
    | WalletTopUpReversed
    | WalletChargeReversed
    | WalletFrozen
    | WalletUnfrozen
)

# --- state


class Wallet(State, kw_only=True):
    """Amounts in minor units. `overdraft_limit` is zero unless granted, `nets` what moved on each of the last days."""

    wallet_id: WalletId = WalletId("")
    currency: str = ""
    payer: str = ""
    status: WalletStatus = "open"
    balance_minor: int = 0
    held_minor: int = 0
    overdraft_limit_minor: int = 0
    nets: Mapping[date, int] = msgspec.field(default_factory=dict)

    @property
    def available_minor(self) -> int:
        """What may be spent: the balance less holds, plus the overdraft granted."""
        return self.balance_minor - self.held_minor + self.overdraft_limit_minor

    def available_to(self, transaction: Transaction) -> int:
        """What a transaction may spend, so that no day from its date on falls below the limit."""
        lowest = calendar.lowest_from(
            transaction.stamp["effective_date"],
            self.balance_minor,
            self.nets,
            recorded_at=transaction.stamp["recorded_at"],
        )
        return self.available_minor - (self.balance_minor - lowest)


def evolve(state: Wallet, event: WalletEvent) -> None:
    match event:
        case WalletToppedUp() | WalletRefunded() | WalletChargeReversed():
            _move(state, event, event.amount)
        case WalletCharged() | WalletTopUpReversed():
            _move(state, event, -event.amount)
        case WalletFrozen(status=status) | WalletUnfrozen(status=status):
            state.status = status
        case WalletOpened():
            state.wallet_id = event.account
            state.currency = event.currency
            state.payer = event.payer
        case _:
            assert_never(event)


def _move(state: Wallet, event: _Movement, amount_minor: int) -> None:
    state.balance_minor += amount_minor
    state.nets = calendar.moved(state.nets, event.effective_date, amount_minor, recorded_at=event.recorded_at)


# --- as answers show it


class WalletView(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet as every answer shows it, of a read or of a command. Amounts in minor units."""

    account: WalletId
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
    state: Wallet, *, wallet_id: WalletId, currency: str, payer: str, recorded_at: datetime
) -> WalletOpened:
    if state.version:
        raise DomainError(Code.WALLET_EXISTS, f"Wallet {wallet_id} is already there.", account=wallet_id)
    return WalletOpened(account=wallet_id, currency=currency, payer=payer, recorded_at=recorded_at)


def _check_status(state: Wallet, wallet_id: WalletId, *allowed: WalletStatus) -> None:
    if not state.version:
        raise DomainError(Code.WALLET_NOT_FOUND, f"There is no wallet {wallet_id}.", account=wallet_id)
    if state.status not in allowed:
        raise DomainError(Code.WALLET_NOT_OPEN, f"Wallet {wallet_id} is {state.status}.", account=wallet_id)


def freeze(state: Wallet, *, wallet_id: WalletId, recorded_at: datetime) -> WalletFrozen | None:
    """Freeze a wallet; nothing happens where it is frozen already."""
    _check_status(state, wallet_id, "open", "frozen")
    if state.status == "frozen":
        return None
    return WalletFrozen(account=wallet_id, status="frozen", recorded_at=recorded_at)


def unfreeze(state: Wallet, *, wallet_id: WalletId, recorded_at: datetime) -> WalletUnfrozen | None:
    """Let a frozen wallet pay again; nothing happens where it is open already."""
    _check_status(state, wallet_id, "open", "frozen")
    if state.status == "open":
        return None
    return WalletUnfrozen(account=wallet_id, status="open", recorded_at=recorded_at)


def _check_currency(state: Wallet, wallet_id: WalletId, currency: str) -> None:
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
    wallet_id: WalletId,
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


def check_funds(state: Wallet, transaction: Transaction, *, wallet_id: WalletId, required_minor: int) -> int:
    """Refuse what a charge of `required` minor units would refuse, so that tenders can be split first.

    Returns what is available on the transaction's date.
    """
    _check_status(state, wallet_id, "open")
    _check_currency(state, wallet_id, transaction.currency)
    available, currency = state.available_to(transaction), transaction.currency
    if required_minor > available:
        since = f" from {transaction.stamp['effective_date']} on" if available < state.available_minor else ""
        raise DomainError(
            Code.INSUFFICIENT_FUNDS,
            f"Wallet {wallet_id} has {format_minor(available, currency)} {currency} available{since},"
            f" {format_minor(required_minor, currency)} {currency} is required.",
            account=wallet_id,
            available=available,
            required=required_minor,
        )
    return available


def charge(
    state: Wallet,
    transaction: Transaction,
    *,
    wallet_id: WalletId,
    amount_minor: int,
    purpose: Literal["charge", "sale", "invoice"],
    description: str,
    receipt: str,
    income: str | None = None,
) -> WalletCharged:
    check_funds(state, transaction, wallet_id=wallet_id, required_minor=amount_minor)
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
    wallet_id: WalletId,
    amount_minor: int,
    sale: SaleId,
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


def reverse_top_up(
    state: Wallet, transaction: Transaction, *, topped_up: WalletToppedUp, receipt: str
) -> WalletTopUpReversed:
    """Take a top-up back: like a payment, it takes an open wallet in which the money still is."""
    check_funds(state, transaction, wallet_id=topped_up.account, required_minor=topped_up.amount)
    return WalletTopUpReversed(
        account=topped_up.account,
        amount=topped_up.amount,
        currency=topped_up.currency,
        description=f"Reversal of {topped_up.receipt}",
        receipt=receipt,
        reverses=topped_up.transaction_id,
        tender=topped_up.tender,
        reference=topped_up.reference,
        leg=topped_up.leg,
        **transaction.stamp,
    )


def reverse_charge(
    state: Wallet, transaction: Transaction, *, charged: WalletCharged, receipt: str
) -> WalletChargeReversed:
    """Take a charge back: like other money that comes, it is also credited to a frozen wallet."""
    _check_status(state, charged.account, "open", "frozen")
    return WalletChargeReversed(
        account=charged.account,
        amount=charged.amount,
        currency=charged.currency,
        description=f"Reversal of {charged.receipt}",
        receipt=receipt,
        reverses=charged.transaction_id,
        purpose=charged.purpose,
        income=charged.income,
        **transaction.stamp,
    )
