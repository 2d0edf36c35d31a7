"""Rows on a log that has grown: what a command, a page or a restart costs must not grow with the history."""

import asyncio
import statistics
import sys
import time
import urllib.error
import urllib.request
from datetime import date, datetime, timedelta

import psycopg

from adapters.postgres.store import PostgresStore
from adapters.postgres.verify import verify
from application.pipeline.writer import Writer
from projections.engine.snapshots import INTERVAL
from tests.bench import load, measures, paging, requests
from tests.bench.site import Service, resumed, service
from tests.bench.table import CONNECTIONS, Bench
from tests.bench.writing import HOT

COLD_WALLETS = 1_000
"""So many are touched in a round, once each, none of which the API process has loaded."""
FIRST = [f"FIRST-{i}" for i in range(10)]
"""Those that it loads first of all, beside the hot one."""
COLD_ROUNDS = 9
"""A round takes some tenths of a second."""
RESTART_LIMIT_SECONDS = 2.0
STATEMENT_LIMIT = 1.5
MEMORY_LIMIT_MB = 400.0
MEMORY_WALLETS = 100_000

EVENTS_OF_A_TOP_UP = 4
LONG, SHORT = "STU-LONG", "STU-SHORT"
DAY_COMMANDS = 1_250
SHORT_EVERY = 125
"""One top-up in so many is the short wallet's: of 1,250,000 it has 10,000."""


