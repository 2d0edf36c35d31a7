"""What documents amount to: worked cases, and what holds whatever is sold.

The figures of `WORKED` are worked out by hand (the working stands beside them). Those of `CHECKED` are worked out here a
second way, in decimals of fifty digits, by nothing that the code uses.
"""

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import tax
from domain.errors import Code, DomainError
from domain.line import Parts, document_taxes, in_proportion
from domain.pricing import Article, Discount, PriceBasis, priced
from domain.tax import TEMPLATES, Component

TODAY = date(2026, 3, 2)
Line = tuple[Any, ...]
"""Price, code, and where there is one a discount: an amount, or a percentage as text."""

CODES = {code.code: tax.in_force(code, TODAY) for code in (*TEMPLATES["KE"], *TEMPLATES["CA"])}


def _of(name: str, rate: str) -> tuple[Component, ...]:
    return (Component(name=name, authority_code=name, rate=rate, role="vat_payable", from_=TODAY),)


CODES |= {"VAT21": _of("VAT", "21"), "VAT10": _of("VAT", "10"), "VAT100": _of("VAT", "100")}


def discount_of(given_: int | str | None) -> Discount | None:
    if given_ is None:
        return None
    return Discount(percent=given_) if isinstance(given_, str) else Discount(amount=given_)


def price(basis: PriceBasis, lines: Sequence[Line], discount: int | str | None = None) -> list[Parts]:
    articles = [
        Article(price_minor=price, components=CODES[code], discount=discount_of(next(iter(more), None)))
        for price, code, *more in lines
    ]
    return priced(articles, basis=basis, discount=discount_of(discount))


def figures(parts: Sequence[Parts]) -> list[tuple[int, int, int, int]]:
    return [(part.discount, part.net, part.tax, part.total) for part in parts]


