"""Accounting dates: how far back one may lie, and what moved on the days that may still be written to."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final

from domain.errors import Code, DomainError

EARLIEST_EFFECTIVE_DATE: Final = date(1970, 1, 1)
"""No date lies before it: an older one is a slip of the pen, such as the year 26."""

MAX_BACKDATE_DAYS: Final = 31
"""How many days before today a date may lie with `transaction.backdate`; a tenant's policy may allow fewer."""

_KEPT: Final = timedelta(
    days=MAX_BACKDATE_DAYS + 1
)  # today in the tenant's time zone may lie a day before UTC's


def check_not_before(day: date, earliest: date) -> None:
    """Refuse a day before `earliest` (`effective_date_too_early`)."""
    if day < earliest:
        raise DomainError(
            Code.EFFECTIVE_DATE_TOO_EARLY,
            f"{day} lies before {earliest}, the earliest that it may be.",
            earliest=earliest.isoformat(),
        )


def moved(
    nets: Mapping[date, int], effective_date: date, amount_minor: int, *, recorded_at: datetime
) -> Mapping[date, int]:
    """The nets of the last days, with one movement more; days that are too old are dropped."""
    if effective_date in nets:
        return {**nets, effective_date: nets[effective_date] + amount_minor}
    oldest = recorded_at.date() - _KEPT
    kept = {day: net for day, net in nets.items() if day >= oldest}
    if effective_date >= oldest:
        kept[effective_date] = amount_minor
    return kept


def lowest_from(
    effective_date: date, balance_minor: int, nets: Mapping[date, int], *, recorded_at: datetime
) -> int:
    """The lowest balance at the end of any day from `effective_date` on, by the nets of the days since.

    Where that date is too old for its nets to be kept, the balance itself: history is brought in after the money that
    it spent, by those alone who may date that far back.
    """
    lowest = balance_minor
    if effective_date < recorded_at.date() - _KEPT:
        return lowest
    for day in sorted((day for day in nets if day > effective_date), reverse=True):
        balance_minor -= nets[day]
        lowest = min(lowest, balance_minor)
    return lowest
