from datetime import timedelta
from typing import Any

import msgspec
import pytest

from domain import wallet
from domain.errors import Code
from domain.wallet import (
    Wallet,
    WalletCharged,
    WalletChargeReversed,
    WalletClosed,
    WalletFrozen,
    WalletOpened,
    WalletRefunded,
    WalletToppedUp,
    WalletTopUpReversed,
    WalletTransferredIn,
    WalletTransferredOut,
    WalletUnfrozen,
    WalletView,
)
from tests.support.given import AT, MOVED, TODAY, TRANSACTION, fold, given

STREAM = "greenhill/wallet/STU-1"
OPENED = WalletOpened(account="STU-1", currency="KES", payer="P-1", recorded_at=AT)
TOP_UP: dict[str, Any] = {
    "tender": "mpesa",
    "reference": "RKT1",
    "description": "Top-up, mpesa",
}
CHARGE: dict[str, Any] = {"purpose": "charge", "description": "Fine", "income": "meals"}
REFUND: dict[str, Any] = {"sale": "s-1", "description": "Refund"}
FROZEN = WalletFrozen(account="STU-1", status="frozen", recorded_at=AT)
CLOSED = WalletClosed(account="STU-1", status="closed", recorded_at=AT)
UNFROZEN = WalletUnfrozen(account="STU-1", status="open", recorded_at=AT)
REFUNDED = WalletRefunded(**REFUND, account="STU-1", **MOVED, amount=70, currency="KES", receipt="R-3")
LATER: Any = {**MOVED, "transaction_id": "0195a0c0-0000-7000-8000-000000000002"}
TOP_UP_REVERSED = WalletTopUpReversed(
    account="STU-1",
    amount=500,
    currency="KES",
    description="Reversal of R-1",
    receipt="R-9",
    reverses=MOVED["transaction_id"],
    tender="mpesa",
    reference="RKT1",
    leg=0,
    **LATER,
)
CHARGE_REVERSED = WalletChargeReversed(
    account="STU-1",
    amount=90,
    currency="KES",
    description="Reversal of R-2",
    receipt="R-9",
    reverses=MOVED["transaction_id"],
    purpose="charge",
    income="meals",
    **LATER,
)
REVERSING = msgspec.structs.replace(TRANSACTION, stamp=LATER)
CANADIAN = msgspec.structs.replace(TRANSACTION, currency="CAD")


def topped_up(amount: int) -> WalletToppedUp:
    return WalletToppedUp(**TOP_UP, account="STU-1", **MOVED, amount=amount, currency="KES", receipt="R-1")


def charged(amount: int) -> WalletCharged:
    return WalletCharged(**CHARGE, account="STU-1", **MOVED, amount=amount, currency="KES", receipt="R-2")


def do_top_up(state: Wallet) -> WalletToppedUp:
    return wallet.top_up(state, TRANSACTION, **TOP_UP, wallet_id="STU-1", amount_minor=500, receipt="R-1")


def do_charge(amount: int) -> Any:
    return lambda state: wallet.charge(
        state, TRANSACTION, **CHARGE, wallet_id="STU-1", amount_minor=amount, receipt="R-2"
    )


def do_refund(state: Wallet) -> WalletRefunded:
    return wallet.refund(state, TRANSACTION, **REFUND, wallet_id="STU-1", amount_minor=70, receipt="R-3")


def do_reverse_top_up(state: Wallet) -> WalletTopUpReversed:
    return wallet.reverse_top_up(state, REVERSING, topped_up=topped_up(500), receipt="R-9")


def do_reverse_charge(state: Wallet) -> WalletChargeReversed:
    return wallet.reverse_charge(state, REVERSING, charged=charged(90), receipt="R-9")


def do_open(state: Wallet) -> WalletOpened:
    return wallet.open_wallet(state, wallet_id="STU-1", currency="KES", payer="P-1", recorded_at=AT)


