"""The table: rows, each a comparison in the same run, both sides alternating."""

import os
import platform
import statistics
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench import load
from tests.bench.site import Site

CONNECTIONS: Final = 64


class Numbers:
    """Numbers requests, so that no idempotency key comes twice in a run."""

    def __init__(self) -> None:
        self._next = 0

    def take(self) -> int:
        self._next += 10_000_000
        return self._next


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison: better when `ratio` is higher; it passes at `bar`."""

    name: str
    value: float
    unit: str
    reference: str
    reference_value: float
    ratio: float
    bar: float | None


class Bench:
    """Runs the rows asked for on one site."""

    def __init__(self, site: Site, folder: Path, *, seconds: float, rounds: int, scale: float = 1.0) -> None:
        self.site = site
        self.folder = folder
        self.seconds = seconds
        self.rounds = rounds
        self._scale = scale
        self.rows: list[Row] = []
        self.numbers = Numbers()

    def scaled(self, count: int) -> int:
        """How many of so many events or wallets a row makes: fewer where it is only tried."""
        return max(int(count * self._scale), 500)

    async def compare(
        self,
        name: str,
        unit: str,
        reference: str,
        bar: float | None,
        measure: Callable[[], Awaitable[float]],
        refer: Callable[[], Awaitable[float]],
        *,
        rounds: int | None = None,
    ) -> None:
        """Alternate both sides, and set the medians against each other; short ones alternate in `rounds` of their own."""
        values, references = [], []
        for _ in range(rounds or self.rounds):
            values.append(await measure())
            references.append(await refer())
        value, reference_value = statistics.median(values), statistics.median(references)
        self.add(name, value, unit, reference, reference_value, value / reference_value, bar)

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        reference: str,
        reference_value: float,
        ratio: float,
        bar: float | None,
    ) -> None:
        row = Row(
            name=name,
            value=round(value, 1),
            unit=unit,
            reference=reference,
            reference_value=round(reference_value, 1),
            ratio=round(ratio, 3),
            bar=bar,
        )
        self.rows.append(row)
        print(
            f"{name}: {row.value:,} {unit}, {reference}: {row.reference_value:,}; ratio {row.ratio}",
            file=sys.stderr,
        )

    def limit(self, name: str, value: float, unit: str, limit: float) -> None:
        """A row that is better when lower: the limit divided by the value, with bar 1."""
        self.add(name, value, unit, f"limit, in {unit}", limit, limit / max(value, 0.001), 1.0)

    async def http(self, urls: list[str], make: load.Make) -> float:
        """Requests a second on 64 connections, none of which is refused."""
        found = await load.closed_loop(
            urls, make, connections=CONNECTIONS, seconds=self.seconds, first=self.numbers.take()
        )
        assert not found.errors, f"{found.errors} of {len(found.answers)} answers are errors"
        return found.per_second


def _machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def show(rows: list[Row]) -> None:
    table = Table(title=f"Bursar against its references ({_machine()})", title_justify="left")
    for column in ("row", "value", "unit", "reference", "its value", "ratio", "bar", ""):
        table.add_column(
            column, justify="right" if column in ("value", "its value", "ratio", "bar") else "left"
        )
    for row in rows:
        verdict = "" if row.bar is None else ("ok" if row.ratio >= row.bar else "SHORT")
        table.add_row(
            row.name,
            f"{row.value:,.1f}",
            row.unit,
            row.reference,
            f"{row.reference_value:,.1f}",
            f"{row.ratio:.2f}",
            "" if row.bar is None else f"{row.bar}",
            verdict,
        )
    Console(width=150).print(table)


async def soon(value: float) -> float:
    """A figure that was measured without waiting."""
    return value
