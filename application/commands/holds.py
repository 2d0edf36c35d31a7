"""Commands on holds: set money of a wallet aside, capture it or release it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from application.commands import wallets
from application.commands.fields import Amount, Currency, IncomeRole, Text
from application.pipeline.command import Command, CommandSpec
from application.pipeline.unit_of_work import ReceiptView, UnitOfWork
from domain import hold, tenant, wallet
from domain.capability import Capability
from domain.errors import Code, DomainError
from domain.event import Transaction
from domain.ids import UUID, HoldId, WalletId, hold_stream, wallet_stream
from domain.tender import Share, Tender
from domain.wallet import HoldView, WalletView


class PlaceHold(wallets.OfAWallet, frozen=True, kw_only=True):
    """Set money of a wallet aside; it is spent only by capturing the hold."""

    amount: Amount
    currency: Currency
    description: Annotated[Text, Meta(description="What it is for.")] | None = None
    expires_at: (
        Annotated[
            datetime,
            Meta(tz=True, description="From then on it counts no more; by default after the policy's hours."),
        ]
        | None
    ) = None


class CaptureHold(Command, frozen=True, kw_only=True):
    """Charge the wallet with what it holds, or with less; the rest is released."""

    path: ClassVar = "hold"
    hold: Annotated[HoldId, UUID] = HoldId("")
    amount: Amount | None = None
    description: Annotated[Text, Meta(description="By default the hold's.")] | None = None
    income: IncomeRole = "sales"

    def streams(self, tenant_name: str) -> Iterable[str]:
        return (hold_stream(tenant_name, self.hold),)


class ReleaseHold(Command, frozen=True, kw_only=True):
    """Let the money of a hold go; nothing is charged."""

    path: ClassVar = "hold"
    hold: Annotated[HoldId, UUID] = HoldId("")

    def streams(self, tenant_name: str) -> Iterable[str]:
        return (hold_stream(tenant_name, self.hold),)


# --- answers


class HoldChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A hold that was placed or released, and its wallet."""

    hold: HoldView
    wallet: WalletView


class HoldCaptured(msgspec.Struct, frozen=True, kw_only=True):
    """A hold that was captured, and its wallet."""

    transaction_id: str
    hold: HoldView
    wallet: WalletView
    receipt: ReceiptView


# --- handlers


def account_of(unit: UnitOfWork, hold_id: HoldId) -> WalletId:
    """The wallet that a hold is on; refused where there is no such hold."""
    placed = unit.state(hold.PlacedHold, hold_stream(unit.tenant_name, hold_id))
    hold.check_exists(placed, hold_id)
    return placed.account


def handle_place(command: PlaceHold, unit: UnitOfWork) -> HoldChanged:
    account, hold_id = command.account, HoldId(unit.command_id)
    policies = unit.tenant().policies
    event = wallet.hold(
        wallets.current(unit, account),
        unit.transaction(command.currency, None),
        wallet_id=account,
        hold_id=hold_id,
        amount_minor=command.amount,
        description=command.description,
        expires_at=command.expires_at or unit.recorded_at + timedelta(hours=policies.hold_hours),
    )
    tenant.check_amount(unit.tenant(), command.amount)
    placed = hold.place(hold_id=hold_id, account=account, recorded_at=unit.recorded_at)
    unit.create(hold_stream(unit.tenant_name, hold_id), placed)
    unit.emit(wallet_stream(unit.tenant_name, account), event)
    state = wallets.current(unit, account)
    return HoldChanged(
        hold=HoldView.of(state, hold_id, state.holds[hold_id], status="active"), wallet=WalletView.of(state)
    )


