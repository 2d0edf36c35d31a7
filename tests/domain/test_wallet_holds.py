"""Holds: money of a wallet that is set aside, and what becomes of it."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from domain import wallet
from domain.errors import Code
from domain.tenant import MAX_HOLD_HOURS
from domain.wallet import (
    MAX_HOLDS,
    Hold,
    HoldView,
    Wallet,
    WalletHeld,
    WalletHoldCaptured,
    WalletHoldExpired,
    WalletHoldReleased,
    WalletView,
)
from tests.domain.test_wallet import CANADIAN, FROZEN, OPENED, STREAM, charged, do_charge, topped_up
from tests.support.given import AT, MOVED, TRANSACTION, fold, given

LATER = AT + timedelta(hours=1)
FUNDED = (OPENED, topped_up(500))


def held(amount: int, hold: str = "h-1", expires_at: datetime = LATER) -> WalletHeld:
    return WalletHeld(
        account="STU-1", hold=hold, amount=amount, currency="KES", description="Uniform", expires_at=expires_at,
        recorded_at=AT,
    )  # fmt: skip


def captured(captured: int, amount: int = 200, hold: str = "h-1") -> WalletHoldCaptured:
    return WalletHoldCaptured(
        account="STU-1", hold=hold, amount=amount, captured=captured, currency="KES", **MOVED
    )


RELEASED = WalletHoldReleased(account="STU-1", hold="h-1", amount=200, recorded_at=AT)


def do_hold(amount: int, hold: str = "h-1", **changes: Any) -> Any:
    fields = {"description": "Uniform", "expires_at": LATER, **changes}
    return lambda state: wallet.hold(
        state, TRANSACTION, wallet_id="STU-1", hold_id=hold, amount_minor=amount, **fields
    )


def do_capture(amount: int, hold: str = "h-1", transaction: Any = TRANSACTION) -> Any:
    return lambda state: wallet.capture(
        state, transaction, wallet_id="STU-1", hold_id=hold, amount_minor=amount
    )


def do_release(state: Wallet) -> WalletHoldReleased:
    return wallet.release(state, wallet_id="STU-1", hold_id="h-1", recorded_at=AT)


def do_lapse(at: datetime) -> Any:
    return lambda state: wallet.lapse(state, recorded_at=at)


def test_a_hold_sets_money_aside_to_the_last_cent() -> None:
    given(STREAM, *FUNDED).when(do_hold(500)).then(
        held(500), balance_minor=500, held_minor=500, available_minor=0
    )


def test_what_is_held_is_not_spent_nor_held_again() -> None:
    before = given(STREAM, *FUNDED, held(200))
    before.when(do_charge(300)).then(charged(300), available_minor=0)
    for decision, required in ((do_charge(301), 301), (do_hold(400, "h-2"), 400)):
        before.when(decision).then_refused(
            Code.INSUFFICIENT_FUNDS, account="STU-1", available=300, required=required
        )


def test_a_hold_ends_within_the_limits() -> None:
    latest = AT + timedelta(hours=MAX_HOLD_HOURS)
    soon = AT + timedelta(microseconds=1)
    for at in (soon, latest):
        given(STREAM, *FUNDED).when(do_hold(1, expires_at=at)).then(held(1, expires_at=at))
    for at in (
        AT,
        latest + timedelta(microseconds=1),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))),
    ):
        given(STREAM, *FUNDED).when(do_hold(1, expires_at=at)).then_refused(Code.EXPIRES_AT_OUT_OF_RANGE)


def test_a_hold_keeps_its_end_in_utc() -> None:
    state: Any = fold(STREAM, FUNDED)
    event = do_hold(1, expires_at=LATER.astimezone(timezone(timedelta(hours=3))))(state)
    assert event.expires_at.tzinfo is UTC


def test_a_wallet_has_so_many_holds_at_most() -> None:
    many = [held(1, f"h-{number}") for number in range(MAX_HOLDS)]
    given(STREAM, *FUNDED, *many[:-1]).when(do_hold(1, "h-x")).then(held(1, "h-x"))
    given(STREAM, *FUNDED, *many).when(do_hold(1, "h-x")).then_refused(Code.TOO_MANY_HOLDS, account="STU-1")


@pytest.mark.parametrize("amount", [1, 199, 200])
def test_a_capture_ends_the_hold_whatever_it_takes(amount: int) -> None:
    given(STREAM, *FUNDED, held(200)).when(do_capture(amount)).then(
        captured(amount), balance_minor=500, held_minor=0, holds={}
    )


def test_no_more_is_captured_than_is_held() -> None:
    given(STREAM, *FUNDED, held(200)).when(do_capture(201)).then_refused(
        Code.CAPTURE_EXCEEDS_HOLD,
        "The hold is of 2.00 KES, 2.01 KES is to be captured.",
        available=200,
        required=201,
    )


def test_a_release_frees_the_money() -> None:
    given(STREAM, *FUNDED, held(200), held(1, "h-2")).when(do_release).then(
        RELEASED, held_minor=1, available_minor=499
    )


@pytest.mark.parametrize("end", [captured(200), captured(1), RELEASED])
def test_a_hold_ends_once(end: Any) -> None:
    for decision in (do_capture(1), do_release):
        given(STREAM, *FUNDED, held(200), end).when(decision).then_refused(Code.HOLD_NOT_ACTIVE, hold="h-1")


def test_a_hold_counts_until_the_instant_at_which_it_expires() -> None:
    before = given(STREAM, *FUNDED, held(200), held(50, "h-2", LATER + timedelta(seconds=1)))
    before.when(do_lapse(LATER - timedelta(microseconds=1))).then(held_minor=250)
    before.when(do_lapse(LATER)).then(
        WalletHoldExpired(account="STU-1", hold="h-1", amount=200, expires_at=LATER, recorded_at=LATER),
        held_minor=50,
        available_minor=450,
    )
    given(STREAM, *FUNDED).when(do_lapse(LATER)).then()


def test_a_frozen_wallet_holds_and_captures_nothing_and_releases() -> None:
    frozen = given(STREAM, *FUNDED, held(200), FROZEN)
    for decision in (do_capture(1), do_hold(1, "h-2")):
        frozen.when(decision).then_refused(Code.WALLET_NOT_OPEN, account="STU-1")
    frozen.when(do_release).then(RELEASED, held_minor=0)


def test_a_wallet_with_a_hold_is_not_closed() -> None:
    """Also one that is held of an overdraft, where there is no balance."""
    given(STREAM, OPENED, held(200)).when(
        lambda state: wallet.close(state, wallet_id="STU-1", recorded_at=AT)
    ).then_refused(Code.WALLET_NOT_EMPTY, account="STU-1")


@pytest.mark.parametrize("decision", [do_hold(1), do_capture(1), do_release])
def test_a_wallet_that_does_not_exist_has_no_holds(decision: Any) -> None:
    given(STREAM).when(decision).then_refused(Code.WALLET_NOT_FOUND, account="STU-1")


def test_another_currency_is_refused() -> None:
    before = given(STREAM, *FUNDED, held(200))
    for decision in (
        do_capture(1, transaction=CANADIAN),
        lambda state: wallet.hold(
            state,
            CANADIAN,
            wallet_id="STU-1",
            hold_id="h-2",
            amount_minor=1,
            description=None,
            expires_at=LATER,
        ),
    ):
        before.when(decision).then_refused(Code.CURRENCY_MISMATCH, account="STU-1")


def test_answers_show_the_hold_and_its_wallet() -> None:
    state: Any = fold(STREAM, [*FUNDED, held(200)])
    assert state.holds == {"h-1": Hold(amount_minor=200, expires_at=LATER, description="Uniform")}
    shown = HoldView.of(state, "h-1", state.holds["h-1"], status="captured", captured_minor=150)
    assert shown == HoldView(
        id="h-1", account="STU-1", amount=200, captured=150, status="captured", expires_at=LATER,
        currency="KES", description="Uniform",
    )  # fmt: skip
    overdrawn = msgspec.structs.replace(state, overdraft_limit_minor=7)
    assert WalletView.of(overdrawn) == WalletView(
        account="STU-1", currency="KES", payer="P-1", balance=500, held=200, available=307, overdraft_limit=7,
        status="open",
    )  # fmt: skip
