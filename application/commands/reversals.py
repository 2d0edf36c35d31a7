"""The reversal of a transaction: whatever it did is undone by events of the same aggregates.

It goes by the transaction's events, whatever command led to them: `WAYS` says of each kind of event how it is taken
back, or by what else, and what does not stand there is not reversible.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, NoReturn

import msgspec
from msgspec import Meta

from application.commands import wallets
from application.commands.fields import EffectiveDate, Text
from application.pipeline.command import Command, CommandSpec
from application.pipeline.records import record_name
from application.pipeline.unit_of_work import ReceiptView, UnitOfWork
from domain import invoice, ledger_account, reversal, wallet
from domain.capability import Capability
from domain.errors import Code, DomainError
from domain.event import MoneyEvent, Transaction
from domain.ids import UUID, WalletId, account_stream, invoice_stream, reversal_stream, wallet_stream
from domain.invoice import InvoiceIssued, PaymentApplied
from domain.ledger_account import AccountCredited, AccountDebited
from domain.provider_receipt import ProviderReceiptClaimed
from domain.reversal import TransactionReversed
from domain.sale import SaleCompleted, SaleRefunded
from domain.wallet import (
    WalletCharged,
    WalletHoldCaptured,
    WalletToppedUp,
    WalletTransferredIn,
    WalletTransferredOut,
    WalletView,
)


class ReverseTransaction(Command, frozen=True, kw_only=True):
    """Take a transaction back whole, once: every balance that it moved is as it was before.

    Reversible are cash and bank top-ups, charges and transfers of wallets, and settlements of invoices by cash, bank and wallet. The date
    is not before the transaction's own.
    """

    path: ClassVar = "transaction"
    transaction: Annotated[str, UUID] = ""
    reason: Annotated[Text, Meta(description="Why, in one line; it stays with the reversal.")]
    effective_date: EffectiveDate | None = None

    def streams(self, tenant_name: str) -> Iterable[str]:
        return (
            record_name(tenant_name, self.transaction),
            reversal_stream(tenant_name, self.transaction),
        )


# --- answers


class TransactionReversedAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reversal: the wallets that it moved, and its receipt, where the transaction had one."""

    transaction_id: str
    reverses: str
    wallets: Sequence[WalletView]
    receipt: ReceiptView | None = None


# --- how each kind of event is taken back


class _Reversing(msgspec.Struct, frozen=True):
    """The reversal under way: its unit of work, its transaction, and the number of its receipt, if it has one."""

    unit: UnitOfWork
    transaction: Transaction
    receipt: str


def _post_back(unit: UnitOfWork, transaction: Transaction, posted: AccountDebited | AccountCredited) -> None:
    """On the very account that was posted to, whatever stands for its role by now."""
    stream = account_stream(unit.tenant_name, posted.code)
    event = ledger_account.post(
        unit.state(ledger_account.LedgerAccount, stream),
        transaction,
        side="debit" if isinstance(posted, AccountCredited) else "credit",
        amount_minor=posted.amount,
    )
    unit.emit(stream, event)


def _reopen(reversing: _Reversing, applied: PaymentApplied) -> None:
    stream = invoice_stream(reversing.unit.tenant_name, applied.invoice)
    state = reversing.unit.state(invoice.Invoice, stream)
    event = invoice.reverse_payment(state, reversing.transaction, applied=applied, receipt=reversing.receipt)
    reversing.unit.emit(stream, event)


def _give_back(reversing: _Reversing, charged: WalletCharged) -> None:
    stream = wallet_stream(reversing.unit.tenant_name, charged.account)
    state = wallets.current(reversing.unit, charged.account)
    event = wallet.reverse_charge(state, reversing.transaction, charged=charged, receipt=reversing.receipt)
    reversing.unit.emit(stream, event)


def _take_out(reversing: _Reversing, topped_up: WalletToppedUp) -> None:
    stream = wallet_stream(reversing.unit.tenant_name, topped_up.account)
    state = wallets.current(reversing.unit, topped_up.account)
    event = wallet.reverse_top_up(
        state, reversing.transaction, topped_up=topped_up, receipt=reversing.receipt
    )
    reversing.unit.emit(stream, event)