def handle_capture(command: CaptureHold, unit: UnitOfWork) -> HoldCaptured:
    account = account_of(unit, command.hold)
    state = wallets.current(unit, account)
    held = wallet.active_hold(state, command.hold)
    amount_minor = held.amount_minor if command.amount is None else command.amount
    transaction = unit.transaction(state.currency, None)
    event = wallet.capture(
        state, transaction, wallet_id=account, hold_id=command.hold, amount_minor=amount_minor
    )
    unit.emit(wallet_stream(unit.tenant_name, account), event)
    receipt = wallets.spend(
        unit,
        transaction,
        account=account,
        amount_minor=amount_minor,
        income=command.income,
        description=command.description or held.description or "Captured hold",
    )
    return HoldCaptured(
        transaction_id=unit.command_id,
        hold=HoldView.of(state, command.hold, held, status="captured", captured_minor=amount_minor),
        wallet=WalletView.of(wallets.current(unit, account)),
        receipt=receipt,
    )


def handle_release(command: ReleaseHold, unit: UnitOfWork) -> HoldChanged:
    account = account_of(unit, command.hold)
    state = wallets.current(unit, account)
    held = wallet.active_hold(state, command.hold)
    event = wallet.release(state, wallet_id=account, hold_id=command.hold, recorded_at=unit.recorded_at)
    unit.emit(wallet_stream(unit.tenant_name, account), event)
    return HoldChanged(
        hold=HoldView.of(state, command.hold, held, status="released"),
        wallet=WalletView.of(wallets.current(unit, account)),
    )


# --- tenders that name a hold


def with_wallets(unit: UnitOfWork, tenders: Sequence[Tender]) -> Sequence[Tender]:
    """The tenders, those that name a hold with the wallet that it is on."""
    named = [tender.hold for tender in tenders if tender.hold]
    if len(set(named)) < len(named):
        raise DomainError(Code.INVALID_REQUEST, "Two tenders name the same hold.")
    return [_with_wallet(unit, tender, tender.hold) if tender.hold else tender for tender in tenders]


def _with_wallet(unit: UnitOfWork, tender: Tender, hold_id: HoldId) -> Tender:
    account = account_of(unit, hold_id)
    if tender.type != "wallet" or tender.account not in (None, account):
        raise DomainError(Code.INVALID_REQUEST, "Only a tender of the wallet that a hold is on can name it.")
    return msgspec.structs.replace(tender, account=account)


def available(
    unit: UnitOfWork, transaction: Transaction, tenders: Sequence[Tender]
) -> Callable[[WalletId], int]:
    """What each wallet may spend in a transaction, with what those holds set aside that the tenders name."""
    free = wallets.available(unit, transaction)
    held = Counter[WalletId]()
    for tender in tenders:
        if tender.hold and tender.account:
            named = wallet.active_hold(wallets.current(unit, tender.account), tender.hold)
            held[tender.account] += named.amount_minor
    return lambda account: free(account) + held[account]


def end(
    unit: UnitOfWork, transaction: Transaction, tenders: Sequence[Tender], shares: Sequence[Share]
) -> None:
    """End each hold that a tender names, before its wallet is charged: what the share takes is captured."""
    for tender in tenders:
        if tender.hold and tender.account:
            state = wallets.current(unit, tender.account)
            held_minor = wallet.active_hold(state, tender.hold).amount_minor
            share_minor = sum(share.amount_minor for share in shares if share.hold == tender.hold)
            if share_minor:
                event: wallet.WalletEvent = wallet.capture(
                    state,
                    transaction,
                    wallet_id=tender.account,
                    hold_id=tender.hold,
                    amount_minor=min(share_minor, held_minor),
                )
            else:
                event = wallet.release(
                    state, wallet_id=tender.account, hold_id=tender.hold, recorded_at=unit.recorded_at
                )
            unit.emit(wallet_stream(unit.tenant_name, tender.account), event)


SPECS = (
    CommandSpec(
        action="wallet.hold",
        command_type=PlaceHold,
        handler=handle_place,
        answer_type=HoldChanged,
        capability=Capability.WALLET_HOLD,
        key_required=True,
    ),
    CommandSpec(
        action="hold.capture",
        command_type=CaptureHold,
        handler=handle_capture,
        answer_type=HoldCaptured,
        capability=Capability.WALLET_HOLD,
        key_required=True,
    ),
    CommandSpec(
        action="hold.release",
        command_type=ReleaseHold,
        handler=handle_release,
        answer_type=HoldChanged,
        capability=Capability.WALLET_HOLD,
        status=200,
    ),
)
