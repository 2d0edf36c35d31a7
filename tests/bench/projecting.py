"""Rows of the projections: catching up, rebuilding, and how far they are behind."""

import asyncio
import statistics
import time

import psycopg

from tests.bench import decoding, load, measures, requests
from tests.bench.site import service
from tests.bench.table import Bench, soon
from tests.bench.writing import SPREAD

LAG_LIMIT_MS = 250.0


async def read_side(bench: Bench) -> None:
    """A log that the writer made, read by projector, rebuild and plain COPY."""
    filled = measures.InProcess(bench.site, SPREAD)
    await filled.start()
    await filled.fill(100_000)
    await filled.writer.close()
    projected = bench.site.database(template=filled.database)
    url = bench.site.url("projector", projected)
    with psycopg.connect(url, autocommit=True) as connection:
        measures.runner.prepare(connection)
        while measures.runner.project(connection) is not None:
            pass
    owner = bench.site.superuser_url(projected)
    await bench.compare(
        "projector_vs_copy",
        "events/s",
        "COPY out and COPY in of the same rows",
        0.25,
        lambda: soon(measures.projected_per_second(bench.site, filled.database)),
        lambda: soon(measures.copied_out_and_in_per_second(owner)),
    )
    await bench.compare(
        "rebuild_vs_copy_out",
        "events/s",
        "COPY out of the same rows",
        0.4,
        lambda: soon(measures.rebuilt_per_second(url)),
        lambda: soon(measures.copied_out_per_second(url)),
    )
    await bench.compare(
        "decoding_vs_copy_out",
        "events/s",
        "COPY out of the same rows",
        None,
        lambda: soon(decoding.decoded_per_second(url)),
        lambda: soon(measures.copied_out_per_second(url)),
    )


async def lag_p99_at_1000_per_second(bench: Bench) -> None:
    with service(bench.site, bench.folder, accounts=SPREAD) as running:
        running.start("project")
        make = requests.top_ups(running, SPREAD)
        reached: list[tuple[float, int]] = []
        stop = asyncio.Event()
        listening = asyncio.create_task(_follow(bench.site.url("reader", running.database), reached, stop))
        await load.open_loop(running.urls[0], make, per_second=1_000, seconds=2, first=10_000_000)
        found = await load.open_loop(
            running.urls[0], make, per_second=1_000, seconds=max(bench.seconds * 2, 8), first=20_000_000
        )
        last = max(answer.position for answer in found.answers)
        while not reached or reached[-1][1] < last:
            await asyncio.sleep(0.01)
        stop.set()
        await listening
        assert not found.errors
    p99 = _lag_p99_ms(found.answers, reached)
    bench.add(
        "lag_p99_at_1000_per_second",
        p99,
        "ms",
        "limit, in ms",
        LAG_LIMIT_MS,
        LAG_LIMIT_MS / max(p99, 0.001),
        1.0,
    )


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
