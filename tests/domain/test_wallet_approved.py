"""What a second person approves: adjustments, pay-outs, dormant wallets, overdrafts."""

from typing import Any

import pytest

from domain import wallet
from domain.chart import ADJUSTMENT_ROLES, COUNTRIES
from domain.errors import Code
from domain.wallet import Wallet, WalletAdjusted, WalletMadeDormant, WalletOverdraftGranted, WalletPaidOut
from tests.domain.test_wallet import CANADIAN, CLOSED, FROZEN, OPENED, STREAM, charged, do_charge, topped_up
from tests.domain.test_wallet_holds import held
from tests.support.given import AT, MOVED, TRANSACTION, given

MONEY: dict[str, Any] = {**MOVED, "account": "STU-1", "currency": "KES", "receipt": "R-9"}
FUNDED = (OPENED, topped_up(100))


def do_adjust(amount: int, role: str = "other_income", transaction: Any = TRANSACTION) -> Any:
    fields: dict[str, Any] = {"role": role, "description": "Twice", "receipt": "R-9"}
    return lambda state: wallet.adjust(state, transaction, wallet_id="STU-1", amount_minor=amount, **fields)


def adjusted(amount: int) -> WalletAdjusted:
    return WalletAdjusted(**MONEY, amount=amount, role="other_income", description="Twice")


def do_pay_out(amount: int, transaction: Any = TRANSACTION) -> Any:
    fields: dict[str, Any] = {"tender": "bank", "reference": "S-1", "description": "Left", "receipt": "R-9"}
    return lambda state: wallet.pay_out(state, transaction, wallet_id="STU-1", amount_minor=amount, **fields)


def do_dormant(state: Wallet, transaction: Any = TRANSACTION) -> WalletMadeDormant:
    return wallet.make_dormant(state, transaction, wallet_id="STU-1", receipt="R-9")


def do_grant(limit: int, currency: str = "KES") -> Any:
    return lambda state: wallet.grant_overdraft(
        state, wallet_id="STU-1", limit_minor=limit, currency=currency, recorded_at=AT
    )


def granted(limit: int) -> WalletOverdraftGranted:
    return WalletOverdraftGranted(account="STU-1", limit=limit, currency="KES", recorded_at=AT)


DORMANT = WalletMadeDormant(**MONEY, amount=100, description="To unclaimed balances")


def test_an_adjustment_adds_or_takes_away_also_where_the_wallet_is_frozen() -> None:
    given(STREAM, *FUNDED).when(do_adjust(30)).then(adjusted(30), balance_minor=130)
    given(STREAM, *FUNDED).when(do_adjust(-100)).then(adjusted(-100), balance_minor=0)
    given(STREAM, *FUNDED, FROZEN).when(do_adjust(-1)).then(adjusted(-1), balance_minor=99)


def test_an_adjustment_that_is_refused() -> None:
    funded = given(STREAM, *FUNDED)
    funded.when(do_adjust(0)).then_refused(Code.INVALID_REQUEST)
    funded.when(do_adjust(-101)).then_refused(
        Code.INSUFFICIENT_FUNDS, account="STU-1", available=100, required=101
    )
    for role in ("wallet_liability", "bank", "receivables", ""):
        funded.when(do_adjust(1, role)).then_refused(Code.UNKNOWN_ADJUSTMENT_ROLE)


def test_an_adjustment_names_any_income_or_expense_and_no_other_account() -> None:
    for template in COUNTRIES.values():
        of_kind = {account.role for account in template.accounts if account.type in ("income", "expense")}
        assert of_kind <= ADJUSTMENT_ROLES
        assert not ({account.role for account in template.accounts} - of_kind) & ADJUSTMENT_ROLES
    assert {"discounts", "bad_debts", "other_income"} <= ADJUSTMENT_ROLES


def test_a_pay_out_gives_back_what_is_free() -> None:
    paid = WalletPaidOut(**MONEY, amount=100, tender="bank", reference="S-1", description="Left")
    given(STREAM, *FUNDED).when(do_pay_out(100)).then(paid, balance_minor=0)
    given(STREAM, *FUNDED, held(1)).when(do_pay_out(100)).then_refused(
        Code.INSUFFICIENT_FUNDS, account="STU-1", available=99, required=100
    )
    given(STREAM, *FUNDED, FROZEN).when(do_pay_out(1)).then_refused(Code.WALLET_NOT_OPEN, account="STU-1")


def test_a_dormant_wallet_is_emptied_whole() -> None:
    given(STREAM, *FUNDED).when(do_dormant).then(DORMANT, balance_minor=0)
    given(STREAM, *FUNDED, FROZEN).when(do_dormant).then(DORMANT, balance_minor=0)
    for nothing in ((OPENED,), (*FUNDED, held(1)), (OPENED, granted(50), charged(50))):
        given(STREAM, *nothing).when(do_dormant).then_refused(Code.NOTHING_UNCLAIMED, account="STU-1")


def test_an_overdraft_is_spent_to_its_limit() -> None:
    given(STREAM, OPENED).when(do_grant(50)).then(granted(50), overdraft_limit_minor=50, available_minor=50)
    given(STREAM, OPENED, granted(50)).when(do_charge(50)).then(charged(50), balance_minor=-50)
    given(STREAM, OPENED, granted(50)).when(do_charge(51)).then_refused(
        Code.INSUFFICIENT_FUNDS, account="STU-1", available=50, required=51
    )
    given(STREAM, OPENED, granted(50)).when(do_grant(50)).then(overdraft_limit_minor=50)


def test_an_overdraft_in_use_is_not_taken_back() -> None:
    used = given(STREAM, OPENED, granted(50), charged(30), held(10))
    used.when(do_grant(40)).then(granted(40), available_minor=0)
    used.when(do_grant(39)).then_refused(Code.OVERDRAFT_IN_USE, account="STU-1", required=40)


@pytest.mark.parametrize("decision", [do_adjust(1), do_pay_out(1), do_dormant, do_grant(1)])
def test_what_is_closed_or_does_not_exist_is_let_be(decision: Any) -> None:
    given(STREAM, OPENED, CLOSED).when(decision).then_refused(Code.WALLET_CLOSED, account="STU-1")
    given(STREAM).when(decision).then_refused(Code.WALLET_NOT_FOUND, account="STU-1")


@pytest.mark.parametrize(
    "decision",
    [
        do_adjust(1, transaction=CANADIAN),
        do_pay_out(1, transaction=CANADIAN),
        lambda state: do_dormant(state, CANADIAN),
        do_grant(1, "CAD"),
    ],
)
def test_another_currency_is_refused(decision: Any) -> None:
    given(STREAM, *FUNDED).when(decision).then_refused(Code.CURRENCY_MISMATCH, account="STU-1")