def test_a_wallet_opens_once() -> None:
    given(STREAM).when(do_open).then(
        OPENED, wallet_id="STU-1", currency="KES", payer="P-1", status="open", balance_minor=0
    )
    given(STREAM, OPENED).when(do_open).then_refused(Code.WALLET_EXISTS, account="STU-1")


def test_a_top_up_adds() -> None:
    given(STREAM, OPENED).when(do_top_up).then(topped_up(500), balance_minor=500, available_minor=500)


def test_the_excess_of_a_settlement_says_by_which_tender_it_came() -> None:
    given(STREAM, OPENED).when(
        lambda state: wallet.top_up(
            state, TRANSACTION, **TOP_UP, wallet_id="STU-1", amount_minor=500, receipt="R-1", leg=2
        )
    ).then(msgspec.structs.replace(topped_up(500), leg=2))


def test_a_charge_takes_what_is_there_to_the_last_cent() -> None:
    given(STREAM, OPENED, topped_up(500)).when(do_charge(500)).then(
        charged(500), balance_minor=0, available_minor=0
    )


@pytest.mark.parametrize(("balance", "amount"), [(0, 1), (499, 500), (500, 501)])
def test_a_charge_beyond_the_balance_is_refused(balance: int, amount: int) -> None:
    events = [topped_up(balance)] if balance else []
    given(STREAM, OPENED, *events).when(do_charge(amount)).then_refused(
        Code.INSUFFICIENT_FUNDS, account="STU-1", available=balance, required=amount
    )


def test_a_charge_beyond_the_balance_says_what_is_there() -> None:
    given(STREAM, OPENED, topped_up(499)).when(do_charge(500)).then_refused(
        Code.INSUFFICIENT_FUNDS,
        "Wallet STU-1 has 4.99 KES available, 5.00 KES is required.",
        account="STU-1",
        available=499,
        required=500,
    )


def test_a_charge_that_is_dated_back_takes_what_was_there_since() -> None:
    """Of 500 that came today and the 100 of a week ago, yesterday had 100."""
    today = topped_up(500)
    earlier = msgspec.structs.replace(topped_up(100), effective_date=TODAY - timedelta(7))
    yesterday = msgspec.structs.replace(TRANSACTION, stamp={**MOVED, "effective_date": TODAY - timedelta(1)})

    def charge(amount: int) -> Any:
        return lambda state: wallet.check_funds(state, yesterday, wallet_id="STU-1", required_minor=amount)

    state = fold(STREAM, [OPENED, earlier, today])
    assert charge(100)(state) == 100
    given(STREAM, OPENED, earlier, today).when(charge(101)).then_refused(
        Code.INSUFFICIENT_FUNDS,
        "Wallet STU-1 has 1.00 KES available from 2026-03-01 on, 1.01 KES is required.",
        account="STU-1",
        available=100,
        required=101,
    )


def test_a_refund_gives_back() -> None:
    given(STREAM, OPENED, topped_up(100), charged(90)).when(do_refund).then(REFUNDED, balance_minor=80)


def test_a_top_up_is_taken_back_while_its_money_is_there() -> None:
    given(STREAM, OPENED, topped_up(500)).when(do_reverse_top_up).then(
        TOP_UP_REVERSED, balance_minor=0, available_minor=0, nets={TODAY: 0}
    )
    given(STREAM, OPENED, topped_up(500), charged(1)).when(do_reverse_top_up).then_refused(
        Code.INSUFFICIENT_FUNDS, account="STU-1", available=499, required=500
    )


def test_a_charge_is_taken_back() -> None:
    given(STREAM, OPENED, topped_up(500), charged(90)).when(do_reverse_charge).then(
        CHARGE_REVERSED, balance_minor=500, nets={TODAY: 500}
    )


def test_a_frozen_wallet_gets_back_a_charge_and_keeps_a_top_up() -> None:
    frozen = given(STREAM, OPENED, topped_up(500), charged(90), FROZEN)
    frozen.when(do_reverse_charge).then(CHARGE_REVERSED, balance_minor=500)
    frozen.when(do_reverse_top_up).then_refused(Code.WALLET_NOT_OPEN, account="STU-1")


