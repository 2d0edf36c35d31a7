"""The counts of a batch by state are those of its documents, whatever happens to these, and cost little to keep."""

import asyncio
import random
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from adapters.postgres import migrations
from adapters.quickbooks.registry.registration import handler
from projections.engine.reading import SET_TENANT
from projections.views.export_batches import export_batches
from tests.conftest import Database
from tests.support.emulator import Emulator, emulator
from tests.support.exporter import Export, play

COUNTED_ANEW = """
    SELECT b.batch_id, coalesce((
        SELECT jsonb_object_agg(counted.state, counted.n) FROM (
            SELECT j.state, count(*) AS n FROM finance_export_jobs j
            WHERE j.tenant = b.tenant AND j.position <= b.position
                AND (j.confirmed_at IS NULL OR j.confirmed_at > b.registered_at)
            GROUP BY j.state
        ) AS counted
    ), '{}'::jsonb)
    FROM finance_export_batches b
"""
REDRIVE = """
    UPDATE finance_export_jobs SET state = 'blocked', body = NULL, fingerprint = NULL, last_error = NULL
    WHERE state = 'dead'
"""
_tenants = count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("emulator") / "books.db") as started:
        yield started


@pytest.fixture
def export(database: Database, running: Emulator) -> Iterator[Export]:
    yield Export(database.url("bursar_exporter"), running, tenant=f"counted-{next(_tenants)}")
    running.disarm()


def check(database: Database, export: Export) -> dict[str, dict[str, int]]:
    """The counts of every batch as they are read, which are those that counting anew gives."""

    async def read() -> dict[str, dict[str, int]]:
        async with await psycopg.AsyncConnection.connect(database.url("bursar_reader")) as connection:
            await connection.execute(SET_TENANT, (export.school.tenant,))
            listed = await export_batches(connection, limit=500)
            return {batch.batch_id: batch.documents for batch in listed.data}

    shown = asyncio.run(read())
    assert shown == dict(export.rows(COUNTED_ANEW))
    return shown


def top_up(export: Export) -> None:
    export.school.run("wallet.top_up", account="W", amount=100, source={"type": "cash"})


@pytest.mark.parametrize("seed", range(3))
def test_the_counts_are_those_of_counting_anew(database: Database, export: Export, seed: int) -> None:
    dice = random.Random(seed)
    export.school.run("wallet.open", account="W")
    for _ in range(12):
        for _ in range(dice.randrange(4)):
            top_up(export)
        if dice.random() < 0.8:
            export.request()
        fault = dice.choice(["6210", "2010", "drop_after_commit", "6140", None])
        if fault:
            export.server.arm(fault, count=dice.randrange(1, 3), entity="SalesReceipt")
        export.send()
        if dice.random() < 0.3:
            with psycopg.connect(export.url) as connection:
                connection.execute(REDRIVE)
        check(database, export)
    export.server.disarm()
    with psycopg.connect(export.url) as connection:
        connection.execute(REDRIVE)
    export.export()
    assert {state for counts in check(database, export).values() for state in counts} == {"confirmed"}
    assert export.rows("SELECT count(*) FROM finance_export_counts") == [(0,)], "what counts nothing is gone"


def test_what_is_rolled_back_was_not_counted(database: Database, export: Export) -> None:
    play(export.school)
    batch = export.request()
    before = check(database, export)[batch]
    with psycopg.connect(export.url) as connection:
        connection.execute("UPDATE finance_export_jobs SET state = 'dead'")
        connection.rollback()
    assert check(database, export)[batch] == before
    with psycopg.connect(export.url) as connection:
        export.school.run("quickbooks.export")
        handler(export.settings)(connection, export.school.messages)
        connection.rollback()
    assert check(database, export) == {batch: before}


def test_a_request_that_comes_again_counts_once(database: Database, export: Export) -> None:
    play(export.school)
    batch = export.request()
    counts = check(database, export)[batch]
    export.register(export.school.messages)
    assert check(database, export)[batch] == counts


def test_two_who_move_documents_at_once_lose_no_count(database: Database, export: Export) -> None:
    export.school.run("wallet.open", account="W")
    for _ in range(40):
        top_up(export)
    batch = export.request()

    def move(first: int) -> None:
        with psycopg.connect(export.url, autocommit=True) as connection:
            for job in range(first, 41, 2):
                connection.execute("UPDATE finance_export_jobs SET state = 'dead' WHERE id = %s", (job,))

    movers = [threading.Thread(target=move, args=(first,)) for first in (1, 2)]
    for mover in movers:
        mover.start()
    for mover in movers:
        mover.join()
    assert check(database, export)[batch] == {"dead": 40}


def test_a_batch_that_is_registered_while_documents_move_counts_them_once(
    database: Database, export: Export
) -> None:
    play(export.school)
    export.send_until(export.request(), "completed")
    export.server.arm("2010", entity="SalesReceipt")
    top_up_of_day = {"account": "STU-0", "amount": 1, "source": {"type": "cash"}}
    export.school.run("wallet.top_up", **top_up_of_day)
    first = export.export()
    assert first == "needs_attention"
    with psycopg.connect(export.url) as moving:
        moving.execute(REDRIVE)
        second = export.request()
        moving.commit()
    assert check(database, export)[second] == {"blocked": 1}
    export.send_until(second, "completed")
    assert check(database, export)[second] == {"confirmed": 1}


def test_a_statement_moves_a_count_once_and_registering_moves_none(export: Export) -> None:
    """However many documents it is of: no row is written for each."""
    written = (
        "SELECT n_tup_ins + n_tup_upd FROM pg_stat_xact_user_tables WHERE relname = 'finance_export_counts'"
    )
    export.school.run("wallet.open", account="W")
    for _ in range(30):
        top_up(export)
    with psycopg.connect(export.url) as connection:
        handler(export.settings)(connection, export.school.take_messages())
        assert connection.execute(written).fetchone() == (0,)
    export.request()
    with psycopg.connect(export.url) as connection:
        moved = connection.execute("UPDATE finance_export_jobs SET state = 'dead'")
        assert moved.rowcount == 30
        assert connection.execute(written).fetchone() == (2,)


def test_the_migration_counts_what_is_there(database: Database, export: Export) -> None:
    play(export.school)
    export.export()
    export.server.arm("2010", entity="SalesReceipt")
    export.school.run("wallet.top_up", account="STU-0", amount=1, source={"type": "cash"})
    assert export.export() == "needs_attention"
    export.school.run("wallet.top_up", account="STU-0", amount=1, source={"type": "cash"})
    export.register()
    counts = check(database, export)
    versions = (Path(migrations.__file__).parent / "versions").glob("0*.py")
    later = [path for path in versions if path.name >= "0007"]
    migrations.migrate(database.superuser_url, to=f"-{len(later)}")
    migrations.migrate(database.superuser_url)
    assert check(database, export) == counts
    assert len(counts) == 2
