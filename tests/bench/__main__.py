"""`make bench`: measures every row against its reference in the same run, prints a table, writes bench.json.

`--rows NAME…` measures some rows, `--seconds` and `--rounds` how long and how often each side alternates.
"""

import argparse
import asyncio
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psycopg
import uvloop
from rich.console import Console
from rich.table import Table

from adapters.system.processes import end, free_port, spawn
from tests.bench import library, load, measures
from tests.bench.site import Service, Site, service, site, wait_for

HOT = ["STU-0001"]
SPREAD = [f"STU-{i:04d}" for i in range(1, 2_001)]
CONNECTIONS = 64
LAG_LIMIT_MS = 250.0


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

    def __init__(self, site: Site, folder: Path, *, seconds: float, rounds: int) -> None:
        self.site = site
        self.folder = folder
        self.seconds = seconds
        self.rounds = rounds
        self.rows: list[Row] = []

    async def compare(
        self,
        name: str,
        unit: str,
        reference: str,
        bar: float | None,
        measure: Callable[[], Awaitable[float]],
        refer: Callable[[], Awaitable[float]],
    ) -> None:
        """Alternate both sides, and set the medians against each other."""
        values, references = [], []
        for _ in range(self.rounds):
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

    # --- the writer

    async def writer_vs_library(self) -> None:
        writer = measures.InProcess(self.site, HOT)
        await writer.start()
        app = library.school(
            self.site.superuser_url(self.site.database(template="template0")), fastforward=False
        )
        await self.compare(
            "writer_vs_library",
            "top-ups/s",
            "the library, cached, behind a mutex",
            15.0,
            lambda: writer.top_ups_per_second(seconds=self.seconds),
            lambda: _soon(library.top_ups_per_second(app, seconds=self.seconds)),
        )
        app.close()
        app = library.school(
            self.site.superuser_url(self.site.database(template="template0")), fastforward=True
        )
        await self.compare(
            "writer_vs_library_defaults",
            "top-ups/s",
            "the library at its defaults",
            None,
            lambda: writer.top_ups_per_second(seconds=self.seconds),
            lambda: _soon(library.top_ups_per_second(app, seconds=self.seconds)),
        )
        app.close()
        await writer.writer.close()

    async def hot_vs_spread(self) -> None:
        hot, spread = measures.InProcess(self.site, HOT), measures.InProcess(self.site, SPREAD)
        await hot.start()
        await spread.start()
        await self.compare(
            "hot_vs_spread",
            "top-ups/s",
            f"{len(SPREAD)} accounts",
            0.9,
            lambda: hot.top_ups_per_second(seconds=self.seconds),
            lambda: spread.top_ups_per_second(seconds=self.seconds),
        )
        await hot.writer.close()
        await spread.writer.close()

    async def append_vs_unnest(self) -> None:
        batches = await measures.captured_batches(self.site, SPREAD[:500], 30_000)
        await self.compare(
            "append_vs_unnest",
            "events/s",
            "the same events by plain unnest insert",
            0.4,
            lambda: measures.appended_per_second(self.site, batches),
            lambda: measures.unnested_per_second(self.site, batches),
        )

    # --- HTTP

    async def http_single_vs_empty_route(self) -> None:
        with service(self.site, self.folder, accounts=HOT) as running, _empty_route(self.folder) as empty:
            make = _top_ups(running, HOT)
            numbers = _Numbers()
            await self.compare(
                "http_single_vs_empty_route",
                "requests/s",
                "an empty FastAPI route",
                0.55,
                lambda: self._http([running.urls[0]], make, numbers),
                lambda: self._http([empty], _empty_request, numbers),
            )

    async def http_single_all_running_vs_alone(self) -> None:
        with (
            service(self.site, self.folder, accounts=HOT) as alone,
            service(self.site, self.folder, accounts=HOT) as full,
        ):
            numbers = _Numbers()
            make_alone, make_full = _top_ups(alone, HOT), _top_ups(full, HOT)

            async def all_running() -> float:
                quickbooks = {
                    "BURSAR_QUICKBOOKS_URL": "http://127.0.0.1:9",
                    "BURSAR_QUICKBOOKS_ACCESS_TOKEN": "none",
                }
                parts = [
                    full.start("project"),
                    full.start("export", BURSAR_QUICKBOOKS_EMULATOR="true", **quickbooks),
                ]
                found = await self._http([full.urls[0]], make_full, numbers)
                for part in parts:
                    full.stop(part)
                return found

            await self.compare(
                "http_single_all_running_vs_alone",
                "requests/s",
                "the API process alone",
                0.75,
                all_running,
                lambda: self._http([alone.urls[0]], make_alone, numbers),
            )

    async def http_bulk_vs_writer(self) -> None:
        writer = measures.InProcess(self.site, HOT)
        await writer.start()
        with service(self.site, self.folder, accounts=HOT) as running:
            make = _bulk(running, HOT[0], 1_000)
            numbers = _Numbers()

            async def bulk() -> float:
                found = await load.closed_loop(
                    [running.urls[0]], make, connections=4, seconds=self.seconds, first=numbers.take()
                )
                assert not found.errors
                return found.per_second * 1_000

            await self.compare(
                "http_bulk_vs_writer",
                "commands/s",
                "the writer in process, 256 callers",
                0.8,
                bulk,
                lambda: writer.top_ups_per_second(seconds=self.seconds),
            )
        await writer.writer.close()

    async def two_apis_vs_one(self) -> None:
        with (
            service(self.site, self.folder, accounts=HOT) as one,
            service(self.site, self.folder, accounts=HOT) as two,
        ):
            two.start_api()
            numbers = _Numbers()
            make_one, make_two = _top_ups(one, HOT), _top_ups(two, HOT)
            await self.compare(
                "two_apis_vs_one",
                "requests/s",
                "one API process",
                0.7,
                lambda: self._http(two.urls, make_two, numbers),
                lambda: self._http([one.urls[0]], make_one, numbers),
            )

    async def _http(self, urls: list[str], make: load.Make, numbers: "_Numbers") -> float:
        found = await load.closed_loop(
            urls, make, connections=CONNECTIONS, seconds=self.seconds, first=numbers.take()
        )
        assert not found.errors, f"{found.errors} of {len(found.answers)} answers are errors"
        return found.per_second

    # --- the read side

    async def read_side(self) -> None:
        """A log that the writer made, read by projector, rebuild and plain COPY."""
        filled = measures.InProcess(self.site, SPREAD)
        await filled.start()
        await filled.fill(100_000)
        await filled.writer.close()
        projected = self.site.database(template=filled.database)
        url = self.site.url("projector", projected)
        with psycopg.connect(url, autocommit=True) as connection:
            measures.runner.prepare(connection)
            while measures.runner.project(connection) is not None:
                pass
        owner = self.site.superuser_url(projected)
        await self.compare(
            "projector_vs_copy",
            "events/s",
            "COPY out and COPY in of the same rows",
            0.25,
            lambda: _soon(measures.projected_per_second(self.site, filled.database)),
            lambda: _soon(measures.copied_out_and_in_per_second(owner)),
        )
        await self.compare(
            "rebuild_vs_copy_out",
            "events/s",
            "COPY out of the same rows",
            0.4,
            lambda: _soon(measures.rebuilt_per_second(url)),
            lambda: _soon(measures.copied_out_per_second(url)),
        )

    async def lag_p99_at_1000_per_second(self) -> None:
        with service(self.site, self.folder, accounts=SPREAD) as running:
            running.start("project")
            make = _top_ups(running, SPREAD)
            reached: list[tuple[float, int]] = []
            stop = asyncio.Event()
            listening = asyncio.create_task(_follow(self.site.url("reader", running.database), reached, stop))
            await load.open_loop(running.urls[0], make, per_second=1_000, seconds=2, first=10_000_000)
            found = await load.open_loop(
                running.urls[0], make, per_second=1_000, seconds=max(self.seconds * 2, 8), first=20_000_000
            )
            last = max(answer.position for answer in found.answers)
            while not reached or reached[-1][1] < last:
                await asyncio.sleep(0.01)
            stop.set()
            await listening
            assert not found.errors
        p99 = _lag_p99_ms(found.answers, reached)
        self.add(
            "lag_p99_at_1000_per_second",
            p99,
            "ms",
            "limit, in ms",
            LAG_LIMIT_MS,
            LAG_LIMIT_MS / max(p99, 0.001),
            1.0,
        )


