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
from tests.support.projected import ask

ROWS = 60_000

FILL = f"""
INSERT INTO events SELECT 'greenhill/wallet/W-' || n, 1, 'bursar.wallet.opened.v1', '', n
    FROM generate_series(1, 600) n;
INSERT INTO events SELECT 'greenhill/wallet/HOT', n, 'bursar.wallet.topped_up.v1', '', 600 + n
    FROM generate_series(1, {ROWS}) n;
INSERT INTO commands SELECT n, n, gen_random_uuid(), 'greenhill', n, 'till', 'key-' || n, '', 'wallet.top_up', '', '', '',
    '', '', now(), n, '' FROM generate_series(1, {ROWS}) n;
INSERT INTO commits SELECT n, n, n, n::text::bytea, '' FROM generate_series(1, {ROWS}) n;
INSERT INTO wallet_accounts SELECT 'greenhill', 'W-' || n, 'KES', 'P', 'open', now(), n FROM generate_series(1, {ROWS}) n;
INSERT INTO wallet_accounts VALUES ('greenhill', 'HOT', 'KES', 'P', 'open', now(), 0);
INSERT INTO wallet_balances SELECT tenant, account, 1, 1, position FROM wallet_accounts;
INSERT INTO wallet_transactions SELECT n, gen_random_uuid(), 1, now(), current_date - n % 400, n, 'greenhill', 'HOT', '', 1
    FROM generate_series(1, {ROWS}) n;
INSERT INTO wallet_days SELECT 'greenhill', 'W-' || n, current_date, 1 FROM generate_series(1, {ROWS}) n;
INSERT INTO ledger_entries SELECT n, 1, 0, n, 'greenhill', '1000' FROM generate_series(1, {ROWS}) n;
INSERT INTO ledger_transactions SELECT n, 'greenhill', gen_random_uuid(), current_date, now()
    FROM generate_series(1, {ROWS}) n;
INSERT INTO finance_receipts SELECT 'greenhill', 'RCT-' || n, 'top_up', 1, 0, 'KES', gen_random_uuid(), now(), n
    FROM generate_series(1, {ROWS}) n;
INSERT INTO finance_invoices SELECT 'greenhill', gen_random_uuid(), 'INV-' || n, 'issued', 'P', 'KES', 1, 1, current_date,
    current_date, now(), n FROM generate_series(1, {ROWS}) n;
INSERT INTO finance_invoice_items SELECT tenant, invoice, 1, '', 1, 0, 1, 0, 1, 'tuition', 'A' FROM finance_invoices;
INSERT INTO finance_payments SELECT tenant, invoice, position, gen_random_uuid(), 1, 'cash', 1, NULL, NULL, 'R',
    current_date, now() FROM finance_invoices;
INSERT INTO finance_sales SELECT tenant, invoice, number, NULL, currency, 1, 0, '[]', '[]', current_date, now(), position
    FROM finance_invoices;
INSERT INTO finance_imports SELECT 'greenhill', gen_random_uuid(), 'a', 'a', '', 0, 0, 0, 0, '{{}}', true, now(), n
    FROM generate_series(1, {ROWS}) n;
INSERT INTO export_requests SELECT 'greenhill', gen_random_uuid(), 'quickbooks', now(), n
    FROM generate_series(1, {ROWS}) n;
INSERT INTO finance_export_batches (batch_id, tenant, position, status, requested_at)
    SELECT batch, tenant, position, 'completed', now() FROM export_requests;
INSERT INTO finance_export_map (tenant, realm, kind, key, quickbooks_id)
    SELECT 'greenhill', '1', 'Customer', 'C-' || n, n FROM generate_series(1, {ROWS}) n;
INSERT INTO finance_export_jobs (tenant, realm, kind, source_id, position, number, effective_date, amount, currency,
    template, state, body, fingerprint, quickbooks_id, confirmed_at)
    SELECT 'greenhill', '1', 'SalesReceipt', n, n, n, current_date, 1, 'KES', '', 'confirmed', '', '', n, now()
    FROM generate_series(1, {ROWS}) n;
INSERT INTO finance_export_calls (tenant, realm, request_id, job_ids, body, state)
    SELECT 'greenhill', '1', n, ARRAY[n], '', 'closed' FROM generate_series(1, {ROWS}) n;
INSERT INTO finance_export_sends (realm, call_id, items, at)
    SELECT '1', n, 1, now() - n * interval '1 min' FROM generate_series(1, {ROWS}) n;
INSERT INTO finance_export_log (job_id, tenant, state, attempts)
    SELECT n, 'greenhill', 'confirmed', 1 FROM generate_series(1, {ROWS}) n
"""

HOSTILE = """
    SELECT pg_restore_attribute_stats('schemaname', 'public', 'relname', relname, 'attname', attname, 'inherited', false,
        'null_frac', 0::real, 'avg_width', 20, 'n_distinct', 1::real)
    FROM (VALUES ('events', 'originator_id'), ('commands', 'tenant'), ('wallet_transactions', 'account'),
        ('ledger_entries', 'code'), ('finance_export_jobs', 'tenant')) AS columns (relname, attname)
"""
"""Statistics of a sample in which a hot stream was all that there was."""

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
        with psycopg.connect(database.superuser_url, autocommit=True) as connection:
            connection.execute(
                "SET session_replication_role = replica"
            )  # the log takes rows from nobody else
            for insertion in FILL.split(";\n"):
                connection.execute(insertion)
            connection.execute("ANALYZE")
            connection.execute(HOSTILE)
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
