"""Lists of any length, read a page at a time from where the last page ended, in an order that an index has."""

from typing import Any

import msgspec

from adapters.quickbooks.emulator.store import Store

MAX_PAGE_ROWS = 50
# SQLite's largest integer has 19 digits.
MAX_ID_DIGITS = 18


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Rows in an order. `select` ends in its conditions and gives the row's id first.

    `order` are the columns that an index has in this order, the last of them unique. `place` is their values
    for the row whose id is `:at`.
    """

    select: str
    order: tuple[str, ...]
    place: str
    descending: bool = False


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where in a list a page lies: behind or before the row of that id, at the end, or else at its beginning."""

    after: int | None = None
    before: int | None = None
    last: bool = False


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows of a list, and whether there are rows before and behind them."""

    rows: list[Any]
    has_previous: bool
    has_next: bool


def read(store: Store, listing: Listing, at: Place, limit: int = MAX_PAGE_ROWS, **scope: object) -> Page:
    """The page at that place. `scope` are the values that the conditions of the listing name."""
    backwards = at.before is not None or at.last
    anchor = at.before if backwards else at.after
    descending = listing.descending != backwards
    columns, direction = ", ".join(listing.order), "DESC" if descending else "ASC"
    beyond = "" if anchor is None else f" AND ({columns}) {'<' if descending else '>'} ({listing.place})"
    order = ", ".join(f"{column} {direction}" for column in listing.order)
    rows = store.rows(
        f"{listing.select}{beyond} ORDER BY {order} LIMIT :rows", at=anchor, rows=limit + 1, **scope
    )
    beyond_these, rows = len(rows) > limit, rows[:limit]
    # The row of the anchor is itself on the side that the page was entered from.
    entered = anchor is not None
    if backwards:
        return Page(rows=rows[::-1], has_previous=beyond_these, has_next=entered)
    return Page(rows=rows, has_previous=entered, has_next=beyond_these)