WORKED: list[tuple[str, PriceBasis, list[Line], int | str | None, list[tuple[int, int, int, int]]]] = [
    # 75800 x 21/121 = 13155.37: of 13155 the first line takes the odd one.
    (
        "two of 379.00 with 21 %",
        "inclusive",
        [(37900, "VAT21"), (37900, "VAT21")],
        None,
        [(0, 31322, 6578, 37900), (0, 31323, 6577, 37900)],
    ),
    # 50000 x 10/110 = 4545.45
    ("50,000 of no decimals", "inclusive", [(50000, "VAT10")], None, [(0, 45455, 4545, 50000)]),
    ("50,000 without", "exclusive", [(50000, "VAT10")], None, [(0, 50000, 5000, 55000)]),
    # 45000 x 10/110 = 4090.91
    ("50,000 less 10 %", "inclusive", [(50000, "VAT10")], "10", [(5000, 40909, 4091, 45000)]),
    ("all given away", "inclusive", [(11600, "B"), (500, "A")], "100", [(11600, 0, 0, 0), (500, 0, 0, 0)]),
    ("given away without", "exclusive", [(999, "GST_QST")], "100", [(999, 0, 0, 0)]),
    ("exempt", "inclusive", [(11600, "A")], None, [(0, 11600, 0, 11600)]),
    ("zero-rated", "exclusive", [(11600, "C")], None, [(0, 11600, 0, 11600)]),
    ("outside", "exclusive", [(1, "D")], None, [(0, 1, 0, 1)]),
    # 11600 x 16/116
    ("16 % in it", "inclusive", [(11600, "B")], None, [(0, 10000, 1600, 11600)]),
    ("16 % on it", "exclusive", [(10000, "B")], None, [(0, 10000, 1600, 11600)]),
    # 10000 x 8/108 = 740.74
    ("8 % in it", "inclusive", [(10000, "E")], None, [(0, 9259, 741, 10000)]),
    # 3 x 16/116 = 0.41
    ("three cents", "inclusive", [(3, "B")], None, [(0, 3, 0, 3)]),
    # 4 x 16/116 = 0.55
    ("four cents", "inclusive", [(4, "B")], None, [(0, 3, 1, 4)]),
    # 9 x 5 % = 0.45; 10 x 5 % = 0.5, half up
    ("nine cents and GST", "exclusive", [(9, "GST")], None, [(0, 9, 0, 9)]),
    ("ten cents and GST", "exclusive", [(10, "GST")], None, [(0, 10, 1, 11)]),
    # 10000: 5 % is 500, 9.975 % is 997.5, half up
    ("GST and QST", "exclusive", [(10000, "GST_QST")], None, [(0, 10000, 1498, 11498)]),
    # 11498 / 1.14975 = 10000.43: GST 500.02, QST 997.54
    ("GST and QST in it", "inclusive", [(11498, "GST_QST")], None, [(0, 10000, 1498, 11498)]),
    # 11200 / 1.12 = 10000: 500 and 700
    ("GST and PST in it", "inclusive", [(11200, "GST_PST_BC")], None, [(0, 10000, 1200, 11200)]),
    # 100 x 5/112 = 4.46, 100 x 7/112 = 6.25
    ("a dollar with GST and PST in it", "inclusive", [(100, "GST_PST_BC")], None, [(0, 90, 10, 100)]),
    # net 333 + 333 + 334 = 1000, 13 % is 130: 43.29, 43.29 and 43.42
    (
        "three that share a dollar thirty",
        "exclusive",
        [(333, "HST_ON"), (333, "HST_ON"), (334, "HST_ON")],
        None,
        [(0, 333, 43, 376), (0, 333, 43, 376), (0, 334, 44, 378)],
    ),
    # 3 x 0.5 = 1.5, half up 2: the first two
    (
        "three halves",
        "exclusive",
        [(10, "GST"), (10, "GST"), (10, "GST")],
        None,
        [(0, 10, 1, 11), (0, 10, 1, 11), (0, 10, 0, 10)],
    ),
    # 1000 - 100 = 900; 900 x 16/116 = 124.14
    ("a line less an amount", "inclusive", [(1000, "B", 100)], None, [(100, 776, 124, 900)]),
    # 7.5 % of 999 is 74.925
    ("a line less 7.5 %", "exclusive", [(999, "A", "7.5")], None, [(75, 924, 0, 924)]),
    # 0.5 % of 100 is 0.5, half up
    ("half a cent off", "exclusive", [(100, "A", "0.5")], None, [(1, 99, 0, 99)]),
    # 100 over 900 (1000 less 100) and 300: 75 and 25
    (
        "lines first, then the document",
        "exclusive",
        [(1000, "A", 100), (300, "A")],
        100,
        [(175, 825, 0, 825), (25, 275, 0, 275)],
    ),
    # 10 over 1, 1 and 1 that 100 % leave of nothing else: shares of 3.33
    (
        "ten over three equal lines",
        "exclusive",
        [(100, "A"), (100, "A"), (100, "A")],
        10,
        [(4, 96, 0, 96), (3, 97, 0, 97), (3, 97, 0, 97)],
    ),
    # net 90 and 180: 4.5 + 9 = 13.5, half up 14 for GST; PST on 180: 12.6, 13
    (
        "two codes share GST",
        "exclusive",
        [(100, "GST"), (200, "GST_PST_BC")],
        "10",
        [(10, 90, 5, 95), (20, 180, 22, 202)],
    ),
    # 0.25 + 0.25: half up 1, of the first
    (
        "taxed and exempt",
        "exclusive",
        [(5, "GST"), (5, "GST"), (7, "A")],
        None,
        [(0, 5, 1, 6), (0, 5, 0, 5), (0, 7, 0, 7)],
    ),
    ("a tax as much as the price", "inclusive", [(1, "VAT100")], None, [(0, 0, 1, 1)]),
]


@pytest.mark.parametrize(
    ("basis", "lines", "discount", "expected"),
    [case[1:] for case in WORKED],
    ids=[case[0] for case in WORKED],
)
def test_a_document_amounts_to_what_was_worked_out_by_hand(
    basis: PriceBasis,
    lines: list[Line],
    discount: int | str | None,
    expected: list[tuple[int, int, int, int]],
) -> None:
    assert figures(price(basis, lines, discount)) == expected


# --- a second way

