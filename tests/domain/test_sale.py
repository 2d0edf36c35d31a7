from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given as anything
from hypothesis import strategies as st

from domain import sale
from domain.aggregates import apply
from domain.errors import Code, DomainError
from domain.money import MAX_AMOUNT_MINOR
from domain.sale import (
    RefundLine,
    Sale,
    SaleCompleted,
    SaleLine,
    SaleRefunded,
    SaleTender,
    SaleView,
    TenderView,
)
from domain.tender import Share
from tests.support.given import MOVED, TODAY, TRANSACTION, fold, given, untaxed

STREAM = "greenhill/sale/s-1"
LINES = (
    SaleLine(sku="MEAL", description="Lunch", quantity=3, **untaxed(100), income="meals", tax_code="A"),
    SaleLine(sku="PEN", description="Pen", quantity=1, **untaxed(50), income="shop", tax_code="A"),
)
WALLET = SaleTender(type="wallet", amount=90, account="STU-1")
CASH = SaleTender(type="cash", amount=60)


def completed(lines: tuple[SaleLine, ...] = LINES, *tenders: SaleTender) -> SaleCompleted:
    return SaleCompleted(
        sale="s-1",
        customer="STU-1",
        currency="KES",
        lines=lines,
        tenders=tenders or (WALLET, CASH),
        total=sum(line.total for line in lines),
        receipt="R-1",
        **MOVED,
    )


def refunded(lines: list[RefundLine], *tenders: SaleTender) -> SaleRefunded:
    return SaleRefunded(
        sale="s-1",
        customer="STU-1",
        currency="KES",
        lines=tuple(lines),
        tenders=tenders,
        total=sum(line.total for line in lines),
        receipt="R-2",
        **MOVED,
    )


def meal(quantity: int, amount: int) -> RefundLine:
    return RefundLine(
        line=1, quantity=quantity, **untaxed(amount), sku="MEAL", description="Lunch", tax_code="A"
    )


def pen(quantity: int, amount: int) -> RefundLine:
    return RefundLine(
        line=2, quantity=quantity, **untaxed(amount), sku="PEN", description="Pen", tax_code="A"
    )


def by_quantity(*wanted: tuple[int, int]) -> Any:
    def decision(state: Sale) -> SaleRefunded:
        return sale.refund(state, TRANSACTION, lines=sale.lines_by_quantity(state, wanted), receipt="R-2")

    return decision


def by_amount(amount: int) -> Any:
    def decision(state: Sale) -> SaleRefunded:
        return sale.refund(state, TRANSACTION, lines=sale.lines_by_amount(state, amount), receipt="R-2")

    return decision


def cash(amount: int) -> SaleTender:
    return msgspec.structs.replace(CASH, amount=amount)


def wallet(amount: int) -> SaleTender:
    return msgspec.structs.replace(WALLET, amount=amount)


def test_a_sale_holds_what_was_sold_and_what_paid() -> None:
    def decision(_: Sale) -> SaleCompleted:
        shares = [
            Share(leg=1, type="wallet", amount_minor=90, wallet_id="STU-1"),
            Share(leg=2, type="mpesa", amount_minor=60, reference="RKT1"),
        ]
        return sale.complete(
            TRANSACTION, sale="s-1", customer="STU-1", lines=LINES, shares=shares, receipt="R-1"
        )

    mpesa = SaleTender(type="mpesa", amount=60, reference="RKT1")
    given(STREAM).when(decision).then(
        completed(LINES, WALLET, mpesa),
        total_minor=150,
        sold_on=TODAY,
        returned_amounts=(0, 0),
        returned_tenders=(0, 0),
    )


def test_an_answer_shows_the_sale_and_what_of_it_was_taken_back() -> None:
    state: Any = fold(STREAM, [completed(), refunded([pen(1, 50), meal(1, 33)], cash(60), wallet(23))])
    assert SaleView.of(state) == SaleView(
        id="s-1",
        receipt="R-1",
        customer="STU-1",
        currency="KES",
        net=150,
        discount=0,
        tax=0,
        total=150,
        rounding=0,
        payable=150,
        taxes=[],
        refunded=83,
        lines=LINES,
        tenders=[TenderView("wallet", 90), TenderView("cash", 60)],
    )


