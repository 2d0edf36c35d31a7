"""Decisions on holds: money of a wallet that is set aside, to be captured or released."""

from datetime import UTC, datetime, timedelta
from typing import Final

from domain.errors import Code, DomainError
from domain.event import Transaction
from domain.ids import HoldId, WalletId
from domain.money import format_minor
from domain.tenant import MAX_HOLD_HOURS
from domain.wallet.decisions import check_currency, check_funds, check_status
from domain.wallet.events import WalletHeld, WalletHoldCaptured, WalletHoldExpired, WalletHoldReleased
from domain.wallet.state import Hold, Wallet

MAX_HOLDS: Final = 100
"""So many holds of a wallet may be active at once: its state stays small."""


def lapse(state: Wallet, *, recorded_at: datetime) -> list[WalletHoldExpired]:
    """Record the end of each hold that has expired by now. Every command on a wallet begins with it."""
    return [
        WalletHoldExpired(
            account=state.wallet_id,
            hold=hold_id,
            amount=held.amount_minor,
            expires_at=held.expires_at,
            recorded_at=recorded_at,
        )
        for hold_id, held in state.holds.items()
        if held.expires_at <= recorded_at
    ]


def hold(
    state: Wallet,
    transaction: Transaction,
    *,
    wallet_id: WalletId,
    hold_id: HoldId,
    amount_minor: int,
    description: str | None,
    expires_at: datetime,
) -> WalletHeld:
    """Set an amount aside until `expires_at`, as of the transaction's time."""
    recorded_at = transaction.stamp["recorded_at"]
    check_funds(state, transaction, wallet_id=wallet_id, required_minor=amount_minor)
    if not recorded_at < expires_at <= recorded_at + timedelta(hours=MAX_HOLD_HOURS):
        raise DomainError(
            Code.EXPIRES_AT_OUT_OF_RANGE, f"A hold expires after now, and within {MAX_HOLD_HOURS} hours."
        )
    if len(state.holds) >= MAX_HOLDS:
        raise DomainError(
            Code.TOO_MANY_HOLDS, f"Wallet {wallet_id} has {MAX_HOLDS} active holds.", account=wallet_id
        )
    return WalletHeld(
        account=wallet_id,
        hold=hold_id,
        amount=amount_minor,
        currency=transaction.currency,
        description=description,
        expires_at=expires_at.astimezone(UTC),
        recorded_at=recorded_at,
    )


def active_hold(state: Wallet, hold_id: HoldId) -> Hold:
    """A hold that still counts; refused with `hold_not_active` where it has ended."""
    held = state.holds.get(hold_id)
    if held is None:
        raise DomainError(
            Code.HOLD_NOT_ACTIVE, f"Hold {hold_id} was captured or released, or has expired.", hold=hold_id
        )
    return held


def capture(
    state: Wallet, transaction: Transaction, *, wallet_id: WalletId, hold_id: HoldId, amount_minor: int
) -> WalletHoldCaptured:
    """End a hold to charge an amount of it; the rest is free again."""
    check_status(state, wallet_id, "open")
    check_currency(state, wallet_id, transaction.currency)
    held = active_hold(state, hold_id)
    if amount_minor > held.amount_minor:
        raise DomainError(
            Code.CAPTURE_EXCEEDS_HOLD,
            f"The hold is of {format_minor(held.amount_minor, state.currency)} {state.currency},"
            f" {format_minor(amount_minor, state.currency)} {state.currency} is to be captured.",
            available=held.amount_minor,
            required=amount_minor,
        )
    return WalletHoldCaptured(
        account=wallet_id,
        hold=hold_id,
        amount=held.amount_minor,
        captured=amount_minor,
        currency=transaction.currency,
        **transaction.stamp,
    )


def release(
    state: Wallet, *, wallet_id: WalletId, hold_id: HoldId, recorded_at: datetime
) -> WalletHoldReleased:
    """End a hold; the money is free again. A frozen wallet's too."""
    check_status(state, wallet_id, "open", "frozen")
    held = active_hold(state, hold_id)
    return WalletHoldReleased(
        account=wallet_id, hold=hold_id, amount=held.amount_minor, recorded_at=recorded_at
    )
