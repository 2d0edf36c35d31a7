from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Code, DomainError
from domain.money import MAX_AMOUNT_MINOR
from domain.tender import Share, Tender, TenderType, cash_as_due, cash_as_paid, change, split


def tender(kind: TenderType, amount: int | None = None, account: str | None = None) -> Tender:
    return Tender(type=kind, amount=amount, account=account)


def purse(**balances: int) -> Callable[[str], int]:
    return lambda account: balances[account]


def pay(
    total: int, *tenders: Tender, exact: bool = True, wallet: str | None = "A", **balances: int
) -> list[tuple[str, int, int]]:
    """The shares as (account or type, amount, excess)."""
    shares = split(total, tenders, currency="KES", wallet=wallet, available=purse(**balances), exact=exact)
    assert [share.leg for share in shares] == list(range(1, len(shares) + 1))
    return [(share.wallet_id or share.type, share.amount_minor, share.excess_minor) for share in shares]


CASH, CARD, WALLET = tender("cash"), tender("card"), tender("wallet")


@pytest.mark.parametrize(
    ("tenders", "balances", "expected"),
    [
        # one tender takes all
        ([CASH], {}, [("cash", 100, 0)]),
        ([tender("cash", 100)], {}, [("cash", 100, 0)]),
        ([WALLET], {"A": 100}, [("A", 100, 0)]),
        ([WALLET], {"A": 500}, [("A", 100, 0)]),
        # the wallet takes what is available up to the rest, wherever it stands
        ([CASH, WALLET], {"A": 30}, [("A", 30, 0), ("cash", 70, 0)]),
        ([WALLET, CASH], {"A": 500}, [("A", 100, 0)]),
        ([WALLET, CASH], {"A": 0}, [("cash", 100, 0)]),
        ([WALLET, CASH], {"A": -20}, [("cash", 100, 0)]),
        ([WALLET, tender("cash", 40)], {"A": 500}, [("A", 60, 0), ("cash", 40, 0)]),
        ([WALLET, tender("cash", 100)], {"A": 500}, [("cash", 100, 0)]),
        # several wallets, in the order given; the same one twice pays only what it has
        ([WALLET, tender("wallet", None, "B"), CASH], {"A": 30, "B": 50}, [("A", 30, 0), ("B", 50, 0), ("cash", 20, 0)]),
        ([tender("wallet", 20), WALLET, CASH], {"A": 50}, [("A", 20, 0), ("A", 30, 0), ("cash", 50, 0)]),
        ([tender("wallet", 20), tender("wallet", 20), WALLET, CASH], {"A": 50}, [("A", 20, 0), ("A", 20, 0), ("A", 10, 0), ("cash", 50, 0)]),
        ([tender("wallet", 20), WALLET], {"A": 100}, [("A", 20, 0), ("A", 80, 0)]),
        # the others in the order given, one of them taking the rest
        ([tender("card", 30), CASH, tender("mpesa", 20)], {}, [("card", 30, 0), ("cash", 50, 0), ("mpesa", 20, 0)]),
        ([tender("card", 100), CASH], {}, [("card", 100, 0)]),
        ([tender("bank", 60), tender("cash", 40)], {}, [("bank", 60, 0), ("cash", 40, 0)]),
    ],
)  # fmt: skip
def test_a_total_is_split(tenders: Any, balances: Any, expected: Any) -> None:
    assert pay(100, *tenders, **balances) == expected
    assert pay(100, *tenders, exact=False, **balances) == expected


@pytest.mark.parametrize(
    ("tenders", "balances", "expected"),
    [
        ([tender("cash", 40)], {}, [("cash", 40, 0)]),
        ([tender("cash", 130)], {}, [("cash", 100, 30)]),
        ([tender("cash", 70), tender("card", 50)], {}, [("cash", 70, 0), ("card", 30, 20)]),
        ([tender("cash", 100), tender("card", 50)], {}, [("cash", 100, 0), ("card", 0, 50)]),
        ([tender("wallet", 30), tender("mpesa", 90)], {"A": 30}, [("A", 30, 0), ("mpesa", 70, 20)]),
        ([WALLET, tender("mpesa", 90)], {"A": 30}, [("A", 10, 0), ("mpesa", 90, 0)]),
        ([WALLET, tender("mpesa", 120)], {"A": 30}, [("mpesa", 100, 20)]),
        ([WALLET, tender("wallet", None, "B")], {"A": 30, "B": 5}, [("A", 30, 0), ("B", 5, 0)]),
    ],
)  # fmt: skip
def test_a_settlement_may_pay_less_or_more(tenders: Any, balances: Any, expected: Any) -> None:
    assert pay(100, *tenders, exact=False, **balances) == expected


