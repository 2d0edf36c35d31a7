"""Dates that lie back: against a plain fold of all movements."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import EARLIEST_EFFECTIVE_DATE, MAX_BACKDATE_DAYS, check_not_before, lowest_from, moved
from domain.errors import Code, DomainError

TODAY = date(2026, 3, 31)
NOW = datetime(2026, 3, 31, 9, tzinfo=UTC)
MOVEMENTS = st.lists(st.tuples(st.integers(0, 60), st.integers(-100, 100)), max_size=40)


@given(MOVEMENTS, st.integers(0, MAX_BACKDATE_DAYS))
def test_the_lowest_balance_since_a_day_is_that_of_all_movements(
    movements: list[tuple[int, int]], days: int
) -> None:
    nets: dict[date, int] = {}
    for ago, amount in movements:
        nets = dict(moved(nets, TODAY - timedelta(ago), amount, recorded_at=NOW))
    ends = [sum(amount for ago, amount in movements if ago >= day) for day in range(days + 1)]
    assert lowest_from(TODAY - timedelta(days), ends[0], nets, recorded_at=NOW) == min(ends)


def test_days_that_nothing_may_be_dated_to_any_more_are_forgotten() -> None:
    nets = moved({}, TODAY - timedelta(MAX_BACKDATE_DAYS), 5, recorded_at=NOW)
    assert len(nets) == 1
    later = NOW + timedelta(MAX_BACKDATE_DAYS + 2)
    assert moved(nets, later.date(), 7, recorded_at=later) == {later.date(): 7}
    assert moved({}, TODAY - timedelta(300), 7, recorded_at=NOW) == {}


def test_one_day_more_is_kept_than_a_date_may_lie_back() -> None:
    """Today in the tenant's time zone may lie a day before UTC's."""
    last, forgotten = TODAY - timedelta(MAX_BACKDATE_DAYS + 1), TODAY - timedelta(MAX_BACKDATE_DAYS + 2)
    assert moved({}, last, 5, recorded_at=NOW) == {last: 5}
    assert moved({}, forgotten, 5, recorded_at=NOW) == {}
    assert moved({last: 5, forgotten: 3}, TODAY, 7, recorded_at=NOW) == {last: 5, TODAY: 7}
    assert lowest_from(last, 12, {last: 5, TODAY: 7}, recorded_at=NOW) == 5
    assert lowest_from(forgotten, 12, {last: 5, TODAY: 7}, recorded_at=NOW) == 12


def test_of_a_day_that_is_forgotten_the_balance_counts() -> None:
    assert lowest_from(date(2025, 12, 31), 100, {TODAY: 100}, recorded_at=NOW) == 100
    assert lowest_from(date(2026, 3, 1), 100, {TODAY: 100}, recorded_at=NOW) == 0


@pytest.mark.parametrize("year", [1, 26, 1899, 1969])
def test_a_year_that_is_a_slip_of_the_pen(year: int) -> None:
    check_not_before(EARLIEST_EFFECTIVE_DATE, EARLIEST_EFFECTIVE_DATE)
    with pytest.raises(DomainError) as refusal:
        check_not_before(date(year, 12, 31), EARLIEST_EFFECTIVE_DATE)
    assert refusal.value.code == Code.EFFECTIVE_DATE_TOO_EARLY
    assert refusal.value.detail.endswith("-12-31 lies before 1970-01-01, the earliest that it may be.")
    assert refusal.value.extra == {"earliest": "1970-01-01"}