@pytest.mark.parametrize(
    "decision",
    [
        do_top_up,
        do_charge(1),
        do_refund,
        do_reverse_top_up,
        do_reverse_charge,
        lambda state: wallet.freeze(state, wallet_id="STU-1", recorded_at=AT),
        lambda state: wallet.unfreeze(state, wallet_id="STU-1", recorded_at=AT),
    ],
)
def test_what_is_not_there_takes_and_gives_nothing(decision: Any) -> None:
    given(STREAM).when(decision).then_refused(Code.WALLET_NOT_FOUND, account="STU-1")


@pytest.mark.parametrize(
    "decision",
    [
        lambda state: wallet.top_up(
            state, CANADIAN, **TOP_UP, wallet_id="STU-1", amount_minor=1, receipt="R"
        ),
        lambda state: wallet.charge(
            state, CANADIAN, **CHARGE, wallet_id="STU-1", amount_minor=1, receipt="R"
        ),
        lambda state: wallet.refund(
            state, CANADIAN, **REFUND, wallet_id="STU-1", amount_minor=1, receipt="R"
        ),
    ],
)
def test_another_currency_is_refused(decision: Any) -> None:
    given(STREAM, OPENED, topped_up(100)).when(decision).then_refused(Code.CURRENCY_MISMATCH, account="STU-1")


def do_freeze(state: Wallet) -> WalletFrozen | None:
    return wallet.freeze(state, wallet_id="STU-1", recorded_at=AT)


def do_unfreeze(state: Wallet) -> WalletUnfrozen | None:
    return wallet.unfreeze(state, wallet_id="STU-1", recorded_at=AT)


def test_a_wallet_is_frozen_and_unfrozen() -> None:
    given(STREAM, OPENED).when(do_freeze).then(FROZEN, status="frozen")
    given(STREAM, OPENED, FROZEN).when(do_unfreeze).then(UNFROZEN, status="open")


def test_nothing_happens_to_a_wallet_that_is_as_asked() -> None:
    given(STREAM, OPENED, FROZEN).when(do_freeze).then(status="frozen")
    given(STREAM, OPENED).when(do_unfreeze).then(status="open")


def test_a_frozen_wallet_takes_and_does_not_pay() -> None:
    frozen = given(STREAM, OPENED, topped_up(100), charged(30), FROZEN)
    frozen.when(do_top_up).then(topped_up(500), balance_minor=570)
    frozen.when(do_refund).then(REFUNDED, balance_minor=140)
    frozen.when(do_charge(1)).then_refused(Code.WALLET_NOT_OPEN, account="STU-1")
    given(STREAM, OPENED, topped_up(100), FROZEN, UNFROZEN).when(do_charge(100)).then(
        charged(100), balance_minor=0
    )


def do_close(state: Wallet) -> WalletClosed | None:
    return wallet.close(state, wallet_id="STU-1", recorded_at=AT)


def test_an_empty_wallet_is_closed_also_a_frozen_one() -> None:
    given(STREAM, OPENED, topped_up(100), charged(100)).when(do_close).then(CLOSED, status="closed")
    given(STREAM, OPENED, FROZEN).when(do_close).then(CLOSED, status="closed")
    given(STREAM, OPENED, CLOSED).when(do_close).then(status="closed")
    given(STREAM).when(do_close).then_refused(Code.WALLET_NOT_FOUND, account="STU-1")


def test_a_wallet_with_money_is_not_closed() -> None:
    given(STREAM, OPENED, topped_up(100), charged(99)).when(do_close).then_refused(
        Code.WALLET_NOT_EMPTY, account="STU-1"
    )


@pytest.mark.parametrize(
    "decide",
    [do_top_up, do_charge(1), do_refund, do_freeze, do_unfreeze, do_reverse_top_up, do_reverse_charge],
)
def test_a_closed_wallet_takes_nothing_more(decide: Any) -> None:
    given(STREAM, OPENED, CLOSED).when(decide).then_refused(Code.WALLET_CLOSED, account="STU-1")


# --- transfers

