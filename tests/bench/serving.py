"""Rows of commands over HTTP."""

import asyncio
import statistics

from tests.bench import load, measures, requests
from tests.bench.site import QUICKBOOKS, service
from tests.bench.table import CONNECTIONS, Bench
from tests.bench.writing import HOT

P99_LIMIT_MS = 25.0


async def http_single_vs_empty_route(bench: Bench) -> None:
    with (
        service(bench.site, bench.folder, accounts=HOT) as running,
        requests.empty_route(bench.folder) as empty,
    ):
        make = requests.top_ups(running, HOT)
        await bench.compare(
            "http_single_vs_empty_route",
            "requests/s",
            "an empty FastAPI route",
            0.55,
            lambda: bench.http([running.urls[0]], make),
            lambda: bench.http([empty], requests.empty_request),
        )


async def http_p99_ms(bench: Bench) -> None:
    """With projector and exporter running: what the slowest of a hundred clients waits for."""
    with service(bench.site, bench.folder, accounts=HOT) as running:
        running.start("project")
        running.start("export", **QUICKBOOKS)
        make = requests.top_ups(running, HOT)
        found = []
        for _ in range(bench.rounds):
            one = await load.closed_loop(
                running.urls, make, connections=CONNECTIONS, seconds=bench.seconds, first=bench.numbers.take()
            )
            assert not one.errors
            found.append(one.p99_ms)
        bench.limit("http_p99_ms", statistics.median(found), "ms", P99_LIMIT_MS)


async def a_top_up_beside_anothers_bulks_p99_ms(bench: Bench) -> None:
    """One tenant sends bulks of 10,000 without a pause; another's single top-ups wait this long."""
    with service(bench.site, bench.folder, accounts=HOT) as running:
        running.start("project")
        other = running.another_tenant(HOT)
        bulk, single = requests.bulk(running, HOT[0], 10_000), requests.top_ups(running, HOT, key=other)
        busy = asyncio.create_task(
            load.closed_loop(
                running.urls, bulk, connections=2, seconds=bench.seconds * 2 + 1, first=bench.numbers.take()
            )
        )
        await asyncio.sleep(1)
        found = await load.closed_loop(
            running.urls, single, connections=4, seconds=bench.seconds * 2, first=bench.numbers.take()
        )
        assert not found.errors
        assert not (await busy).errors
        bench.limit("top_up_beside_anothers_bulks_p99_ms", found.p99_ms, "ms", 200.0)


async def http_single_all_running_vs_alone(bench: Bench) -> None:
    with (
        service(bench.site, bench.folder, accounts=HOT) as alone,
        service(bench.site, bench.folder, accounts=HOT) as full,
    ):
        make_alone, make_full = requests.top_ups(alone, HOT), requests.top_ups(full, HOT)

        async def all_running() -> float:
            parts = [full.start("project"), full.start("export", **QUICKBOOKS)]
            found = await bench.http([full.urls[0]], make_full)
            for part in parts:
                full.stop(part)
            return found

        await bench.compare(
            "http_single_all_running_vs_alone",
            "requests/s",
            "the API process alone",
            0.8,
            all_running,
            lambda: bench.http([alone.urls[0]], make_alone),
        )


async def http_bulk_vs_writer(bench: Bench) -> None:
    writer = measures.InProcess(bench.site, HOT)
    await writer.start()
    with service(bench.site, bench.folder, accounts=HOT) as running:
        make = requests.bulk(running, HOT[0], 1_000)

        async def bulk() -> float:
            found = await load.closed_loop(
                [running.urls[0]], make, connections=4, seconds=bench.seconds, first=bench.numbers.take()
            )
            assert not found.errors
            return found.per_second * 1_000

        await bench.compare(
            "http_bulk_vs_writer",
            "commands/s",
            "the writer in process, 256 callers",
            0.8,
            bulk,
            lambda: writer.top_ups_per_second(seconds=bench.seconds),
        )
    await writer.writer.close()


async def atomic_bulk_vs_bulk(bench: Bench) -> None:
    """A hundred top-ups a request, which is as many as may be done together."""
    with service(bench.site, bench.folder, accounts=HOT) as running:
        atomic, plain = (requests.bulk(running, HOT[0], 100, atomic=one) for one in (True, False))

        async def per_second(make: load.Make) -> float:
            found = await load.closed_loop(
                running.urls, make, connections=4, seconds=bench.seconds, first=bench.numbers.take()
            )
            assert not found.errors
            return found.per_second * 100

        await bench.compare(
            "atomic_bulk_vs_bulk",
            "commands/s",
            "each by itself",
            1.0,
            lambda: per_second(atomic),
            lambda: per_second(plain),
        )


async def two_apis_vs_one(bench: Bench) -> None:
    with (
        service(bench.site, bench.folder, accounts=HOT) as one,
        service(bench.site, bench.folder, accounts=HOT) as two,
    ):
        two.start_api()
        make_one, make_two = requests.top_ups(one, HOT), requests.top_ups(two, HOT)
        await bench.compare(
            "two_apis_vs_one",
            "requests/s",
            "one API process",
            0.75,
            lambda: bench.http(two.urls, make_two),
            lambda: bench.http([one.urls[0]], make_one),
        )
