"""Where a hold is: its id alone names the wallet, in whose stream all that happens to the hold is."""

from datetime import datetime
from typing import ClassVar

from domain.errors import Code, DomainError
from domain.event import Event, State, stored
from domain.ids import HoldId, WalletId


@stored
class HoldPlaced(Event, frozen=True, kw_only=True):
    """The hold is on the wallet `account`."""

    topic: ClassVar[str] = "bursar.hold.placed.v1"
    hold: HoldId
    account: WalletId
    recorded_at: datetime


class PlacedHold(State, kw_only=True):
    """`account` is the wallet that the hold is on."""

    account: WalletId = WalletId("")


def evolve(state: PlacedHold, event: Event) -> None:
    assert isinstance(event, HoldPlaced), (state, event)
    state.account = event.account


def place(*, hold_id: HoldId, account: WalletId, recorded_at: datetime) -> HoldPlaced:
    return HoldPlaced(hold=hold_id, account=account, recorded_at=recorded_at)


def check_exists(state: PlacedHold, hold_id: HoldId) -> None:
    """Refuse a hold that does not exist (`hold_not_found`)."""
    if not state.version:
        raise DomainError(Code.HOLD_NOT_FOUND, f"There is no hold {hold_id}.", hold=hold_id)