CHECKED: list[tuple[PriceBasis, list[Line], int | str | None]] = [
    (basis, lines, discount)
    for basis in ("inclusive", "exclusive")
    for lines, discount in (
        ([(99, "B")], None),
        ([(99, "B"), (1, "E")], None),
        ([(12345, "B"), (67890, "E"), (333, "A")], None),
        ([(12345, "B", "12.5"), (67890, "E", 90), (333, "C", "33.3333")], None),
        ([(12345, "B"), (67890, "E"), (333, "D")], 1000),
        ([(12345, "B"), (67890, "E"), (333, "A")], "2.25"),
        ([(150001, "GST_QST"), (99999, "GST")], None),
        ([(150001, "GST_QST"), (99999, "GST")], "17.5"),
        ([(7, "GST_QST"), (11, "GST_QST"), (13, "GST_QST")], None),
        ([(1999, "GST_PST_SK"), (1, "GST_RST_MB"), (4999, "GST_PST_BC")], 499),
        ([(2599, "HST_ON"), (2599, "HST_ON"), (2599, "HST_ON")], None),
        ([(2599, "HST_NS"), (2601, "HST_15")], "5"),
        ([(10**15 - 1, "GST_QST")], None),
        ([(10**15 // 3, "B"), (10**15 // 7, "E")], "0.0001"),
        ([(100, "VAT10")] * 7, 33),
        ([(1, "GST_PST_BC")] * 20, None),
        ([(199, "B", 199), (201, "B")], 1),
        ([(50000, "VAT10"), (1, "VAT10")], "50"),
    )
]


def _rounded(exact: Decimal) -> int:
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _shared(whole: int, weights: list[Decimal]) -> list[int]:
    sum_ = sum(weights)
    quotas = [whole * weight / sum_ for weight in weights]
    shares = [int(quota.quantize(Decimal(1), rounding=ROUND_FLOOR)) for quota in quotas]
    # Remainders that differ by less than the digits carry are equal, and of equals the first comes first.
    order = sorted(
        range(len(weights)), key=lambda i: (-(quotas[i] - shares[i]).quantize(Decimal("1e-18")), i)
    )
    for i in order[: whole - sum(shares)]:
        shares[i] += 1
    return shares


def _less(price_: int, discount: int | str | None) -> int:
    if discount is None:
        return 0
    return _rounded(Decimal(price_) * Decimal(discount) / 100) if isinstance(discount, str) else discount


def a_second_way(
    basis: PriceBasis, lines: Sequence[Line], discount: int | str | None
) -> list[tuple[int, int, int, int]]:
    with localcontext(prec=50):
        own = [_less(price_, next(iter(more), None)) for price_, _, *more in lines]
        left = [line[0] - less for line, less in zip(lines, own, strict=True)]
        whole = _less(sum(left), discount)
        spread = _shared(whole, [Decimal(one) for one in left]) if whole else [0] * len(lines)
        left = [one - less for one, less in zip(left, spread, strict=True)]
        rates = [{(part.name, part.rate): Decimal(part.rate) for part in CODES[line[1]]} for line in lines]
        taxes = [0] * len(lines)
        for name in dict.fromkeys(name for of_line in rates for name in of_line):
            exact = [
                one
                * of_line.get(name, Decimal(0))
                / (100 + (sum(of_line.values()) if basis == "inclusive" else 0))
                for one, of_line in zip(left, rates, strict=True)
            ]
            if any(exact):
                for i, share in enumerate(_shared(_rounded(sum(exact, Decimal(0))), exact)):
                    taxes[i] += share
        nets = [one - (tax_ if basis == "inclusive" else 0) for one, tax_ in zip(left, taxes, strict=True)]
        return [
            (one + share, net, tax_, net + tax_)
            for one, share, net, tax_ in zip(own, spread, nets, taxes, strict=True)
        ]


@pytest.mark.parametrize(("basis", "lines", "discount"), CHECKED)
def test_a_document_amounts_to_what_a_second_way_finds(
    basis: PriceBasis, lines: list[Line], discount: int | str | None
) -> None:
    expected = a_second_way(basis, lines, discount)
    found = figures(price(basis, lines, discount))
    if min(net for _, net, _, _ in expected) >= 0:
        assert found == expected
    else:  # a line of a cent cannot bear two taxes: another line takes one of them
        assert [sum(column) for column in zip(*found, strict=True)] == [
            sum(column) for column in zip(*expected, strict=True)
        ]
        assert min(net for _, net, _, _ in found) >= 0


def test_there_are_at_least_sixty_cases() -> None:
    assert len(WORKED) + len(CHECKED) >= 60


# --- what a document says of its taxes


def test_taxes_are_told_by_component_and_rate() -> None:
    taxes = document_taxes(price("exclusive", [(10000, "GST_QST"), (2000, "GST"), (50, "A")]))
    assert [(one.component, one.rate, one.net, one.amount) for one in taxes] == [
        ("GST", "5", 12000, 600),
        ("QST", "9.975", 10000, 998),
    ]


def test_the_tax_in_a_discount_is_told_where_prices_include_it() -> None:
    (line,) = price("inclusive", [(11600, "B")], "10")
    assert (line.discount, line.discount_tax, line.discount_net, line.price) == (1160, 160, 1000, 10000)
    (line,) = price("exclusive", [(10000, "B")], "10")
    assert (line.discount, line.discount_tax, line.price) == (1000, 0, 10000)


@pytest.mark.parametrize(
    ("line", "whole"), [((100, "A", 101), None), ((100, "A"), 101), ((100, "A", 60), 41)]
)
def test_a_discount_is_no_more_than_its_price(line: Line, whole: int | None) -> None:
    with pytest.raises(DomainError) as refusal:
        price("exclusive", [line], whole)
    assert refusal.value.code == Code.DISCOUNT_EXCEEDS_PRICE


@pytest.mark.parametrize("discount", [Discount(), Discount(amount=1, percent="1")])
def test_a_discount_is_an_amount_or_a_percentage(discount: Discount) -> None:
    with pytest.raises(DomainError) as refusal:
        priced([Article(price_minor=100)], basis="exclusive", discount=discount)
    assert refusal.value.code == Code.INVALID_REQUEST


# --- a return of one of three, and a refund in three parts


def test_a_return_of_one_of_three_takes_a_third_of_each_part() -> None:
    (line,) = price("inclusive", [(10000, "B")], "10")
    assert figures([line]) == [(1000, 7759, 1241, 9000)]
    first = in_proportion(line, before_minor=0, amount_minor=3000)
    assert figures([first]) == [(333, 2587, 413, 3000)]


def test_a_refund_in_three_parts_gives_back_the_whole() -> None:
    (line,) = price("exclusive", [(10000, "GST_QST", "3.3")])
    steps = [line.total // 3, line.total // 3, line.total - 2 * (line.total // 3)]
    parts = [in_proportion(line, before_minor=sum(steps[:n]), amount_minor=steps[n]) for n in range(3)]
    assert [sum(column) for column in zip(*figures(parts), strict=True)] == [*figures([line])[0]]
    for place, whole in enumerate(line.taxes):
        assert sum(part.taxes[place].amount for part in parts) == whole.amount


# --- whatever is sold

LINES = st.lists(
    st.tuples(
        st.one_of(st.integers(1, 40), st.integers(1, 10**12)),
        st.sampled_from(sorted(CODES)),
        st.one_of(st.none(), st.just("100"), st.decimals(0, 100, places=2).map(str)),
    ),
    min_size=1,
    max_size=12,
)


@given(st.sampled_from(["inclusive", "exclusive"]), LINES, st.sampled_from([None, "0", "7.25", "50", "100"]))
def test_no_cent_is_lost(basis: PriceBasis, lines: list[Line], discount: str | None) -> None:
    parts = price(basis, lines, discount)
    for line, part in zip(lines, parts, strict=True):
        assert min(part.discount, part.net, part.tax, part.total, part.discount_tax, part.discount_net) >= 0
        assert part.net + part.tax == part.total
        assert sum(one.amount for one in part.taxes) == part.tax
        assert part.discount + (part.total if basis == "inclusive" else part.net) == line[0]
    taxes = document_taxes(parts)
    assert sum(one.amount for one in taxes) == sum(part.tax for part in parts)
    for one in taxes:
        if basis == "exclusive":
            assert one.amount == _rounded(one.net * Decimal(one.rate) / 100)
