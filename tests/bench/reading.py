"""Rows of reads over HTTP, everything running."""

import asyncio
import json
import statistics
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import load, requests
from tests.bench.site import QUICKBOOKS, Service, service
from tests.bench.table import Bench
from tests.bench.writing import SPREAD

ACCOUNTS = SPREAD[:500]
LONG = SPREAD[498:500]
MOVEMENTS = 70_000
BULK = 10_000
PING_CONNECTIONS = 32
STATEMENT_CONNECTIONS = 64
READ_AHEAD_SECONDS = 1.0


@contextmanager
def everything(bench: Bench) -> Iterator[Service]:
    """A school with projector and exporter running, whose wallets have moved."""
    with service(bench.site, bench.folder, accounts=ACCOUNTS) as running:
        running.start("project")
        running.start("export", **QUICKBOOKS)
        yield running


async def read_vs_empty_route(bench: Bench) -> None:
    with everything(bench) as running, requests.empty_route(bench.folder) as empty:
        await load.closed_loop(
            running.urls,
            requests.top_ups(running, ACCOUNTS),
            connections=8,
            seconds=1,
            first=bench.numbers.take(),
        )
        invoices = [f"invoices/{_invoice(running, number)}" for number in range(100)]
        for name, bar, paths in (
            ("wallet", 0.9, [f"wallets/{account}" for account in ACCOUNTS]),
            ("invoice", 0.6, invoices),
            ("accounts", 0.4, ["accounts"]),
        ):
            make = requests.get(running, *paths)
            await bench.compare(
                f"read_{name}_vs_empty_route",
                "requests/s",
                "an empty FastAPI route",
                bar,
                lambda make=make: bench.http(running.urls, make),
                lambda: bench.http([empty], requests.empty_request),
            )


async def read_under_load(bench: Bench) -> None:
    """The wallet, read by another key than the one that writes 2,000 commands a second meanwhile."""
    with everything(bench) as running:
        make = requests.get(running, *(f"wallets/{account}" for account in ACCOUNTS))
        top_up = requests.top_ups(running, ACCOUNTS, key=running.another_key())

        async def loaded() -> float:
            writing = asyncio.create_task(
                load.open_loop(
                    running.urls[0],
                    top_up,
                    per_second=2_000,
                    seconds=bench.seconds + 1,
                    first=bench.numbers.take(),
                )
            )
            await asyncio.sleep(0.5)
            found = await bench.http(running.urls, make)
            assert not (await writing).errors
            return found

        await bench.compare(
            "read_under_load",
            "requests/s",
            "the same with no commands",
            0.7,
            loaded,
            lambda: bench.http(running.urls, make),
        )


async def commands_beside_reads(bench: Bench) -> None:
    """1,000 top-ups a second by one key, while another asks for pings and for statements of long wallets."""
    with everything(bench) as running:
        await _lengthen(bench, running)
        ping = requests.get(running, "ping")
        statements = requests.get(running, *(f"statements?account={account}" for account in LONG))
        top_up = requests.top_ups(running, ACCOUNTS, key=running.another_key())

        async def alone() -> load.Load:
            return await load.open_loop(
                running.urls[0],
                top_up,
                per_second=1_000,
                seconds=bench.seconds,
                first=bench.numbers.take(),
            )

        async def beside() -> load.Load:
            reading = [
                asyncio.create_task(
                    load.closed_loop(
                        running.urls,
                        make,
                        connections=connections,
                        seconds=bench.seconds + READ_AHEAD_SECONDS,
                    )
                )
                for make, connections in ((ping, PING_CONNECTIONS), (statements, STATEMENT_CONNECTIONS))
            ]
            await asyncio.sleep(READ_AHEAD_SECONDS)
            commands = await alone()
            for read in await asyncio.gather(*reading):
                assert not read.errors, f"{read.errors} of {len(read.answers)} reads are errors"
            return commands

        await alone()  # so that neither side loads the wallets for the first time
        pairs = [(await beside(), await alone()) for _ in range(bench.rounds)]
    assert not any(one.errors for pair in pairs for one in pair)
    for name, unit, bar, figure in (
        ("commands_beside_reads", "commands/s", 0.9, lambda one: one.per_second),
        ("commands_beside_reads_p99_ms", "ms", None, lambda one: one.p99_ms),
    ):
        value, reference = (statistics.median(map(figure, side)) for side in zip(*pairs, strict=True))
        bench.add(name, value, unit, "the same with no reads", reference, value / reference, bar)


async def _lengthen(bench: Bench, running: Service) -> None:
    """Let the long wallets move so often."""
    for account in LONG:
        made = await load.closed_loop(
            running.urls,
            requests.bulk(running, account, BULK),
            connections=1,
            seconds=600,
            first=bench.numbers.take(),
            at_most=MOVEMENTS // BULK,
        )
        assert not made.errors


def _invoice(running: Service, number: int) -> str:
    line = {"description": "Tuition", "quantity": 1, "total": 1_000_000, "income": "tuition"}
    body = {"payer": "P-1", "currency": "KES", "due_date": "2030-12-31", "issue": True, "lines": [line] * 3}
    request = urllib.request.Request(
        f"{running.urls[0]}/v2/finance/invoices",
        json.dumps(body).encode(),
        running.headers() | {"Idempotency-Key": f"invoice-{number:03}"},
    )
    with urllib.request.urlopen(request) as response:
        return str(json.load(response)["id"])
