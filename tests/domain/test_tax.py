"""Which rates a code has on which day."""

import re
from datetime import date

import pytest

from domain import tax
from domain.errors import Code, DomainError
from domain.tax import RATE_PATTERN, TEMPLATES


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
