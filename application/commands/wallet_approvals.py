"""Commands on wallets that need a second person: adjust, pay out, grant an overdraft, call dormant.

They have no route of their own: an approval executes them, so that they are not among `COMMANDS`.
"""

from typing import Annotated

from msgspec import Meta

from application.commands import wallets
from application.commands.fields import Amount, Currency, Text
from application.commands.wallets import OfAWallet, Source, WalletMoved
from application.pipeline.command import CommandSpec
from application.pipeline.unit_of_work import UnitOfWork
from domain import wallet
from domain.capability import Capability
from domain.ids import Name, wallet_stream
from domain.journal import Journal
from domain.money import MAX_AMOUNT_MINOR
from domain.wallet import WalletView


class AdjustWallet(OfAWallet, frozen=True, kw_only=True):
    """Put a wallet right; a negative amount takes money out. `role` is of an income or expense account."""

    amount: Annotated[int, Meta(ge=-MAX_AMOUNT_MINOR, le=MAX_AMOUNT_MINOR)]
    currency: Currency
    role: Name
    description: Text


class PayOut(OfAWallet, frozen=True, kw_only=True):
    """Give money of a wallet back by a tender."""

    amount: Amount
    currency: Currency
    tender: Source
    description: Text | None = None


class GrantOverdraft(OfAWallet, frozen=True, kw_only=True):
    """Let a wallet go so far below zero; 0 takes the grant back."""

    limit: Annotated[int, Meta(ge=0, le=MAX_AMOUNT_MINOR)]
    currency: Currency


class MakeDormant(OfAWallet, frozen=True, kw_only=True):
    """Move all that is in a wallet to the unclaimed balances."""


def _moved(
    unit: UnitOfWork, event: wallet.WalletAdjusted | wallet.WalletPaidOut | wallet.WalletMadeDormant
) -> WalletMoved:
    """Let a movement take effect, and answer with its wallet and receipt."""
    unit.emit(wallet_stream(unit.tenant_name, event.account), event)
    return WalletMoved(
        transaction_id=unit.command_id,
        wallet=WalletView.of(wallets.current(unit, event.account)),
        receipt=unit.receipt(event.receipt),
    )


def handle_adjust(command: AdjustWallet, unit: UnitOfWork) -> WalletMoved:
    transaction = unit.transaction(command.currency, None)
    amount_minor = abs(command.amount)
    event = wallet.adjust(
        wallets.current(unit, command.account),
        transaction,
        wallet_id=command.account,
        amount_minor=command.amount,
        role=command.role,
        description=command.description,
        receipt=unit.allocate_receipt("adjustment", amount_minor=amount_minor, currency=command.currency),
    )
    journal = Journal()
    operation = "wallet adjusted up" if command.amount > 0 else "wallet adjusted down"
    journal.post(operation, amount_minor, role=command.role)
    unit.post(journal, transaction)
    return _moved(unit, event)


def handle_pay_out(command: PayOut, unit: UnitOfWork) -> WalletMoved:
    transaction = unit.transaction(command.currency, None)
    event = wallet.pay_out(
        wallets.current(unit, command.account),
        transaction,
        wallet_id=command.account,
        amount_minor=command.amount,
        tender=command.tender.type,
        reference=command.tender.reference,
        description=command.description or f"Paid out, {command.tender.type}",
        receipt=unit.allocate_receipt("pay_out", amount_minor=command.amount, currency=command.currency),
    )
    journal = Journal()
    journal.post("wallet paid out", command.amount, tender=command.tender.type)
    unit.post(journal, transaction)
    return _moved(unit, event)


def handle_dormant(command: MakeDormant, unit: UnitOfWork) -> WalletMoved:
    state = wallets.current(unit, command.account)
    transaction = unit.transaction(unit.tenant().currency, None)
    event = wallet.make_dormant(
        state,
        transaction,
        wallet_id=command.account,
        receipt=unit.allocate_receipt(
            "dormant", amount_minor=state.balance_minor, currency=transaction.currency
        ),
    )
    journal = Journal()
    journal.post("wallet made dormant", event.amount)
    unit.post(journal, transaction)
    return _moved(unit, event)


def handle_overdraft(command: GrantOverdraft, unit: UnitOfWork) -> WalletView:
    event = wallet.grant_overdraft(
        wallets.current(unit, command.account),
        wallet_id=command.account,
        limit_minor=command.limit,
        currency=command.currency,
        recorded_at=unit.recorded_at,
    )
    if event:
        unit.emit(wallet_stream(unit.tenant_name, command.account), event)
    return WalletView.of(wallets.current(unit, command.account))


SPECS = (
    CommandSpec(
        action="wallet.adjust",
        command_type=AdjustWallet,
        handler=handle_adjust,
        answer_type=WalletMoved,
        capability=Capability.WALLET_ADJUST,
        key_required=True,
    ),
    CommandSpec(
        action="wallet.payout",
        command_type=PayOut,
        handler=handle_pay_out,
        answer_type=WalletMoved,
        capability=Capability.WALLET_PAYOUT,
        key_required=True,
    ),
    CommandSpec(
        action="wallet.dormant",
        command_type=MakeDormant,
        handler=handle_dormant,
        answer_type=WalletMoved,
        capability=Capability.WALLET_ADJUST,
        key_required=True,
    ),
    CommandSpec(
        action="wallet.overdraft",
        command_type=GrantOverdraft,
        handler=handle_overdraft,
        answer_type=WalletView,
        capability=Capability.WALLET_OVERDRAFT,
        status=200,
    ),
)
