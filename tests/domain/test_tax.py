"""Which rates a code has on which day."""

import re
from datetime import date

import pytest

from domain import tax
from domain.errors import Code, DomainError
from domain.tax import RATE_PATTERN, TEMPLATES, Component, codes_of, with_rates

JAN, FEB, MAR = (date(2026, month, 1) for month in (1, 2, 3))


def rates(country: str, code: str, on: date) -> list[tuple[str, str]]:
    components = tax.in_force(tax.find(TEMPLATES[country], code), on)
    return [(component.name, component.rate) for component in components]


@pytest.mark.parametrize(
    ("on", "rate"),
    [
        (date(2013, 9, 2), "16"),
        (date(2020, 3, 31), "16"),
        (date(2020, 4, 1), "14"),
        (date(2020, 12, 31), "14"),
        (date(2021, 1, 1), "16"),
        (date(2026, 3, 2), "16"),
    ],
)
def test_kenyas_general_rate_was_lower_in_2020(on: date, rate: str) -> None:
    assert rates("KE", "B", on) == [("VAT", rate)]


def test_nova_scotias_rate_fell_in_2025() -> None:
    assert rates("CA", "HST_NS", date(2025, 3, 31)) == [("HST", "15")]
    assert rates("CA", "HST_NS", date(2025, 4, 1)) == [("HST", "14")]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("A", []),
        ("C", []),
        ("D", []),
        ("GST", [("GST", "5")]),
        ("HST_ON", [("HST", "13")]),
        ("HST_15", [("HST", "15")]),
        ("GST_PST_BC", [("GST", "5"), ("PST", "7")]),
        ("GST_PST_SK", [("GST", "5"), ("PST", "6")]),
        ("GST_RST_MB", [("GST", "5"), ("RST", "7")]),
        ("GST_QST", [("GST", "5"), ("QST", "9.975")]),
    ],
)
def test_canadas_codes(code: str, expected: list[tuple[str, str]]) -> None:
    assert rates("CA", code, date(2026, 3, 2)) == expected


def test_a_day_before_the_first_rate_is_refused() -> None:
    with pytest.raises(DomainError) as refusal:
        rates("KE", "B", date(2013, 9, 1))
    assert refusal.value.code == Code.TAX_CODE_NOT_IN_FORCE
    assert refusal.value.detail == "Tax code B has no rate on 2013-09-01."


def test_a_code_that_the_school_does_not_have_is_refused() -> None:
    with pytest.raises(DomainError) as refusal:
        rates("KE", "GST", date(2026, 3, 2))
    assert refusal.value.code == Code.UNKNOWN_TAX_CODE
    assert refusal.value.detail == "There is no tax code GST; use one of A, C, D, B, E."


@pytest.mark.parametrize("country", sorted(TEMPLATES))
def test_a_code_never_has_two_rates_of_one_tax_on_a_day(country: str) -> None:
    for code in TEMPLATES[country]:
        for component in code.components:
            assert re.match(RATE_PATTERN, component.rate)
            for day in (component.from_, component.to or date(2026, 3, 2)):
                names = [name for name, _ in rates(country, code.code, day)]
                assert len(set(names)) == len(names) > 0


@pytest.mark.parametrize("text", ["-1", "1e1", "100.1", "101", "1.00001", "1,5", ".5", "", "5%", "5\n"])
def test_a_rate_is_a_plain_decimal_up_to_a_hundred(text: str) -> None:
    assert not re.match(RATE_PATTERN, text)


def vat(rate: str, from_: date, to: date | None = None) -> Component:
    return Component(name="VAT", authority_code="B", rate=rate, role="vat_payable", from_=from_, to=to)


def test_other_rates_end_those_of_before_and_drop_those_that_were_to_come() -> None:
    begun = with_rates(None, code="X", name="X", components=[vat("10", JAN)], from_=JAN)
    assert begun.components == (vat("10", JAN),)
    later = with_rates(begun, code="X", name="X", components=[vat("12", MAR)], from_=MAR)
    assert later.components == (vat("10", JAN, date(2026, 2, 28)), vat("12", MAR))
    earlier = with_rates(later, code="X", name="Y", components=[vat("11", FEB)], from_=FEB)
    assert earlier.components == (vat("10", JAN, date(2026, 1, 31)), vat("11", FEB))
    assert earlier.name == "Y"
    same_day = with_rates(earlier, code="X", name="Y", components=[vat("9", FEB)], from_=FEB)
    assert same_day.components == (vat("10", JAN, date(2026, 1, 31)), vat("9", FEB))


def test_what_has_ended_stays_as_it_was() -> None:
    code = tax.find(TEMPLATES["KE"], "B")
    changed = with_rates(code, code="B", name="B", components=[vat("18", JAN)], from_=JAN)
    assert changed.components[:2] == code.components[:2]
    assert changed.components[2].to == date(2025, 12, 31)


def test_what_bears_no_tax_gets_no_rate_and_a_tax_no_two() -> None:
    untaxed = tax.find(TEMPLATES["KE"], "A")
    for before, components in ((untaxed, [vat("1", JAN)]), (None, [vat("1", JAN), vat("2", JAN)])):
        with pytest.raises(DomainError) as refusal:
            with_rates(before, code="X", name="X", components=components, from_=JAN)
        assert refusal.value.code == Code.INVALID_REQUEST


def test_a_schools_codes_are_the_templates_with_its_own_in_their_places() -> None:
    own = with_rates(None, code="X", name="X", components=[vat("1", JAN)], from_=JAN)
    changed = with_rates(
        tax.find(TEMPLATES["KE"], "B"), code="B", name="B", components=[vat("18", JAN)], from_=JAN
    )
    codes = codes_of("KE", {"X": own, "B": changed})
    assert [code.code for code in codes] == ["A", "C", "D", "B", "E", "X"]
    assert tax.find(codes, "B") is changed
    assert codes_of("KE", {}) is TEMPLATES["KE"]
