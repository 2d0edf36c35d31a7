from typing import Any

import msgspec
import pytest

from domain import ledger_account
from domain.errors import Code
from domain.ledger_account import AccountCredited, AccountDebited, AccountOpened, LedgerAccount
from domain.money import MAX_BALANCE_MINOR
from tests.support.given import AT, MOVED, TRANSACTION, given

STREAM = "greenhill/account/1000"
ACCOUNT: dict[str, Any] = {"role": "till_cash", "type": "asset", "currency": "KES"}
OPENED = AccountOpened(**ACCOUNT, code="1000", name="Till cash", recorded_at=AT)


def do_open(state: LedgerAccount) -> AccountOpened:
    return ledger_account.open_account(
        state, **ACCOUNT, account_code="1000", name="Till cash", recorded_at=AT
    )


def do_post(side: Any, amount: int, transaction: Any = TRANSACTION) -> Any:
    return lambda state: ledger_account.post(state, transaction, side=side, amount_minor=amount)


def test_an_account_opens_once() -> None:
    given(STREAM).when(do_open).then(
        OPENED, account_code="1000", role="till_cash", type="asset", currency="KES", balance_minor=0
    )
    given(STREAM, OPENED).when(do_open).then_is_a_programming_error("1000")


def debited(amount: int) -> AccountDebited:
    return AccountDebited(code="1000", **ACCOUNT, **MOVED, amount=amount)


def credited(amount: int) -> AccountCredited:
    return AccountCredited(code="1000", **ACCOUNT, **MOVED, amount=amount)


def test_debits_and_credits_add_up_on_their_side() -> None:
    given(STREAM, OPENED).when(do_post("debit", 30)).then(debited(30), net_minor=30, balance_minor=30)
    given(STREAM, OPENED, debited(30)).when(do_post("credit", 12)).then(
        credited(12), net_minor=18, balance_minor=18
    )


def test_what_was_posted_before_counts() -> None:
    given(STREAM, OPENED, debited(30)).when(do_post("debit", 20)).then(debited(20), balance_minor=50)
    given(STREAM, OPENED, credited(30)).when(do_post("credit", 20)).then(credited(20), balance_minor=-50)


def test_an_account_has_a_limit_on_either_side() -> None:
    almost = MAX_BALANCE_MINOR - 1
    on_debit, on_credit = given(STREAM, OPENED, debited(almost)), given(STREAM, OPENED, credited(almost))
    on_debit.when(do_post("debit", 1)).then(debited(1), balance_minor=MAX_BALANCE_MINOR)
    on_debit.when(do_post("debit", 2)).then_refused(Code.AMOUNT_TOO_LARGE)
    on_debit.when(do_post("credit", 2)).then(credited(2))
    on_credit.when(do_post("credit", 1)).then(credited(1), balance_minor=-MAX_BALANCE_MINOR)
    on_credit.when(do_post("credit", 2)).then_refused(Code.AMOUNT_TOO_LARGE)
    on_credit.when(do_post("debit", 2)).then(debited(2))


def test_what_went_in_and_out_again_fills_no_account() -> None:
    """A cashier who tops up and charges the largest amounts for years leaves the account as it was."""
    much = MAX_BALANCE_MINOR // 2
    moved = [event for _ in range(9) for event in (debited(much), credited(much))]
    given(STREAM, OPENED, *moved).when(do_post("debit", 5)).then(debited(5), balance_minor=5)


@pytest.mark.parametrize(
    ("kind", "balance"),
    [("asset", 18), ("expense", 18), ("liability", -18), ("equity", -18), ("income", -18)],
)
def test_the_balance_is_positive_on_the_normal_side(kind: Any, balance: int) -> None:
    assert LedgerAccount(type=kind, net_minor=18).balance_minor == balance


def test_nothing_posts_to_what_is_not_there() -> None:
    given(STREAM).when(do_post("debit", 1)).then_refused(
        Code.ACCOUNT_NOT_FOUND, "The chart maps a role to an account that is not there."
    )


def test_nothing_posts_in_another_currency() -> None:
    canadian = msgspec.structs.replace(TRANSACTION, currency="CAD")
    given(STREAM, OPENED).when(do_post("debit", 1, canadian)).then_refused(Code.CURRENCY_MISMATCH)


@pytest.mark.parametrize("status", ["frozen", "closed"])
def test_nothing_posts_to_what_is_not_open(status: Any) -> None:
    """No event freezes or closes an account yet, so the state is set by hand."""

    def decision(state: LedgerAccount) -> Any:
        return do_post("credit", 1)(msgspec.structs.replace(state, status=status))

    given(STREAM, OPENED).when(decision).then_refused(Code.ACCOUNT_NOT_OPEN, account="1000")
