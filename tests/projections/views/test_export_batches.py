"""Reads of the export's record, whose cost does not grow with what was ever exported."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg

from projections.views import export_batches, export_documents
from tests.conftest import Database

BATCHES = 20


def fill(database: Database, documents: int) -> None:
    """Batches of so many documents each, of which one is still open."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("TRUNCATE finance_export_batches, finance_export_jobs, finance_export_counts")
        connection.execute(
            "INSERT INTO finance_export_batches (batch_id, tenant, position, requested_at, covered)"
            " SELECT 'batch-' || n, 'greenhill', n * %(documents)s, now(), n FROM generate_series(1, %(batches)s) n",
            {"batches": BATCHES, "documents": documents},
        )
        connection.execute(
            "INSERT INTO finance_export_jobs (tenant, realm, kind, source_id, position, number, effective_date, amount,"
            " currency, template, state, body, fingerprint, quickbooks_id, confirmed_at)"
            " SELECT 'greenhill', '1', 'SalesReceipt', n, n, n, current_date, 1, 'KES', '',"
            " CASE WHEN open THEN 'dead' ELSE 'confirmed' END, '', '',"
            " CASE WHEN open THEN NULL ELSE n END, CASE WHEN open THEN NULL ELSE now() END"
            " FROM (SELECT n, n %% %(documents)s = 0 AS open FROM generate_series(1, %(all)s) n) AS numbered",
            {"documents": documents, "all": BATCHES * documents},
        )
        connection.execute(
            "INSERT INTO finance_export_counts SELECT tenant, position, 'dead', 1 FROM finance_export_batches"
        )
        connection.execute("ANALYZE")


def rows_read(plan: dict[str, Any]) -> float:
    """How many rows the plan's nodes that read a table gave and passed over."""
    below = sum(rows_read(node) for node in plan.get("Plans", ()))
    if "Relation Name" not in plan:
        return below
    passed_over = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    return below + plan["Actual Loops"] * (plan["Actual Rows"] + passed_over)


def statements() -> Iterator[tuple[str, str, dict[str, Any]]]:
    yield "a page of batches", export_batches._PAGE, {"before": None, "limit": BATCHES}
    yield "one batch", export_batches._BATCHES, {"batches": ["batch-10"]}
    yield "their counts", export_batches._COUNTS, {"position": 1 << 40}
    scope = {"position": 1 << 40, "after_position": 1, "after_id": -1, "limit": BATCHES, "state": "dead"}
    ever = {**scope, "registered_at": datetime(2000, 1, 1, tzinfo=UTC)}
    yield "a page of documents", export_documents._ALL, ever
    yield "a page of the confirmed", export_documents._CONFIRMED, ever
    yield "a page of the dead", export_documents._IN_STATE, scope


def test_no_read_grows_with_the_documents(database: Database) -> None:
    read: dict[str, set[float]] = {}
    for documents in (50, 500):
        fill(database, documents)
        with psycopg.connect(database.url("bursar_reader")) as connection:
            connection.execute("SELECT set_config('bursar.tenant', 'greenhill', true)")
            for name, statement, parameters in statements():
                row = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).fetchone()
                assert row
                read.setdefault(name, set()).add(rows_read(row[0][0]["Plan"]))
    assert {name: len(figures) for name, figures in read.items()} == dict.fromkeys(read, 1), read
    assert all(0 < figure <= BATCHES + 1 for figures in read.values() for figure in figures)
