"""Where a hold is."""

from domain import hold
from domain.errors import Code
from domain.hold import HoldPlaced
from tests.support.given import AT, given

STREAM = "greenhill/hold/h-1"
PLACED = HoldPlaced(hold="h-1", account="STU-1", recorded_at=AT)


def test_a_hold_names_its_wallet() -> None:
    given(STREAM).when(lambda _: hold.place(hold_id="h-1", account="STU-1", recorded_at=AT)).then(
        PLACED, account="STU-1"
    )


def test_a_hold_that_does_not_exist_is_refused() -> None:
    given(STREAM).when(lambda state: hold.check_exists(state, "h-1")).then_refused(
        Code.HOLD_NOT_FOUND, hold="h-1"
    )
    given(STREAM, PLACED).when(lambda state: hold.check_exists(state, "h-1")).then()
