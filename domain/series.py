"""The numbering series: legal numbers without gaps, each allocated in the commit that issues its document."""

from datetime import datetime
from typing import ClassVar, Final, Literal, assert_never

from domain.errors import Code, DomainError
from domain.event import Event, State, stored

MAX_NUMBER_LENGTH: Final = 18
"""So that QuickBooks takes a number as `DocNumber` (21 characters) also with a leg behind it."""

DocumentKind = Literal[
    "top_up",
    "charge",
    "sale",
    "refund",
    "settlement",
    "invoice",
    "reversal",
    "adjustment",
    "pay_out",
    "dormant",
]

# --- events


@stored
class SeriesPolicySet(Event, frozen=True, kw_only=True):
    """The format: `prefix`, the branch if there is one, the year if `yearly`, and a count of `width` digits.

    With the year in it the count begins anew each year.
    """

    topic: ClassVar[str] = "bursar.series.policy_set.v1"
    series: str
    prefix: str
    branch: str
    width: int
    yearly: bool
    recorded_at: datetime


@stored
class NumberAllocated(Event, frozen=True, kw_only=True):
    """The register of numbers: which document has it, of what kind and amount (minor units)."""

    topic: ClassVar[str] = "bursar.series.number_allocated.v1"
    series: str
    number: str
    year: int
    count: int
    document: str
    kind: DocumentKind
    amount: int
    currency: str
    recorded_at: datetime


SeriesEvent = SeriesPolicySet | NumberAllocated

# --- state


class Series(State, kw_only=True):
    """`count` is the last number allocated in `year` (0 for a series that is not yearly)."""

    series: str = ""
    prefix: str = ""
    branch: str = ""
    width: int = 6
    yearly: bool = True
    year: int = 0
    count: int = 0


def evolve(state: Series, event: SeriesEvent) -> None:
    match event:
        case NumberAllocated():
            state.year = event.year
            state.count = event.count
        case SeriesPolicySet():
            state.series = event.series
            state.prefix = event.prefix
            state.branch = event.branch
            state.width = event.width
            state.yearly = event.yearly
        case _:
            assert_never(event)


# --- decisions


def set_policy(
    *, series: str, prefix: str, branch: str, width: int, yearly: bool, recorded_at: datetime
) -> SeriesPolicySet:
    event = SeriesPolicySet(
        series=series, prefix=prefix, branch=branch, width=width, yearly=yearly, recorded_at=recorded_at
    )
    assert len(_format(event, year=2000, count=1)) <= MAX_NUMBER_LENGTH
    return event


def _format(policy: SeriesPolicySet | Series, *, year: int, count: int) -> str:
    branch = f"-{policy.branch}" if policy.branch else ""
    year_ = f"-{year}" if policy.yearly else ""
    return f"{policy.prefix}{branch}{year_}-{count:0{policy.width}d}"


def allocate(
    state: Series,
    *,
    year: int,
    document: str,
    kind: DocumentKind,
    amount_minor: int,
    currency: str,
    recorded_at: datetime,
) -> NumberAllocated:
    """Allocate the next number. `year` is that of the recording in the tenant's zone, which never goes back."""
    assert state.version, "a series has a policy before it is used"
    if not state.yearly:
        year = 0
    count = state.count + 1 if year == state.year else 1
    number = _format(state, year=year, count=count)
    if len(number) > MAX_NUMBER_LENGTH:
        raise DomainError(Code.SERIES_EXHAUSTED, f"Series {state.series} has no number left in its format.")
    return NumberAllocated(
        series=state.series,
        number=number,
        year=year,
        count=count,
        document=document,
        kind=kind,
        amount=amount_minor,
        currency=currency,
        recorded_at=recorded_at,
    )
