"""What appends and reads cost beside a snapshot that somebody holds: no row version that it keeps is walked over."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from adapters.postgres import store
from adapters.postgres.embedded.cluster import Cluster
from api.services import _MOMENT, READ_OPTIONS
from projections.engine import runner
from tests.conftest import Database, fresh_database
from tests.support.given import on_a_loop
from tests.support.store import batch, command, opened, topped_up

FEW, MANY = 20, 2_000
MAX_MORE_BLOCKS = 30
"""What a dozen indexes grow by on the way; each of the two thousand versions would be one more, in its heap or index."""


def blocks(connection: psycopg.Connection[Any], query: Any, arguments: Sequence[Any] = ()) -> int:
    """How many blocks of tables and indexes a query looks at, on its second run; nothing of it stays."""
    for _ in range(2):
        with connection.transaction(force_rollback=True):
            row = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", arguments).fetchone()
    assert row
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.fixture
def database(cluster: Cluster) -> Any:
    with fresh_database(cluster) as made:
        yield made


def test_beside_a_held_snapshot_nothing_costs_more(database: Database) -> None:
    """Autovacuum is away: what it would tidy up between, it could not while the snapshot is held."""

    @on_a_loop
    async def append(first: int, last: int) -> None:
        mine = store.PostgresStore(database.url("bursar_writer"))
        for version in range(first, last + 1):
            await mine.append(batch(version - 1, command(opened() if version == 1 else topped_up(version))))
        await mine.close()

    def cost() -> dict[str, int]:
        with (
            psycopg.connect(database.url("bursar_writer"), autocommit=True, options=store._OPTIONS) as writer,
            psycopg.connect(database.url("bursar_reader"), autocommit=True, options=READ_OPTIONS) as reader,
        ):
            position = (reader.execute("SELECT max(position) FROM head").fetchone() or (0,))[0]
            one_more = batch(position, command(topped_up(position + 1)))
            return {
                "append": blocks(writer, store._APPEND, store._arguments(one_more)),
                "lock": blocks(writer, store._LOCK),
                "head": blocks(writer, store._HEAD),
                "moment": blocks(reader, _MOMENT),
            }

    with psycopg.connect(database.url("bursar_projector"), autocommit=True) as projector:
        runner.prepare(projector)
        append(1, FEW)
        runner.project(projector)
        with psycopg.connect(database.superuser_url) as holder:
            holder.execute("ALTER TABLE head SET (autovacuum_enabled = off)")
            holder.commit()
            holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            holder.execute("SELECT * FROM head")
            before = cost()
            for position in range(FEW, MANY, 5):
                append(position + 1, position + 5)
                assert runner.project(projector)
            with psycopg.connect(database.superuser_url, autocommit=True) as connection:
                connection.execute("ANALYZE")  # after which all plans are made anew
            after = cost()
    grown = {what: after[what] - before[what] for what in before}
    assert max(grown.values()) <= MAX_MORE_BLOCKS, (before, after)
