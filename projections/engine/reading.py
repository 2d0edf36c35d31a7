"""What all queries share: typed rows, and pages of them.

A query runs in a transaction that has set `bursar.tenant`; row-level security hides all other rows.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final, Generic, LiteralString, NamedTuple, Self, TypeVar

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg.types.numeric import IntLoader

_T = TypeVar("_T")
_K = TypeVar("_K")

SET_TENANT: Final = "SELECT set_config('bursar.tenant', %s, true)"
"""Lets the rest of the transaction see one tenant's rows."""


MAX_POSITION: Final = 2**63 - 1


class DateKey(NamedTuple):
    """Where a row stands in a list by effective date, then position, the newest first."""

    effective_date: date
    position: int

    @classmethod
    def before_page(cls, *, last: date | None, after: Self | None) -> Self:
        """What all rows of a page lie before: the rows that follow `after`, of effective dates up to `last`.

        One bound for both, since an index is entered at the one of two that happens to come last.
        """
        end = cls(last or date.max, MAX_POSITION)
        return end if after is None else min(end, after)


class Page(msgspec.Struct, Generic[_T, _K], frozen=True, kw_only=True):
    """Up to `limit` rows, and the key after which the next ones follow."""

    data: list[_T]
    next: _K | None
    has_more: bool


async def rows_of(
    connection: psycopg.AsyncConnection[Any],
    row: type[_T],
    query: LiteralString,
    parameters: Mapping[str, Any],
) -> list[_T]:
    """Run a query whose columns are the fields of `row`. Sums are whole numbers and come as int."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        cursor.adapters.register_loader("numeric", IntLoader)
        await cursor.execute(query, parameters, prepare=True)
        return [msgspec.convert(found, row) for found in await cursor.fetchall()]


def page(rows: list[_T], limit: int, key_of: Callable[[_T], _K]) -> Page[_T, _K]:
    """The page of a query that asked for one row more than `limit`."""
    has_more = len(rows) > limit
    data = rows[:limit]
    return Page(data=data, next=key_of(data[-1]) if has_more else None, has_more=has_more)


def page_of_examined(
    examined: Sequence[_T], fitting: list[_T], limit: int, key_of: Callable[[_T], _K], *, all_seen: bool
) -> Page[_T, _K]:
    """The page of a query that looks at so many rows, of which some are `fitting`: it may be short, and more follow."""
    found: Page[_T, _K] = page(fitting, limit, key_of)
    if found.has_more or all_seen:
        return found
    return Page(data=found.data, next=key_of(examined[-1]), has_more=True)
