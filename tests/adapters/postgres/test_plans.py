"""Every statement finds what it asks for by an index, whatever the statistics say: no cost grows with the log.

The plans are those that a server keeps for a prepared statement (generic ones), in a store where one stream, one
wallet and one account have nearly all of the rows.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

import adapters
import projections
from adapters.postgres.store import _OPTIONS
from projections.engine.registry import PROJECTIONS
from projections.views import wallets
from projections.views.wallets import StatementKey
from tests.conftest import Database, fresh_database
from tests.support.grown import ROWS, fill, mislead
from tests.support.projected import ask

ROLES = {
    "projections.views": "bursar_reader",
    "projections.engine": "bursar_projector",
    "adapters.quickbooks": "bursar_exporter",
    "adapters.postgres.consumer": "bursar_exporter",
    "adapters.postgres.store": "bursar_writer",
    "adapters.postgres": "bursar_auditor",
    "adapters.kafka": "bursar_relay",
}
"""Whose statements those of a module are: the first that fits."""

WHOLE = {
    "adapters.postgres.verify": "reads the whole log, in its order",
}
"""What may read all of a table, and why."""


def statements() -> Iterator[tuple[str, str]]:
    """Every statement that is a constant of a module, and every fold, by its name."""
    found = {
        f"projections.engine fold {number} of {projection.name}": fold.sql
        for projection in PROJECTIONS
        for number, fold in enumerate(projection.folds)
    }
    for package in (adapters, projections):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".emulator" in module.name or ".migrations" in module.name:
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, str) and re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", value):
                    found[f"{module.name}.{name}"] = value
    for name, value in found.items():
        others = [other for other in found.values() if other != value]
        if not any(value in other for other in others):  # else it is a part of another one
            yield name, value


def numbered(statement: str) -> str:
    """The statement with `$1` where the driver's placeholders stand."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return f"${numbers.setdefault(found[1] or f'at {found.start()}', len(numbers) + 1)}"

    return re.sub(r"%(?:\((\w+)\))?[sbt]", number, statement).replace("%%", "%")


def nodes(plan: dict[str, Any], parent: str = "") -> Iterator[dict[str, Any]]:
    yield {**plan, "Parent": parent}
    for below in plan.get("Plans", ()):
        yield from nodes(below, plan["Node Type"])


def reads_it_all(node: dict[str, Any], partial: set[str]) -> bool:
    """Whether a node reads all of a large table or index, or all of an index on one side of a value."""
    large = node.get("Plan Rows", 0) > ROWS / 10
    if node["Node Type"] == "Seq Scan":
        return large
    if "Index Name" not in node or node["Index Name"] in partial:
        return False
    if "Index Cond" not in node:
        return large
    condition = re.sub(r"([<>])=", r"\1", node["Index Cond"])
    one_sided = "=" not in condition and condition.count(" < ") + condition.count(" > ") < 2
    return one_sided and node["Parent"] != "Limit"


@pytest.fixture(scope="module")
def grown(cluster: Any) -> Iterator[Database]:
    """A store with a history of which one stream, wallet and account have nearly everything."""
    with fresh_database(cluster) as database:
        fill(database)
        mislead(database)
        yield database


@pytest.mark.parametrize(("name", "statement"), list(statements()))
def test_a_statement_keeps_its_index(grown: Database, name: str, statement: str) -> None:
    role = next(role for prefix, role in ROLES.items() if name.startswith(prefix))
    options = _OPTIONS if role == "bursar_writer" else ""
    with psycopg.connect(grown.superuser_url, options=options) as connection:
        partial = {
            row[0]
            for row in connection.execute(
                "SELECT indexrelid::regclass::text FROM pg_index WHERE indpred IS NOT NULL"
            )
        }
        connection.execute(f"SET LOCAL ROLE {role}")
        connection.execute("SELECT set_config('bursar.tenant', 'greenhill', true)")
        row = connection.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {numbered(statement)}").fetchone()
    assert row
    found = [
        " ".join(
            str(node.get(what, "")) for what in ("Node Type", "Relation Name", "Index Name", "Index Cond")
        )
        for node in nodes(row[0][0]["Plan"])
        if reads_it_all(node, partial)
    ]
    if not any(name.startswith(allowed) for allowed in WHOLE):
        assert not found


@pytest.mark.parametrize("after", [None, 150])
@pytest.mark.parametrize("last", [None, 100])
@pytest.mark.parametrize("first", [None, 200])
def test_a_page_of_a_statement_enters_its_index_where_it_begins(
    grown: Database, first: int | None, last: int | None, after: int | None
) -> None:
    """What a scan passes over within an index is in no plan, but in the blocks that it fetches."""
    first_day, last_day, after_day = (None if ago is None else day_ago(ago) for ago in (first, last, after))

    async def blocks(connection: psycopg.AsyncConnection[Any]) -> int:
        cursor = await connection.execute(
            "SELECT pg_stat_get_xact_blocks_fetched('wallet_transactions_statement_idx'::regclass)"
        )
        return int((await cursor.fetchone() or (0,))[0])

    async def read(connection: psycopg.AsyncConnection[Any]) -> int:
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute("SET LOCAL enable_bitmapscan = off")
        before = await blocks(connection)
        page = await wallets.statement(
            connection,
            "HOT",
            first=first_day,
            last=last_day,
            limit=50,
            after=None if after_day is None else StatementKey(after_day, 1),
        )
        assert page is not None
        assert len(page.lines) == 50
        return await blocks(connection) - before

    assert ask(grown, "greenhill", read) <= 10


def day_ago(days: int) -> date:
    return date.today() - timedelta(days=days)  # noqa: DTZ011  as the database's own `current_date`


def test_a_page_of_a_statement_reads_no_other_movement(grown: Database) -> None:
    with psycopg.connect(grown.superuser_url) as connection:
        connection.execute("SET LOCAL ROLE bursar_reader")
        connection.execute("SELECT set_config('bursar.tenant', 'greenhill', true)")
        for number, day in enumerate(("-infinity", "2026-01-01"), 1):
            page = {
                "account": "HOT",
                "from": day,
                "to": "infinity",
                "after_date": day,
                "after": number,
                "limit": 51,
            }
            row = connection.execute(
                f"EXPLAIN (ANALYZE, TIMING off, FORMAT JSON) {wallets._SELECT_STATEMENT}", page
            ).fetchone()
            assert row
            read = [
                node
                for node in nodes(row[0][0]["Plan"])
                if node.get("Relation Name") == "wallet_transactions"
            ]
            assert [node["Actual Rows"] for node in read] == [51]
            assert sum(node.get("Rows Removed by Filter", 0) for node in read) == 0
