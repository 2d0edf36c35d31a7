"""Decisions on a wallet that need a second person: adjust it, pay it out, let it be overdrawn, call it dormant.

Who approves is not their business: whoever executes an approval asks them.
"""

from datetime import datetime

from domain.chart import check_adjustment
from domain.errors import Code, DomainError
from domain.event import Transaction
from domain.ids import WalletId
from domain.money import format_minor
from domain.wallet.decisions import check_available, check_currency, check_funds, check_status
from domain.wallet.events import WalletAdjusted, WalletMadeDormant, WalletOverdraftGranted, WalletPaidOut
from domain.wallet.state import Wallet


def adjust(
    state: Wallet,
    transaction: Transaction,
    *,
    wallet_id: WalletId,
    amount_minor: int,
    role: str,
    description: str,
    receipt: str,
) -> WalletAdjusted:
    """Put a wallet right by an amount, which is negative where it takes money out; a frozen one too."""
    check_status(state, wallet_id, "open", "frozen")
    check_currency(state, wallet_id, transaction.currency)
    check_adjustment(role)
    if not amount_minor:
        raise DomainError(Code.INVALID_REQUEST, "An adjustment of nothing changes nothing.")
    if amount_minor < 0:
        check_available(state, transaction, wallet_id=wallet_id, required_minor=-amount_minor)
    return WalletAdjusted(
        account=wallet_id,
        amount=amount_minor,
        currency=transaction.currency,
        role=role,
        description=description,
        receipt=receipt,
        **transaction.stamp,
    )


def pay_out(
    state: Wallet,
    transaction: Transaction,
    *,
    wallet_id: WalletId,
    amount_minor: int,
    tender: str,
    reference: str | None,
    description: str,
    receipt: str,
) -> WalletPaidOut:
    """Give money of a wallet back by a tender."""
    check_funds(state, transaction, wallet_id=wallet_id, required_minor=amount_minor)
    return WalletPaidOut(
        account=wallet_id,
        amount=amount_minor,
        currency=transaction.currency,
        tender=tender,
        reference=reference,
        description=description,
        receipt=receipt,
        **transaction.stamp,
    )


def make_dormant(
    state: Wallet, transaction: Transaction, *, wallet_id: WalletId, receipt: str
) -> WalletMadeDormant:
    """Move all that is in a wallet, held by nobody, to the unclaimed balances; a frozen one's too."""
    check_status(state, wallet_id, "open", "frozen")
    check_currency(state, wallet_id, transaction.currency)
    amount_minor = state.balance_minor
    if amount_minor <= 0 or state.holds:
        raise DomainError(
            Code.NOTHING_UNCLAIMED,
            f"Wallet {wallet_id} has nothing in it, or what it has is held.",
            account=wallet_id,
        )
    check_available(state, transaction, wallet_id=wallet_id, required_minor=amount_minor)
    return WalletMadeDormant(
        account=wallet_id,
        amount=amount_minor,
        currency=transaction.currency,
        description="To unclaimed balances",
        receipt=receipt,
        **transaction.stamp,
    )


def grant_overdraft(
    state: Wallet, *, wallet_id: WalletId, limit_minor: int, currency: str, recorded_at: datetime
) -> WalletOverdraftGranted | None:
    """Let a wallet go so far below zero; nothing happens where it already may. No less than what it has used."""
    check_status(state, wallet_id, "open", "frozen")
    check_currency(state, wallet_id, currency)
    if limit_minor == state.overdraft_limit_minor:
        return None
    used_minor = state.held_minor - state.balance_minor
    if limit_minor < used_minor:
        raise DomainError(
            Code.OVERDRAFT_IN_USE,
            f"Wallet {wallet_id} has used {format_minor(used_minor, currency)} {currency} of its overdraft.",
            account=wallet_id,
            required=used_minor,
        )
    return WalletOverdraftGranted(
        account=wallet_id, limit=limit_minor, currency=currency, recorded_at=recorded_at
    )