def _transfer_back(reversing: _Reversing, moved: WalletTransferredIn) -> None:
    out, into = wallet.transfer(
        wallets.current(reversing.unit, moved.account),
        wallets.current(reversing.unit, moved.other),
        reversing.transaction,
        from_id=moved.account,
        to_id=moved.other,
        amount_minor=moved.amount,
        description=f"Reversal: {moved.description}",
    )
    reversing.unit.emit(wallet_stream(reversing.unit.tenant_name, moved.account), out)
    reversing.unit.emit(wallet_stream(reversing.unit.tenant_name, moved.other), into)


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How an event is taken back: `check` refuses it where it is not, `undo` does it."""

    check: Callable[[UnitOfWork, Any], None] | None = None
    undo: Callable[[_Reversing, Any], None] | None = None


def _refused(code: Code, why: str) -> Way:
    def check(_unit: UnitOfWork, _event: MoneyEvent) -> NoReturn:
        raise DomainError(code, why)

    return Way(check=check)


def _check_issue(unit: UnitOfWork, issued: InvoiceIssued) -> NoReturn:
    state = unit.state(invoice.Invoice, invoice_stream(unit.tenant_name, issued.invoice))
    if state.open_minor == state.total_minor:
        raise DomainError(Code.USE_VOID, f"Invoice {issued.number} is taken back by voiding it.")
    raise DomainError(
        Code.USE_CREDIT, f"Invoice {issued.number} is taken back by a credit note: something of it was paid."
    )


WAYS: Final[Mapping[type[MoneyEvent], Way]] = {
    SaleCompleted: _refused(Code.USE_REFUND, "A sale is taken back by a refund."),
    SaleRefunded: _refused(Code.NOT_REVERSIBLE, "A refund is not taken back; sell again."),
    InvoiceIssued: Way(check=_check_issue),
    TransactionReversed: _refused(
        Code.NOT_REVERSIBLE, "A reversal is not taken back; do again what it took back."
    ),
    # A reference stays claimed: the money that it names entered once, wherever it went since.
    ProviderReceiptClaimed: Way(check=lambda _, claimed: reversal.check_tender(claimed.provider)),
    # What was charged of a hold comes back; the hold stays ended, so that the money is free.
    WalletHoldCaptured: Way(),
    WalletTransferredOut: Way(),  # with what came in of it
    AccountCredited: Way(),  # what was posted is taken back before anything else
    AccountDebited: Way(),
    PaymentApplied: Way(check=lambda _, applied: reversal.check_tender(applied.tender), undo=_reopen),
    WalletCharged: Way(undo=_give_back),
    WalletToppedUp: Way(check=lambda _, topped_up: reversal.check_tender(topped_up.tender), undo=_take_out),
    WalletTransferredIn: Way(undo=_transfer_back),
}
"""What stands here first is checked and undone first: a sale is refused before what paid for it, and a wallet gets back
what it paid before it gives back what it got.
"""


def _checked(unit: UnitOfWork, events: Sequence[MoneyEvent]) -> list[tuple[Way, MoneyEvent]]:
    """Each event with the way in which it is taken back, in the order of `WAYS`; refused where one is not."""
    ordered = [(way, event) for kind, way in WAYS.items() for event in events if type(event) is kind]
    for way, event in ordered:
        if way.check:
            way.check(unit, event)
    for event in events:
        if type(event) not in WAYS:
            raise DomainError(Code.NOT_REVERSIBLE, f"{event.topic} is not taken back by a reversal.")
    return ordered


# --- handler


def handle_reverse(command: ReverseTransaction, unit: UnitOfWork) -> TransactionReversedAnswer:
    events = unit.events_of(command.transaction)
    if not events:
        raise DomainError(Code.TRANSACTION_NOT_FOUND, f"There is no transaction {command.transaction}.")
    stream = reversal_stream(unit.tenant_name, command.transaction)
    state = unit.state(reversal.Reversal, stream)
    reversal.check_reversible(state, transaction_id=command.transaction)
    ordered = _checked(unit, events)
    debits = [event for event in events if isinstance(event, AccountDebited)]
    transaction = unit.transaction(
        debits[0].currency, command.effective_date, not_before=debits[0].effective_date
    )
    for kind in (AccountCredited, AccountDebited):  # debits come first in every journal
        for posted in events:
            if isinstance(posted, kind):
                _post_back(unit, transaction, posted)
    receipt = _allocate_receipt(unit, events, debits)
    reversing = _Reversing(unit, transaction, receipt)
    for way, event in ordered:
        if way.undo:
            way.undo(reversing, event)
    unit.emit(
        stream,
        reversal.reverse(
            state,
            transaction,
            reverses=command.transaction,
            reason=command.reason,
            receipt=receipt or None,
        ),
    )
    return TransactionReversedAnswer(
        transaction_id=unit.command_id,
        reverses=command.transaction,
        wallets=_wallets(unit, events),
        receipt=unit.receipt(receipt) if receipt else None,
    )


def _allocate_receipt(
    unit: UnitOfWork, events: Sequence[MoneyEvent], debits: Sequence[AccountDebited]
) -> str:
    """The number of the reversal's own receipt, where what it takes back had one; else empty."""
    if not any(isinstance(event, PaymentApplied | WalletCharged | WalletToppedUp) for event in events):
        return ""
    return unit.allocate_receipt(
        "reversal", amount_minor=sum(debit.amount for debit in debits), currency=debits[0].currency
    )


_MOVEMENTS: Final = (WalletCharged, WalletToppedUp, WalletTransferredIn, WalletTransferredOut)


def _wallets(unit: UnitOfWork, events: Sequence[MoneyEvent]) -> list[WalletView]:
    moved: dict[WalletId, None] = {event.account: None for event in events if isinstance(event, _MOVEMENTS)}
    return [WalletView.of(wallets.current(unit, account)) for account in moved]


SPECS = (
    CommandSpec(
        action="transaction.reverse",
        command_type=ReverseTransaction,
        handler=handle_reverse,
        answer_type=TransactionReversedAnswer,
        capability=Capability.TRANSACTION_REVERSE,
        key_required=True,
    ),
)
