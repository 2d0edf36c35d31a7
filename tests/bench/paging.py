"""Pages of statements: the first, one in the middle and the last, of all that a wallet moved and of some days."""

import json
import statistics
import time
from datetime import date
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.bench.site import Service

PAGE_LINES = 100
MAX_PAGE_LINES = 500
MEASURED = 100
"""How often each page is read; the median counts."""


class Statements:
    """The statements of one wallet, on a connection that is kept."""

    def __init__(self, running: Service, account: str, days: dict[str, str]) -> None:
        self._connection = HTTPConnection(urlsplit(running.urls[0]).netloc)
        self._headers = running.headers()
        self._query = {"account": account, **days}

    def page(self, *, lines: int = PAGE_LINES, after: str | None = None) -> tuple[float, Any]:
        """The milliseconds that a page took, and the page; `after` is the cursor of the one before."""
        cursor = {} if after is None else {"cursor": after}
        path = f"/v2/finance/statements?{urlencode({**self._query, 'limit': lines, **cursor})}"
        began = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        response = self._connection.getresponse()
        body = response.read()
        took = time.perf_counter() - began
        assert response.status == 200, body
        return took * 1000, json.loads(body)

    def cursors(self) -> dict[str, str | None]:
        """The cursors of the three pages, found by turning all of them."""
        large = [*self._turned(None, lines=MAX_PAGE_LINES)]
        small = [*self._turned(large[-1], lines=PAGE_LINES)]
        return {"first": None, "middle": large[len(large) // 2], "last": small[-1]}

    def _turned(self, cursor: str | None, *, lines: int) -> list[str | None]:
        found = [cursor]
        while (cursor := self.page(lines=lines, after=cursor)[1]["next"]) is not None:
            found.append(cursor)
        return found


def compare(
    running: Service, long: str, short: str, *, first: date, last: date
) -> dict[str, tuple[float, float]]:
    """The milliseconds of each kind of page, of the long wallet and of the short one, read in turn."""
    kinds = {}
    for name, days in (
        ("all", {}),
        ("from a day on", {"from": first.isoformat()}),
        ("up to a day", {"to": last.isoformat()}),
        ("some days", {"from": first.isoformat(), "to": last.isoformat()}),
    ):
        both = [Statements(running, account, days) for account in (long, short)]
        for place, cursors in _by_place(both).items():
            took: tuple[list[float], ...] = ([], [])
            for _ in range(MEASURED):
                for statements, cursor, times in zip(both, cursors, took, strict=True):
                    times.append(statements.page(after=cursor)[0])
            kinds[f"{name}, {place} page"] = (statistics.median(took[0]), statistics.median(took[1]))
    return kinds


def _by_place(both: list[Statements]) -> dict[str, list[str | None]]:
    found = [statements.cursors() for statements in both]
    return {place: [cursors[place] for cursors in found] for place in found[0]}
