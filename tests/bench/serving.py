"""Rows of commands over HTTP."""

from tests.bench import load, measures, requests
from tests.bench.site import QUICKBOOKS, service
from tests.bench.table import Bench
from tests.bench.writing import HOT


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
            0.75,
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
            0.7,
            lambda: bench.http(two.urls, make_two),
            lambda: bench.http([one.urls[0]], make_one),
        )
