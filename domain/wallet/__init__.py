"""The wallet: money that a school holds for somebody, a liability of the school.

Its events stand in `events`, its state and `evolve` in `state`, its decisions in `decisions` and, on holds, in `holds`.
"""

from domain.wallet.decisions import (
    charge,
    check_funds,
    check_status,
    freeze,
    open_wallet,
    refund,
    reverse_charge,
    reverse_top_up,
    top_up,
    unfreeze,
)
from domain.wallet.events import (
    WalletCharged,
    WalletChargeReversed,
    WalletEvent,
    WalletFrozen,
    WalletHeld,
    WalletHoldCaptured,
    WalletHoldExpired,
    WalletHoldReleased,
    WalletOpened,
    WalletRefunded,
    WalletStatus,
    WalletToppedUp,
    WalletTopUpReversed,
    WalletUnfrozen,
)
from domain.wallet.holds import MAX_HOLDS, active_hold, capture, hold, lapse, release
from domain.wallet.state import Hold, HoldStatus, HoldView, Wallet, WalletView, evolve

__all__ = [
    "MAX_HOLDS",
    "Hold",
    "HoldStatus",
    "HoldView",
    "Wallet",
    "WalletChargeReversed",
    "WalletCharged",
    "WalletEvent",
    "WalletFrozen",
    "WalletHeld",
    "WalletHoldCaptured",
    "WalletHoldExpired",
    "WalletHoldReleased",
    "WalletOpened",
    "WalletRefunded",
    "WalletStatus",
    "WalletTopUpReversed",
    "WalletToppedUp",
    "WalletUnfrozen",
    "WalletView",
    "active_hold",
    "capture",
    "charge",
    "check_funds",
    "check_status",
    "evolve",
    "freeze",
    "hold",
    "lapse",
    "open_wallet",
    "refund",
    "release",
    "reverse_charge",
    "reverse_top_up",
    "top_up",
    "unfreeze",
]