SISTER = fold(
    "greenhill/wallet/STU-2", [WalletOpened(account="STU-2", currency="KES", payer="P-1", recorded_at=AT)]
)
STRANGER = fold(
    "greenhill/wallet/STU-2", [WalletOpened(account="STU-2", currency="KES", payer="P-2", recorded_at=AT)]
)


def do_transfer(amount: int, target: Any = SISTER, to: str = "STU-2", **changes: Any) -> Any:
    fields = {"description": None, "from_id": "STU-1", "to_id": to, "amount_minor": amount, **changes}
    return lambda state: wallet.transfer(state, target, TRANSACTION, **fields)


def transferred(amount: int, description: str = "") -> tuple[WalletTransferredOut, WalletTransferredIn]:
    money: dict[str, Any] = {**MOVED, "amount": amount, "currency": "KES"}
    return (
        WalletTransferredOut(
            **money, account="STU-1", other="STU-2", description=description or "Transfer to STU-2"
        ),
        WalletTransferredIn(
            **money, account="STU-2", other="STU-1", description=description or "Transfer from STU-1"
        ),
    )


def test_a_transfer_takes_from_one_wallet_what_it_gives_another() -> None:
    state: Any = fold(STREAM, [OPENED, topped_up(100)])
    assert do_transfer(100)(state) == transferred(100)
    assert do_transfer(100, description="Lunch")(state) == transferred(100, "Lunch")
    out, into = transferred(60)
    assert fold(STREAM, [OPENED, topped_up(100), out]).balance_minor == 40  # type: ignore[attr-defined]  # it is a wallet
    assert fold(STREAM, [OPENED, into]).nets == {TODAY: 60}  # type: ignore[attr-defined]  # it is a wallet


def test_a_transfer_that_is_refused() -> None:
    funded = given(STREAM, OPENED, topped_up(100))
    funded.when(do_transfer(101)).then_refused(
        Code.INSUFFICIENT_FUNDS, account="STU-1", available=100, required=101
    )
    funded.when(do_transfer(1, STRANGER)).then_refused(Code.NOT_SAME_FAMILY, account="STU-2")
    funded.when(do_transfer(1, Wallet())).then_refused(Code.WALLET_NOT_FOUND, account="STU-2")
    funded.when(lambda state: do_transfer(1, state, "STU-1")(state)).then_refused(Code.INVALID_REQUEST)
    dollars = msgspec.structs.replace(SISTER, currency="CAD")
    funded.when(do_transfer(1, dollars)).then_refused(Code.CURRENCY_MISMATCH, account="STU-2")
    closed = msgspec.structs.replace(SISTER, status="closed")
    funded.when(do_transfer(1, closed)).then_refused(Code.WALLET_CLOSED, account="STU-2")
    given(STREAM, OPENED, topped_up(100), FROZEN).when(do_transfer(1)).then_refused(
        Code.WALLET_NOT_OPEN, account="STU-1"
    )
    frozen: Any = msgspec.structs.replace(SISTER, status="frozen")
    assert do_transfer(100, frozen)(fold(STREAM, [OPENED, topped_up(100)])) == transferred(100)


def test_holds_and_overdraft_count_for_what_is_available() -> None:
    assert Wallet(balance_minor=100, held_minor=30, overdraft_limit_minor=5).available_minor == 75


def test_an_answer_shows_the_wallet() -> None:
    state: Any = fold(STREAM, [OPENED, topped_up(100), FROZEN])
    held = msgspec.structs.replace(state, held_minor=30)
    assert WalletView.of(held) == WalletView(
        account="STU-1", currency="KES", payer="P-1", balance=100, held=30, available=70, overdraft_limit=0,
        status="frozen",
    )  # fmt: skip


def test_a_foreign_event_is_a_programming_error() -> None:
    with pytest.raises(AssertionError):
        wallet.evolve(Wallet(), _other())


def _other() -> Any:
    from domain.export_batch import ExportRequested

    return ExportRequested(batch="b", channel="quickbooks", recorded_at=AT)
