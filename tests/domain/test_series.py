from typing import Any

import pytest

from domain import series
from domain.errors import Code
from domain.series import MAX_NUMBER_LENGTH, NumberAllocated, Series, SeriesPolicySet
from tests.support.given import AT, given

STREAM = "greenhill/series/receipt"
YEARLY = SeriesPolicySet(series="receipt", prefix="RCT", branch="", width=6, yearly=True, recorded_at=AT)
PLAIN = SeriesPolicySet(series="receipt", prefix="R", branch="", width=2, yearly=False, recorded_at=AT)
DOCUMENT: dict[str, Any] = {"document": "d-1", "kind": "sale", "currency": "KES"}


def allocated(number: str, year: int, count: int) -> NumberAllocated:
    return NumberAllocated(
        series="receipt", number=number, year=year, count=count, amount=5, **DOCUMENT, recorded_at=AT
    )


def allocate(year: int) -> Any:
    return lambda state: series.allocate(state, year=year, amount_minor=5, **DOCUMENT, recorded_at=AT)


def test_numbers_count_up_without_a_gap() -> None:
    first = allocated("RCT-2026-000001", 2026, 1)
    given(STREAM, YEARLY).when(allocate(2026)).then(first, count=1, year=2026)
    given(STREAM, YEARLY, first).when(allocate(2026)).then(allocated("RCT-2026-000002", 2026, 2), count=2)


def test_a_new_year_begins_anew() -> None:
    last = allocated("RCT-2026-000417", 2026, 417)
    given(STREAM, YEARLY, last).when(allocate(2027)).then(allocated("RCT-2027-000001", 2027, 1), count=1)


def test_a_series_without_years_counts_on() -> None:
    last = allocated("R-09", 0, 9)
    given(STREAM, PLAIN, last).when(allocate(2027)).then(allocated("R-10", 0, 10), count=10, year=0)


def test_a_count_wider_than_its_format_grows_the_number_up_to_the_limit() -> None:
    last = allocated("RCT-2026-999999", 2026, 999_999)
    given(STREAM, YEARLY, last).when(allocate(2026)).then(allocated("RCT-2026-1000000", 2026, 1_000_000))
    full = allocated("RCT-2026-999999999", 2026, 999_999_999)
    assert len(full.number) == MAX_NUMBER_LENGTH
    given(STREAM, YEARLY, full).when(allocate(2026)).then_refused(
        Code.SERIES_EXHAUSTED, "Series receipt has no number left in its format."
    )


def test_a_policy_fits_what_quickbooks_takes() -> None:
    def set_policy(prefix: str, width: int, branch: str = "") -> Any:
        return lambda _: series.set_policy(
            series="receipt", prefix=prefix, branch=branch, width=width, yearly=True, recorded_at=AT
        )

    given(STREAM).when(set_policy("RCT", 6)).then(YEARLY, prefix="RCT", branch="", width=6, yearly=True)
    longest = SeriesPolicySet(
        series="receipt", prefix="RECEIP", branch="", width=6, yearly=True, recorded_at=AT
    )
    assert len("RECEIP-2026-000001") == MAX_NUMBER_LENGTH
    given(STREAM).when(set_policy("RECEIP", 6)).then(longest)
    given(STREAM).when(set_policy("RECEIPT", 6)).then_is_a_programming_error()


def test_a_series_without_policy_gives_no_number() -> None:
    with pytest.raises(AssertionError, match=r"^a series has a policy before it is used$"):
        allocate(2026)(Series())


def test_a_branch_stands_in_the_number() -> None:
    policy = SeriesPolicySet(
        series="receipt", prefix="RCT", branch="B2", width=6, yearly=True, recorded_at=AT
    )
    given(STREAM, policy).when(allocate(2026)).then(allocated("RCT-B2-2026-000001", 2026, 1), branch="B2")
    with pytest.raises(AssertionError):
        series.set_policy(series="receipt", prefix="RCT", branch="B22", width=6, yearly=True, recorded_at=AT)
