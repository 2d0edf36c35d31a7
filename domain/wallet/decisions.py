"""Decisions on a wallet: what opens it, moves money into it and out of it, freezes and closes it."""

from datetime import datetime
from typing import Literal

from domain.errors import Code, DomainError
from domain.event import Transaction
from domain.ids import SaleId, WalletId
from domain.money import format_minor
from domain.wallet.events import (
    WalletCharged,
    WalletChargeReversed,
    WalletClosed,
    WalletFrozen,
    WalletOpened,
    WalletRefunded,
    WalletStatus,
    WalletToppedUp,
    WalletTopUpReversed,
    WalletTransferredIn,
    WalletTransferredOut,
    WalletUnfrozen,
)
from domain.wallet.state import Wallet


def open_wallet(
    state: Wallet, *, wallet_id: WalletId, currency: str, payer: str, recorded_at: datetime
) -> WalletOpened:
    if state.version:
        raise DomainError(Code.WALLET_EXISTS, f"Wallet {wallet_id} is already there.", account=wallet_id)
    return WalletOpened(account=wallet_id, currency=currency, payer=payer, recorded_at=recorded_at)


def check_status(state: Wallet, wallet_id: WalletId, *allowed: WalletStatus) -> None:
    """Refuse a wallet that does not exist, is closed or frozen (`wallet_not_found`, `wallet_closed`, `wallet_not_open`)."""
    if not state.version:
        raise DomainError(Code.WALLET_NOT_FOUND, f"There is no wallet {wallet_id}.", account=wallet_id)
    if state.status == "closed":
        raise DomainError(Code.WALLET_CLOSED, f"Wallet {wallet_id} is closed.", account=wallet_id)
    if state.status not in allowed:
        raise DomainError(Code.WALLET_NOT_OPEN, f"Wallet {wallet_id} is {state.status}.", account=wallet_id)


def freeze(state: Wallet, *, wallet_id: WalletId, recorded_at: datetime) -> WalletFrozen | None:
    """Freeze a wallet; nothing happens where it is frozen already."""
    check_status(state, wallet_id, "open", "frozen")
    if state.status == "frozen":
        return None
    return WalletFrozen(account=wallet_id, status="frozen", recorded_at=recorded_at)


def unfreeze(state: Wallet, *, wallet_id: WalletId, recorded_at: datetime) -> WalletUnfrozen | None:
    """Let a frozen wallet pay again; nothing happens where it is open already."""
    check_status(state, wallet_id, "open", "frozen")
    if state.status == "open":
        return None
    return WalletUnfrozen(account=wallet_id, status="open", recorded_at=recorded_at)


def close(state: Wallet, *, wallet_id: WalletId, recorded_at: datetime) -> WalletClosed | None:
    """Close an empty wallet for good; nothing happens where it is closed already."""
    if state.status == "closed":
        return None
    check_status(state, wallet_id, "open", "frozen")
    if state.balance_minor or state.holds:
        raise DomainError(
            Code.WALLET_NOT_EMPTY,
            f"Wallet {wallet_id} has {format_minor(state.balance_minor, state.currency)} {state.currency},"
            f" {format_minor(state.held_minor, state.currency)} {state.currency} of it held.",
            account=wallet_id,
        )
    return WalletClosed(account=wallet_id, status="closed", recorded_at=recorded_at)


def check_currency(state: Wallet, wallet_id: WalletId, currency: str) -> None:
    """Refuse another currency than the wallet's (`currency_mismatch`)."""
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
    check_status(state, wallet_id, "open", "frozen")
    check_currency(state, wallet_id, transaction.currency)
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
    check_status(state, wallet_id, "open")
    check_currency(state, wallet_id, transaction.currency)
    return check_available(state, transaction, wallet_id=wallet_id, required_minor=required_minor)


def check_available(
    state: Wallet, transaction: Transaction, *, wallet_id: WalletId, required_minor: int
) -> int:
    """Refuse to take more than is available on the transaction's date (`insufficient_funds`); returns what is."""
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
    check_status(state, wallet_id, "open", "frozen")
    check_currency(state, wallet_id, transaction.currency)
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
    check_status(state, charged.account, "open", "frozen")
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


def transfer(
    source: Wallet,
    target: Wallet,
    transaction: Transaction,
    *,
    from_id: WalletId,
    to_id: WalletId,
    amount_minor: int,
    description: str | None,
) -> tuple[WalletTransferredOut, WalletTransferredIn]:
    """Move money from one wallet to another of the same payer. A frozen wallet takes it, and pays none."""
    if from_id == to_id:
        raise DomainError(Code.INVALID_REQUEST, "A transfer names two wallets.")
    check_status(target, to_id, "open", "frozen")
    check_currency(target, to_id, transaction.currency)
    check_funds(source, transaction, wallet_id=from_id, required_minor=amount_minor)
    check_payer(target, to_id, source.payer)
    out = WalletTransferredOut(
        account=from_id,
        other=to_id,
        amount=amount_minor,
        currency=transaction.currency,
        description=description or f"Transfer to {to_id}",
        **transaction.stamp,
    )
    into = WalletTransferredIn(
        account=to_id,
        other=from_id,
        amount=amount_minor,
        currency=transaction.currency,
        description=description or f"Transfer from {from_id}",
        **transaction.stamp,
    )
    return out, into


def check_payer(state: Wallet, wallet_id: WalletId, *payers: str) -> None:
    """Refuse a wallet of another payer (`not_same_family`)."""
    if state.payer not in payers:
        raise DomainError(
            Code.NOT_SAME_FAMILY, f"Wallet {wallet_id} is not one of payer {payers[0]}.", account=wallet_id
        )