class _Numbers:
    """Numbers requests, so that no idempotency key comes twice in a run."""

    def __init__(self) -> None:
        self._next = 0

    def take(self) -> int:
        self._next += 10_000_000
        return self._next


def _top_ups(running: Service, accounts: list[str]) -> load.Make:
    head = "".join(f"{name}: {value}\r\n" for name, value in running.headers().items())
    body = '{"amount":1000,"currency":"KES","source":{"type":"cash"}}'

    def make(number: int) -> bytes:
        account = accounts[number % len(accounts)]
        return (
            f"POST /v2/finance/wallets/{account}/top-up HTTP/1.1\r\nHost: bench\r\n{head}"
            f"Idempotency-Key: top-up-{number:012d}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    return make


def _bulk(running: Service, account: str, size: int) -> load.Make:
    head = "".join(f"{name}: {value}\r\n" for name, value in running.headers().items())

    def make(number: int) -> bytes:
        body = ",".join(
            f'{{"action":"wallet.top_up","idempotency_key":"bulk-{number}-{i}","data":{{"account":"{account}",'
            f'"amount":1000,"currency":"KES","source":{{"type":"cash"}}}}}}'
            for i in range(size)
        )
        return (
            f"POST /v2/finance/bulk HTTP/1.1\r\nHost: bench\r\n{head}Content-Length: {len(body) + 2}\r\n\r\n[{body}]"
        ).encode()

    return make


def _empty_request(_number: int) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


@contextmanager
def _empty_route(folder: Path) -> Iterator[str]:
    """An empty FastAPI route, served as the API is."""
    port = free_port()
    program = (
        "import uvicorn, fastapi\napp = fastapi.FastAPI()\n@app.get('/')\nasync def empty(): return {}\n"
        f"uvicorn.run(app, port={port}, loop='uvloop', http='httptools', access_log=False, log_level='warning')"
    )
    with (folder / "empty.log").open("ab") as log:
        process = spawn([sys.executable, "-c", program], env={}, output=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/")
            yield f"http://127.0.0.1:{port}"
        finally:
            end(process, stop=signal.SIGTERM, seconds=5)


async def _soon(value: float) -> float:
    return value


async def _follow(url: str, reached: list[tuple[float, int]], stop: asyncio.Event) -> None:
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection:
        await connection.execute("LISTEN bursar_projected")
        while not stop.is_set():
            async for notify in connection.notifies(timeout=0.5):
                reached.append((time.perf_counter(), int(notify.payload)))
                if stop.is_set():
                    break


def _lag_p99_ms(answers: list[load.Answered], reached: list[tuple[float, int]]) -> float:
    """From a command's answer to the notice that its position is projected."""
    lags: list[float] = []
    at = 0
    for answer in sorted(answers, key=lambda answer: answer.position):
        while reached[at][1] < answer.position:
            at += 1
        lags.append(max(reached[at][0] - answer.at, 0.0))
    return statistics.quantiles(lags, n=100)[98] * 1000


ROWS: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "writer_vs_library": Bench.writer_vs_library,
    "hot_vs_spread": Bench.hot_vs_spread,
    "append_vs_unnest": Bench.append_vs_unnest,
    "http_single_vs_empty_route": Bench.http_single_vs_empty_route,
    "http_single_all_running_vs_alone": Bench.http_single_all_running_vs_alone,
    "http_bulk_vs_writer": Bench.http_bulk_vs_writer,
    "two_apis_vs_one": Bench.two_apis_vs_one,
    "projector_vs_copy": Bench.read_side,
    "lag_p99_at_1000_per_second": Bench.lag_p99_at_1000_per_second,
    "rebuild_vs_copy_out": Bench.read_side,
}


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


def _show(rows: list[Row]) -> None:
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("bench.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bursar-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with site(folder / "postgres") as made:
            bench = Bench(made, folder, seconds=options.seconds, rounds=options.rounds)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                for measure in dict.fromkeys(ROWS[row] for row in options.rows):
                    runner.run(measure(bench))
    order = {name: i for i, name in enumerate(ROWS)}
    bench.rows.sort(key=lambda row: order.get(row.name, len(order)))
    options.output.write_bytes(msgspec.json.format(msgspec.json.encode(bench.rows)) + b"\n")
    _show(bench.rows)


if __name__ == "__main__":
    main()
