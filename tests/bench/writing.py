"""Rows of the writer, in this process."""

import psycopg

from tests.bench import library, measures
from tests.bench.table import Bench, soon

HOT = ["STU-0001"]
SPREAD = [f"STU-{i:04d}" for i in range(1, 2_001)]


async def writer_vs_library(bench: Bench) -> None:
    writer = measures.InProcess(bench.site, HOT)
    await writer.start()
    app = library.school(
        bench.site.superuser_url(bench.site.database(template="template0")), fastforward=False
    )
    await bench.compare(
        "writer_vs_library",
        "top-ups/s",
        "the library, cached, behind a mutex",
        15.0,
        lambda: writer.top_ups_per_second(seconds=bench.seconds),
        lambda: soon(library.top_ups_per_second(app, seconds=bench.seconds)),
    )
    app.close()
    app = library.school(
        bench.site.superuser_url(bench.site.database(template="template0")), fastforward=True
    )
    await bench.compare(
        "writer_vs_library_defaults",
        "top-ups/s",
        "the library at its defaults",
        None,
        lambda: writer.top_ups_per_second(seconds=bench.seconds),
        lambda: soon(library.top_ups_per_second(app, seconds=bench.seconds)),
    )
    app.close()
    await writer.writer.close()


async def hot_vs_spread(bench: Bench) -> None:
    hot, spread = measures.InProcess(bench.site, HOT), measures.InProcess(bench.site, SPREAD)
    await hot.start()
    await spread.start()
    await bench.compare(
        "hot_vs_spread",
        "top-ups/s",
        f"{len(SPREAD)} accounts",
        0.9,
        lambda: hot.top_ups_per_second(seconds=bench.seconds),
        lambda: spread.top_ups_per_second(seconds=bench.seconds),
    )
    await hot.writer.close()
    await spread.writer.close()


async def writer_beside_a_held_snapshot(bench: Bench) -> None:
    """Somebody holds a snapshot from the first command to the last: an auditor, or a psql that was forgotten."""
    beside, alone = measures.InProcess(bench.site, HOT), measures.InProcess(bench.site, HOT)
    await beside.start()
    await alone.start()
    async with await psycopg.AsyncConnection.connect(bench.site.superuser_url(beside.database)) as holder:
        await holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await holder.execute("SELECT * FROM head")
        await beside.fill(100_000)
        await alone.fill(100_000)
        await bench.compare(
            "writer_beside_a_held_snapshot",
            "top-ups/s",
            "the same with no snapshot held",
            0.95,
            lambda: beside.top_ups_per_second(seconds=bench.seconds),
            lambda: alone.top_ups_per_second(seconds=bench.seconds),
        )
    await beside.writer.close()
    await alone.writer.close()


async def append_vs_unnest(bench: Bench) -> None:
    batches = await measures.captured_batches(bench.site, SPREAD[:500], 30_000)
    await bench.compare(
        "append_vs_unnest",
        "events/s",
        "the same events by plain unnest insert",
        0.4,
        lambda: measures.appended_per_second(bench.site, batches),
        lambda: measures.unnested_per_second(bench.site, batches),
    )
