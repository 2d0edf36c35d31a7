"""A wallet as its events have left it, and as answers show it."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal, Self, assert_never

import msgspec

from domain import calendar
from domain.event import State, Transaction
from domain.ids import HoldId, WalletId
from domain.wallet.events import (
    Movement,
    WalletAdjusted,
    WalletCharged,
    WalletChargeReversed,
    WalletClosed,
    WalletEvent,
    WalletFrozen,
    WalletHeld,
    WalletHoldCaptured,
    WalletHoldExpired,
    WalletHoldReleased,
    WalletMadeDormant,
    WalletOpened,
    WalletOverdraftGranted,
    WalletPaidOut,
    WalletRefunded,
    WalletStatus,
    WalletToppedUp,
    WalletTopUpReversed,
    WalletTransferredIn,
    WalletTransferredOut,
    WalletUnfrozen,
)

HoldStatus = Literal["active", "captured", "released", "expired"]


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold whose end is not recorded: what it sets aside, and until when it counts."""

    amount_minor: int
    expires_at: datetime
    description: str | None


class Wallet(State, kw_only=True):
    """Amounts in minor units. `overdraft_limit` is zero unless granted, `nets` what moved on each of the last days.

    `holds` are those whose end is not recorded, and `held` is what they add up to: also of one that has expired, until
    `domain.wallet.lapse` says so.
    """

    wallet_id: WalletId = WalletId("")
    currency: str = ""
    payer: str = ""
    status: WalletStatus = "open"
    balance_minor: int = 0
    held_minor: int = 0
    overdraft_limit_minor: int = 0
    nets: Mapping[date, int] = msgspec.field(default_factory=dict)
    holds: Mapping[HoldId, Hold] = msgspec.field(default_factory=dict)

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
        case WalletHeld():
            held = Hold(amount_minor=event.amount, expires_at=event.expires_at, description=event.description)
            state.holds = {**state.holds, event.hold: held}
            state.held_minor += event.amount
        case WalletHoldCaptured() | WalletHoldReleased() | WalletHoldExpired():
            state.holds = {hold: held for hold, held in state.holds.items() if hold != event.hold}
            state.held_minor -= event.amount
        case WalletTransferredIn() | WalletAdjusted():
            _move(state, event, event.amount)
        case WalletTransferredOut() | WalletPaidOut() | WalletMadeDormant():
            _move(state, event, -event.amount)
        case WalletOverdraftGranted():
            state.overdraft_limit_minor = event.limit
        case WalletFrozen(status=status) | WalletUnfrozen(status=status) | WalletClosed(status=status):
            state.status = status
        case WalletOpened():
            state.wallet_id = event.account
            state.currency = event.currency
            state.payer = event.payer
        case _:
            assert_never(event)


def _move(state: Wallet, event: Movement, amount_minor: int) -> None:
    state.balance_minor += amount_minor
    state.nets = calendar.moved(state.nets, event.effective_date, amount_minor, recorded_at=event.recorded_at)


# --- as answers show it


class WalletView(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet as every answer shows it, of a read or of a command. Amounts in minor units."""

    account: WalletId
    currency: str
    payer: str
    balance: int
    held: int
    available: int
    overdraft_limit: int
    status: str

    @classmethod
    def of(cls, state: Wallet) -> Self:
        """The wallet of a state in which the end of no hold remains to be recorded."""
        return cls(
            account=state.wallet_id,
            currency=state.currency,
            payer=state.payer,
            balance=state.balance_minor,
            held=state.held_minor,
            available=state.available_minor,
            overdraft_limit=state.overdraft_limit_minor,
            status=state.status,
        )


class HoldView(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as every answer shows it, of a read or of a command. Amounts in minor units."""

    id: HoldId
    account: WalletId
    amount: int
    captured: int
    status: HoldStatus
    expires_at: datetime
    currency: str
    description: str | None

    @classmethod
    def of(
        cls, state: Wallet, hold_id: HoldId, hold: Hold, *, status: HoldStatus, captured_minor: int = 0
    ) -> Self:
        """The hold of a wallet, with the status that it has come to."""
        return cls(
            id=hold_id,
            account=state.wallet_id,
            amount=hold.amount_minor,
            captured=captured_minor,
            status=status,
            expires_at=hold.expires_at,
            currency=state.currency,
            description=hold.description,
        )