def test_a_sale_has_a_limit() -> None:
    def decision(_: Sale) -> SaleCompleted:
        line = msgspec.structs.replace(LINES[0], **untaxed(MAX_AMOUNT_MINOR))
        return sale.complete(
            TRANSACTION, sale="s-1", customer=None, lines=(line, LINES[1]), shares=(), receipt="R-1"
        )

    given(STREAM).when(decision).then_refused(Code.AMOUNT_TOO_LARGE)


def test_what_paid_last_gets_back_first() -> None:
    given(STREAM, completed()).when(by_quantity((2, 1))).then(
        refunded([pen(1, 50)], cash(50)), returned_pieces=(0, 1), returned_tenders=(0, 50)
    )
    given(STREAM, completed(), refunded([pen(1, 50)], cash(50))).when(by_quantity((1, 1))).then(
        refunded([meal(1, 33)], cash(10), wallet(23)), returned_tenders=(23, 60)
    )


def test_the_last_piece_takes_the_remainder() -> None:
    two = refunded([meal(2, 66)], cash(60), wallet(6))
    given(STREAM, completed()).when(by_quantity((1, 2))).then(two, returned_pieces=(2, 0))
    given(STREAM, completed(), two).when(by_quantity((1, 1))).then(
        refunded([meal(1, 34)], wallet(34)), returned_amounts=(100, 0), returned_pieces=(3, 0)
    )


def test_equal_lines_of_a_request_count_together() -> None:
    given(STREAM, completed()).when(by_quantity((1, 1), (1, 2))).then(
        refunded([meal(3, 100)], cash(60), wallet(40)), returned_pieces=(3, 0)
    )


def test_an_amount_is_spread_over_what_is_left() -> None:
    given(STREAM, completed()).when(by_amount(75)).then(
        refunded([meal(0, 50), pen(0, 25)], cash(60), wallet(15)), returned_amounts=(50, 25)
    )
    # What an amount took does not come back by pieces: the last piece takes what is left.
    half = refunded([meal(0, 50), pen(0, 25)], cash(60), wallet(15))
    given(STREAM, completed(), half).when(by_quantity((1, 3))).then(refunded([meal(3, 50)], wallet(50)))


@pytest.mark.parametrize("wanted", [[(1, 4)], [(2, 2)], [(1, 3), (1, 1)]])
def test_no_more_pieces_come_back_than_were_sold(wanted: Any) -> None:
    given(STREAM, completed()).when(by_quantity(*wanted)).then_refused(Code.REFUND_EXCEEDS_SALE)


def test_a_refusal_says_how_many_pieces_are_left() -> None:
    events = [completed(), refunded([meal(1, 33)], cash(33))]
    given(STREAM, *events).when(by_quantity((1, 3))).then_refused(
        Code.REFUND_EXCEEDS_SALE, "Of line 1, 2 pieces and 0.67 KES are left."
    )


def test_nothing_comes_back_twice() -> None:
    everything = refunded([meal(3, 100), pen(1, 50)], cash(60), wallet(90))
    given(STREAM, completed()).when(by_amount(150)).then(
        refunded([meal(0, 100), pen(0, 50)], cash(60), wallet(90))
    )
    given(STREAM, completed(), everything).when(by_amount(1)).then_refused(
        Code.REFUND_EXCEEDS_SALE, available=0, required=1
    )
    given(STREAM, completed(), everything).when(by_quantity((1, 1))).then_refused(Code.REFUND_EXCEEDS_SALE)
    given(STREAM, completed()).when(by_amount(151)).then_refused(
        Code.REFUND_EXCEEDS_SALE, available=150, required=151
    )


def test_pieces_whose_money_came_back_by_amount_are_refused() -> None:
    given(STREAM, completed(), refunded([meal(0, 100)], cash(60), wallet(40))).when(
        by_quantity((1, 1))
    ).then_refused(Code.REFUND_EXCEEDS_SALE)


@pytest.mark.parametrize("line", [0, 3, -1])
def test_a_line_that_is_not_there_is_refused(line: int) -> None:
    given(STREAM, completed()).when(by_quantity((line, 1))).then_refused(Code.INVALID_REQUEST)