class History(measures.InProcess):
    """A school with a long and a short wallet that are topped up on the same days, the last of which is today."""

    def __init__(self, bench: Bench, *, commands: int) -> None:
        super().__init__(bench.site, [LONG, SHORT])
        self.days = -(-commands // DAY_COMMANDS)
        self.first_day = datetime.now().astimezone() - timedelta(days=self.days)
        self._commands = commands
        self._clock = _Clock(bench.site.url("writer", self.database))
        self._clock.time = self.first_day
        self.writer = Writer(self._clock, receipts=measures.SIGNER)

    async def make(self) -> None:
        began = time.perf_counter()
        await self.start()
        for day in range(self.days):
            self._clock.time = self.first_day + timedelta(days=day)
            numbers = range(day * DAY_COMMANDS + 1, min((day + 1) * DAY_COMMANDS, self._commands) + 1)
            given = [
                measures.top_up(LONG if number % SHORT_EVERY else SHORT, number, key=measures.new_id())
                for number in numbers
            ]
            await asyncio.gather(*await self.writer.submit_all(given))
        self.accounts = [LONG]
        self.number = self._commands
        _tell(f"{self.writer.position:,} events made", began)


class _Clock(PostgresStore):
    """A store whose clock is set, so that a history takes years."""

    time: datetime

    def now(self) -> datetime:
        return self.time


def _tell(what: str, began: float) -> None:
    print(f"{what} in {time.perf_counter() - began:.1f} s", file=sys.stderr)


def _check(bench: Bench, database: str) -> None:
    """What a row is measured on is a true log."""
    began = time.perf_counter()
    found = verify(bench.site.url("auditor", database), progress=lambda _done, _total: None)
    assert not found.findings, found.findings
    _tell(f"{found.events:,} events verified", began)


async def cold_wallets_on_a_grown_log(bench: Bench) -> None:
    """The process has kept its plans from when there was little, and the statistics say that one stream is all.

    Each round has wallets of its own. Those of the first are there before the statistics are taken; those of another
    are opened when the round before is over, and then the process is started anew and has some work on the hot wallet.
    """
    rounds = [[f"COLD-{n}-{i:03}" for i in range(COLD_WALLETS)] for n in range(COLD_ROUNDS)]
    with service(bench.site, bench.folder, accounts=[*HOT, *FIRST, *rounds[0]]) as running:
        first = [*HOT, *FIRST]

        async def start_anew() -> None:
            running.stop_apis()
            running.start_api()
            await _all(bench, running, requests.top_ups(running, first), count=len(first), connections=1)
            await _all(bench, running, requests.top_ups(running, HOT), count=COLD_WALLETS)  # its code is warm

        async def touch() -> float:
            return await _all(bench, running, requests.top_ups(running, rounds.pop(0)), count=COLD_WALLETS)

        async def touch_hot() -> float:
            rate = await _all(bench, running, requests.top_ups(running, HOT), count=COLD_WALLETS)
            if rounds:
                running.open(rounds[0])
                await start_anew()
            return rate

        await start_anew()
        began = time.perf_counter()
        bulks = max(bench.scaled(1_000_000) // EVENTS_OF_A_TOP_UP // 1_000, 1)
        await _all(bench, running, requests.bulk(running, HOT[0], 1_000), count=bulks, connections=4)
        _tell(f"{bulks * 1_000 * EVENTS_OF_A_TOP_UP:,} events made", began)
        projector = running.start("project")
        await _wait_for_snapshots(bench, running.database)
        running.stop(projector)
        with psycopg.connect(bench.site.superuser_url(running.database), autocommit=True) as connection:
            connection.execute("ANALYZE events")
        await bench.compare(
            "cold_wallets_on_a_grown_log_vs_hot",
            "requests/s",
            "the hot wallet",
            0.7,
            touch,
            touch_hot,
            rounds=COLD_ROUNDS,
        )
        _check(bench, running.database)


async def _all(
    bench: Bench, running: Service, make: load.Make, *, count: int, connections: int = CONNECTIONS
) -> float:
    """Requests a second of so many, none of which is refused."""
    found = await load.closed_loop(
        [running.urls[0]],
        make,
        connections=connections,
        seconds=float("inf"),
        at_most=count,
        first=bench.numbers.take(),
    )
    assert not found.errors, f"{found.errors} of {len(found.answers)} answers are errors"
    return found.per_second


async def five_million(bench: Bench) -> None:
    """A log of five million events, of which a wallet has a million movements and another ten thousand."""
    history = History(bench, commands=bench.scaled(5_000_000) // EVENTS_OF_A_TOP_UP)
    await history.make()
    await _writer(bench, history)
    await history.writer.close()
    began = time.perf_counter()
    with resumed(bench.site, bench.folder, history.database) as running:
        _tell("projected", began)
        await _wait_for_snapshots(bench, history.database)
        _tell("projected, and its snapshots taken,", began)
        running.start_api()
        day = history.first_day.date() + timedelta(days=history.days // 3)
        _statements(bench, running, day)
        _restart(bench, running)
    _check(bench, history.database)
    bench.site.drop(history.database)


async def _writer(bench: Bench, history: History) -> None:
    async def young() -> float:
        made = History(bench, commands=50_000 // EVENTS_OF_A_TOP_UP)
        await made.make()
        rate = await settled(made)
        await made.writer.close()
        bench.site.drop(made.database)
        return rate

    async def settled(made: History) -> float:
        _settle(bench, made.database)
        return await made.top_ups_per_second(seconds=bench.seconds)

    await bench.compare(
        "writer_at_5m_events_vs_50k",
        "top-ups/s",
        "at 50,000 events",
        0.85,
        lambda: settled(history),
        young,
    )


def _settle(bench: Bench, database: str) -> None:
    """Do now what the server would do for either side at some moment."""
    with psycopg.connect(bench.site.superuser_url(database), autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


async def _wait_for_snapshots(bench: Bench, database: str) -> None:
    """As the running product has them: within an interval of the end of each long stream."""
    behind = """
        SELECT count(*) FROM (
            SELECT originator_id, max(originator_version) AS version FROM events
            WHERE originator_id = ANY (SELECT originator_id FROM events WHERE originator_version = %(interval)s)
            GROUP BY 1
        ) AS e LEFT JOIN snapshots s USING (originator_id)
        WHERE coalesce(s.originator_version, 0) <= e.version - %(interval)s
    """
    with psycopg.connect(bench.site.superuser_url(database), autocommit=True) as connection:
        while connection.execute(behind, {"interval": INTERVAL}).fetchone() != (0,):
            await asyncio.sleep(1)


def _statements(bench: Bench, running: Service, day: date) -> None:
    """The worst kind of page counts."""
    kinds = paging.compare(running, LONG, SHORT, first=day, last=day + timedelta(days=29))
    for kind, (long, short) in kinds.items():
        print(f"statement, {kind}: {long:.2f} ms, {short:.2f} ms", file=sys.stderr)
    bench.limit(
        "statement_page_of_1m_entries_vs_10k",
        max(long / short for long, short in kinds.values()),
        "times",
        STATEMENT_LIMIT,
    )


def _restart(bench: Bench, running: Service) -> None:
    took = []
    for _ in range(bench.rounds):
        running.stop_apis()
        began = time.perf_counter()
        _top_up_once(running, running.spawn_api(), bench.numbers.take())
        took.append(time.perf_counter() - began)
    bench.limit("restart_to_first_command_at_5m", statistics.median(took), "s", RESTART_LIMIT_SECONDS)


def _top_up_once(running: Service, url: str, number: int) -> None:
    """Top the long wallet up, as soon as somebody answers."""
    request = urllib.request.Request(
        f"{url}/v2/finance/wallets/{LONG}/top-up",
        b'{"amount":1000,"currency":"KES","source":{"type":"cash"}}',
        running.headers() | {"Idempotency-Key": f"first-{number}"},
    )
    while running.apis[-1].poll() is None:
        try:
            with urllib.request.urlopen(request) as response:
                assert response.status == 201
                return
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:  # nobody listens yet
            time.sleep(0.01)
    raise AssertionError("the API process ended")


async def api_memory(bench: Bench) -> None:
    """Each wallet is topped up once and read once, by a process that has not opened it."""
    count = bench.scaled(MEMORY_WALLETS)
    accounts = [f"STU-{i:06}" for i in range(count)]
    made = measures.InProcess(bench.site, [])
    await made.start()
    opened = [
        measures.give("wallet.open", {"account": account, "currency": "KES"}, key=f"open-{account}")
        for account in accounts
    ]
    await asyncio.gather(*await made.writer.submit_all(opened))
    await made.writer.close()
    with resumed(bench.site, bench.folder, made.database) as running:
        running.start_api()
        began = time.perf_counter()
        await _all(bench, running, requests.top_ups(running, accounts), count=count)
        reads = requests.get(running, *(f"wallets/{account}" for account in accounts))
        await _all(bench, running, reads, count=count)
        _tell(f"{count:,} wallets topped up and read", began)
        bench.limit("api_memory_100k_wallets_mb", running.api_memory_mb(), "MB", MEMORY_LIMIT_MB)
    bench.site.drop(made.database)