@pytest.mark.parametrize(
    ("exact", "tenders", "balances", "code"),
    [
        (True, [WALLET], {"A": 99}, Code.INSUFFICIENT_FUNDS),
        (False, [WALLET], {"A": 99}, Code.INSUFFICIENT_FUNDS),
        (True, [tender("wallet", 50), CASH], {"A": 49}, Code.INSUFFICIENT_FUNDS),
        (True, [tender("wallet", 50), tender("wallet", 50)], {"A": 99}, Code.INSUFFICIENT_FUNDS),
        (True, [tender("wallet", 101)], {"A": 500}, Code.TENDERS_EXCEED_TOTAL),
        (False, [tender("wallet", 101)], {"A": 500}, Code.TENDERS_EXCEED_TOTAL),
        (False, [tender("wallet", 60), tender("wallet", 60)], {"A": 500}, Code.TENDERS_EXCEED_TOTAL),
        (True, [tender("cash", 101)], {}, Code.TENDERS_EXCEED_TOTAL),
        (True, [tender("cash", 60), tender("card", 60)], {}, Code.TENDERS_EXCEED_TOTAL),
        (True, [tender("cash", 99)], {}, Code.TENDERS_TOO_LOW),
        (True, [WALLET, tender("wallet", None, "B")], {"A": 30, "B": 5}, Code.TENDERS_TOO_LOW),
        (False, [WALLET, tender("wallet", None, "B")], {"A": 0, "B": 0}, Code.TENDERS_TOO_LOW),
        (True, [CASH, CARD], {}, Code.TENDERS_AMBIGUOUS),
        (False, [CASH, tender("card", 10), CASH], {}, Code.TENDERS_AMBIGUOUS),
        (False, [tender("cash", MAX_AMOUNT_MINOR), tender("card", 1)], {}, Code.AMOUNT_TOO_LARGE),
    ],
)  # fmt: skip
def test_what_does_not_pay_is_refused(exact: bool, tenders: Any, balances: Any, code: Code) -> None:
    with pytest.raises(DomainError) as refusal:
        pay(100, *tenders, exact=exact, **balances)
    assert refusal.value.code == code


def test_a_refusal_for_lack_of_funds_says_what_is_there_and_what_is_needed() -> None:
    with pytest.raises(DomainError) as refusal:
        pay(100, tender("wallet", 60), tender("wallet", 50), A=100)
    assert refusal.value.detail == "Wallet A has 0.40 KES available, 0.50 KES is required."
    assert refusal.value.extra == {"account": "A", "available": 40, "required": 50}


@pytest.mark.parametrize(
    ("exact", "tenders", "detail"),
    [
        (True, [tender("cash", 90), tender("card", 20)], "The tenders pay 1.10 KES, the total is 1.00 KES."),
        (True, [tender("cash", 40)], "The tenders pay 0.40 KES, the total is 1.00 KES."),
        (True, [tender("wallet", 70), tender("wallet", 40)], "The wallet would pay 0.40 KES, 0.30 KES is left to pay."),
        (True, [CASH, CARD], "Only one tender that is not a wallet may be without amount."),
        (False, [WALLET, tender("wallet", None, "B")], "The tenders pay nothing."),
    ],
)  # fmt: skip
def test_a_refusal_says_what_the_tenders_come_to(exact: bool, tenders: Any, detail: str) -> None:
    with pytest.raises(DomainError) as refusal:
        pay(100, *tenders, exact=exact, A=0 if not exact else 500, B=0)
    assert refusal.value.detail == detail


def test_a_wallet_tender_needs_a_wallet() -> None:
    with pytest.raises(DomainError) as refusal:
        pay(100, WALLET, wallet=None)
    assert refusal.value.code == Code.TENDER_WITHOUT_WALLET
    assert refusal.value.detail == "A wallet tender needs a wallet to pay from."


def test_accounts_and_references_are_upper_cased() -> None:
    written = Tender(type="mpesa", account="stu-1", reference="rkt1")
    assert (written.account, written.reference) == ("STU-1", "RKT1")
    assert split(5, [written], currency="KES", wallet=None, available=purse(), exact=True) == [
        Share(leg=1, type="mpesa", amount_minor=5, wallet_id="STU-1", reference="RKT1")
    ]