def test_a_piece_worth_less_than_a_cent_comes_back_with_others_only() -> None:
    cheap = (msgspec.structs.replace(LINES[0], quantity=3, **untaxed(2)),)
    state: Any = fold(STREAM, [completed(cheap, cash(2))])
    given(STREAM, completed(cheap, cash(2))).when(by_quantity((1, 1))).then_refused(
        Code.REFUND_EXCEEDS_SALE, "These pieces are worth less than the smallest unit."
    )
    assert [line.total for line in sale.lines_by_quantity(state, [(1, 3)])] == [2]
    both: Any = fold(
        STREAM, [completed((*cheap, msgspec.structs.replace(LINES[0], quantity=1, **untaxed(5))), cash(7))]
    )
    lines = sale.lines_by_quantity(both, [(1, 1), (2, 1)])
    assert [(line.line, line.quantity, line.total) for line in lines] == [(1, 1, 0), (2, 1, 5)]


def test_a_refund_of_nothing_or_of_more_than_was_paid_is_a_programming_error() -> None:
    state: Any = fold(STREAM, [completed()])
    with pytest.raises(AssertionError):
        sale.refund(state, TRANSACTION, lines=[meal(1, 0)], receipt="R-2")
    with pytest.raises(AssertionError, match=r"^no more is refunded than was paid$"):
        sale.refund_tenders(state, 151)


def test_a_sale_that_is_not_there_is_not_found() -> None:
    given(STREAM).when(lambda state: sale.check_exists(state, "s-1")).then_refused(
        Code.SALE_NOT_FOUND, sale="s-1"
    )
    given(STREAM, completed()).when(lambda state: sale.check_exists(state, "s-1")).then()


def test_cash_goes_back_rounded_and_in_the_end_as_it_was_paid() -> None:
    """10.03 paid with 3.00 by card and 7.05 in cash, where cash is rounded to five cents."""
    card = SaleTender(type="card", amount=300)
    line = msgspec.structs.replace(LINES[0], quantity=1, **untaxed(1003))
    sold = msgspec.structs.replace(completed((line,), card, cash(705)), currency="CAD")
    assert sold.rounding_minor == 2
    state: Any = fold(STREAM, [sold])
    got = []
    for amount in (3, 700, 299, 1):
        event = sale.refund(state, TRANSACTION, lines=sale.lines_by_amount(state, amount), receipt="R")
        apply(state, event)
        got.append([(tender.type, tender.amount, event.rounding_minor) for tender in event.tenders])
    assert got == [[("cash", 5, 2)], [("cash", 700, 0)], [("card", 297, -2)], [("card", 3, 2)]]
    assert state.returned_tenders == (300, 705)


@st.composite
def sales(draw: st.DrawFn) -> SaleCompleted:
    lines = tuple(
        SaleLine(sku="X", description="X", quantity=quantity, **untaxed(total), income="sales", tax_code="A")
        for quantity, total in draw(
            st.lists(st.tuples(st.integers(1, 9), st.integers(1, 500)), min_size=1, max_size=4)
        )
    )
    total = sum(line.total for line in lines)
    cuts = sorted({0, total, *draw(st.lists(st.integers(0, total), max_size=3))})
    return completed(lines, *(cash(end - begin) for begin, end in pairwise(cuts)))


@anything(sales(), st.data())
def test_refunds_never_exceed_the_sale_and_can_empty_it(sold: SaleCompleted, data: st.DataObject) -> None:
    state: Any = fold(STREAM, [sold])
    given_back = 0
    for _ in range(data.draw(st.integers(0, 6))):
        try:
            if data.draw(st.booleans()):
                lines = sale.lines_by_amount(state, data.draw(st.integers(1, sold.total)))
            else:
                line = data.draw(st.integers(1, len(sold.lines)))
                lines = sale.lines_by_quantity(state, [(line, data.draw(st.integers(1, 9)))])
        except DomainError as error:
            if error.code != Code.REFUND_EXCEEDS_SALE:
                raise
            continue
        if lines:
            event = sale.refund(state, TRANSACTION, lines=lines, receipt="R-2")
            assert sum(tender.amount for tender in event.tenders) == event.total
            apply(state, event)
            given_back += event.total
        assert sum(state.returned_amounts) == sum(state.returned_tenders) == given_back
        for index, line in enumerate(sold.lines):
            assert state.returned_amounts[index] <= line.total
            assert state.returned_pieces[index] <= line.quantity
        for tender, returned in zip(sold.tenders, state.returned_tenders, strict=True):
            assert returned <= tender.amount
    if given_back < sold.total:
        left = sold.total - given_back
        apply(
            state,
            sale.refund(state, TRANSACTION, lines=sale.lines_by_amount(state, left), receipt="R"),
        )
    assert sum(state.returned_amounts) == sum(state.returned_tenders) == sold.total
