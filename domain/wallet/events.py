"""What happens to a wallet."""

from datetime import datetime
from typing import ClassVar, Literal

from domain.event import Event, MoneyEvent, stored
from domain.ids import HoldId, SaleId, WalletId

WalletStatus = Literal["open", "frozen", "closed"]


@stored
class WalletOpened(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.wallet.opened.v1"
    account: WalletId
    currency: str
    payer: str
    recorded_at: datetime


# --- money


class Movement(MoneyEvent, frozen=True, kw_only=True):
    """What every event has that moves money into a wallet or out of it.

    `description` is a fixed phrase or the caller's words.
    """

    account: WalletId
    amount: int
    currency: str
    description: str


class _ReceiptedMovement(Movement, frozen=True, kw_only=True):
    """`receipt` is the number of the receipt."""

    receipt: str


@stored
class WalletToppedUp(_ReceiptedMovement, frozen=True, kw_only=True):
    """Money came in by a tender. `leg` counts the tenders of a settlement whose excess this is, else 0."""

    topic: ClassVar[str] = "bursar.wallet.topped_up.v1"
    tender: str
    reference: str | None = None
    leg: int = 0


@stored
class WalletCharged(_ReceiptedMovement, frozen=True, kw_only=True):
    """Money was spent on `purpose`; a charge that is neither sale nor invoice names its income role."""

    topic: ClassVar[str] = "bursar.wallet.charged.v1"
    purpose: Literal["charge", "sale", "invoice"]
    income: str | None = None


@stored
class WalletRefunded(_ReceiptedMovement, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.wallet.refunded.v1"
    sale: SaleId


class _Reversed(_ReceiptedMovement, frozen=True, kw_only=True):
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
class WalletTransferredOut(Movement, frozen=True, kw_only=True):
    """Money went to `other`, a wallet of the same payer."""

    topic: ClassVar[str] = "bursar.wallet.transferred_out.v1"
    other: WalletId


@stored
class WalletTransferredIn(Movement, frozen=True, kw_only=True):
    """Money came from `other`, a wallet of the same payer."""

    topic: ClassVar[str] = "bursar.wallet.transferred_in.v1"
    other: WalletId


# --- what a second person approved


@stored
class WalletAdjusted(_ReceiptedMovement, frozen=True, kw_only=True):
    """It was put right; a negative `amount` took money out of it. The other side is on the account of `role`."""

    topic: ClassVar[str] = "bursar.wallet.adjusted.v1"
    role: str


@stored
class WalletPaidOut(_ReceiptedMovement, frozen=True, kw_only=True):
    """Money was given back to whom it belongs, by a tender."""

    topic: ClassVar[str] = "bursar.wallet.paid_out.v1"
    tender: str
    reference: str | None = None


@stored
class WalletMadeDormant(_ReceiptedMovement, frozen=True, kw_only=True):
    """All that was in it went to the unclaimed balances."""

    topic: ClassVar[str] = "bursar.wallet.made_dormant.v1"


@stored
class WalletOverdraftGranted(Event, frozen=True, kw_only=True):
    """From now on it may go `limit` minor units below zero; 0 grants nothing any more."""

    topic: ClassVar[str] = "bursar.wallet.overdraft_granted.v1"
    account: WalletId
    limit: int
    currency: str
    recorded_at: datetime


# --- holds


@stored
class WalletHeld(Event, frozen=True, kw_only=True):
    """`amount` was set aside, and is not spent otherwise until the hold ends, at `expires_at` by itself."""

    topic: ClassVar[str] = "bursar.wallet.held.v1"
    account: WalletId
    hold: HoldId
    amount: int
    currency: str
    description: str | None
    expires_at: datetime
    recorded_at: datetime


@stored
class WalletHoldCaptured(MoneyEvent, frozen=True, kw_only=True):
    """The hold ended, and `captured` of its `amount` is charged by the event that follows."""

    topic: ClassVar[str] = "bursar.wallet.hold_captured.v1"
    account: WalletId
    hold: HoldId
    amount: int
    captured: int
    currency: str


@stored
class WalletHoldReleased(Event, frozen=True, kw_only=True):
    """The hold ended, and nothing of it was charged."""

    topic: ClassVar[str] = "bursar.wallet.hold_released.v1"
    account: WalletId
    hold: HoldId
    amount: int
    recorded_at: datetime


@stored
class WalletHoldExpired(Event, frozen=True, kw_only=True):
    """The hold has not counted since `expires_at`; the first command on the wallet after that records it."""

    topic: ClassVar[str] = "bursar.wallet.hold_expired.v1"
    account: WalletId
    hold: HoldId
    amount: int
    expires_at: datetime
    recorded_at: datetime


# --- status


class _StatusChange(Event, frozen=True, kw_only=True):
    account: WalletId
    status: WalletStatus
    recorded_at: datetime


@stored
class WalletFrozen(_StatusChange, frozen=True, kw_only=True):
    """It pays nothing any more; money that comes for it is still credited."""

    topic: ClassVar[str] = "bursar.wallet.frozen.v1"


@stored
class WalletUnfrozen(_StatusChange, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.wallet.unfrozen.v1"


@stored
class WalletClosed(_StatusChange, frozen=True, kw_only=True):
    """It was empty, and neither takes nor pays anything any more."""

    topic: ClassVar[str] = "bursar.wallet.closed.v1"


WalletEvent = (
    WalletOpened
    | WalletToppedUp
    | WalletCharged
    | WalletRefunded
    | WalletTopUpReversed
    | WalletChargeReversed
    | WalletTransferredOut
    | WalletTransferredIn
    | WalletAdjusted
    | WalletPaidOut
    | WalletMadeDormant
    | WalletOverdraftGranted
    | WalletHeld
    | WalletHoldCaptured
    | WalletHoldReleased
    | WalletHoldExpired
    | WalletFrozen
    | WalletUnfrozen
    | WalletClosed
)