TENDERS = st.lists(
    st.builds(
        Tender,
        type=st.sampled_from(["wallet", "cash", "bank", "card", "mpesa"]),
        amount=st.none() | st.integers(1, 300),
        account=st.sampled_from([None, "A", "B"]),
    ),
    min_size=1,
    max_size=5,
)


@given(
    total=st.integers(1, 300),
    tenders=TENDERS,
    balances=st.fixed_dictionaries({"A": st.integers(-10, 300), "B": st.integers(-10, 300)}),
    exact=st.booleans(),
)
def test_whatever_is_split_adds_up(
    total: int, tenders: list[Tender], balances: dict[str, int], exact: bool
) -> None:
    try:
        shares = split(
            total, tenders, currency="KES", wallet="A", available=balances.__getitem__, exact=exact
        )
    except DomainError:
        return
    paid, excess = sum(share.amount_minor for share in shares), sum(share.excess_minor for share in shares)
    assert 0 < paid <= total
    if exact:
        assert (paid, excess) == (total, 0)
    if excess:
        assert paid == total
    kinds = [share.type != "wallet" for share in shares]
    assert kinds == sorted(kinds), "wallets first"
    for share in shares:
        assert share.amount_minor + share.excess_minor > 0, "shares of 0 are dropped"
        assert not (share.type == "wallet" and share.excess_minor), "a wallet never pays more than is owed"
    for account, balance in balances.items():
        taken = sum(
            share.amount_minor for share in shares if share.type == "wallet" and share.wallet_id == account
        )
        assert taken <= max(balance, 0)
    named = sorted((one.type, one.amount) for one in tenders if one.amount is not None)
    given_in = [(share.type, share.amount_minor + share.excess_minor) for share in shares]
    for one in named:
        assert one in given_in, "an amount that is named is taken whole"
        given_in.remove(one)


def test_a_share_keeps_the_hold_that_its_tender_names() -> None:
    tender = Tender(type="wallet", account="A", hold="01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57")
    (share,) = split(5, [tender], currency="KES", wallet=None, available=purse(A=9), exact=True)
    assert share.hold == tender.hold


# --- cash where the smallest coin is five cents


def paid(total: int, *tenders: Tender, currency: str = "CAD") -> list[tuple[str, int]]:
    due = cash_as_due(total, tenders, currency)
    shares = split(total, due, currency=currency, wallet="A", available=purse(A=1000), exact=True)
    return [(share.type, share.amount_minor) for share in cash_as_paid(shares, currency)]


@pytest.mark.parametrize(
    ("total", "tenders", "expected"),
    [
        (1002, [CASH], [("cash", 1000)]),
        (1003, [CASH], [("cash", 1005)]),
        (1003, [tender("cash", 1005)], [("cash", 1005)]),
        (1003, [tender("cash", 1003)], [("cash", 1005)]),
        (1003, [CARD], [("card", 1003)]),
        (1003, [tender("wallet", 3), CASH], [("wallet", 3), ("cash", 1000)]),
        (1003, [tender("card", 1), tender("cash", 502), CASH], [("card", 1), ("cash", 500), ("cash", 500)]),
        (1002, [tender("cash", 1), tender("cash", 999)], [("cash", 1), ("cash", 999)]),
        (2, [CASH], [("cash", 0)]),
    ],
)
def test_cash_is_paid_in_coins(total: int, tenders: list[Tender], expected: list[tuple[str, int]]) -> None:
    assert paid(total, *tenders) == expected


def test_where_every_unit_is_a_coin_cash_is_paid_as_due() -> None:
    assert paid(1003, CASH, currency="KES") == [("cash", 1003)]


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_cash_is_at_most_two_cents_from_what_is_due(total: int, card: int) -> None:
    tenders = [tender("card", card), CASH] if card else [CASH]
    if card > total:
        return
    cash = sum(amount for kind, amount in paid(total, *tenders) if kind == "cash")
    assert cash % 5 == 0
    assert abs(cash - (total - card)) <= 2


def test_change_is_what_was_given_less_what_is_paid() -> None:
    shares = [
        Share(leg=1, type="card", amount_minor=5),
        Share(leg=2, type="cash", amount_minor=95, given_minor=100),
    ]
    assert change(shares, "KES") == 5
    assert change(shares[:1], "KES") is None
    with pytest.raises(DomainError) as refusal:
        change([Share(leg=1, type="cash", amount_minor=95, given_minor=94)], "KES")
    assert refusal.value.code == Code.TENDERS_TOO_LOW
