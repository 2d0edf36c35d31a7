"""A store with a history of which one stream, wallet and account have nearly everything."""

import psycopg

from tests.conftest import Database

ROWS = 60_000

FILL = f"""
INSERT INTO events SELECT 'greenhill/wallet/W-' || n, 1, 'bursar.wallet.opened.v1', '{{}}', n
    FROM generate_series(1, 600) n;
INSERT INTO events SELECT 'greenhill/wallet/HOT', n, 'bursar.wallet.topped_up.v1', '{{}}', 600 + n
    FROM generate_series(1, {ROWS}) n;
INSERT INTO commands SELECT n, n, gen_random_uuid(), 'greenhill', n, 'till', 'key-' || n, '', 'wallet.top_up', '', '', '',
    '', '', now(), n, '' FROM generate_series(1, {ROWS}) n;
INSERT INTO tenant_heads SELECT 'school-' || n, 1 FROM generate_series(1, {ROWS}) n;
INSERT INTO tenant_heads VALUES ('greenhill', {ROWS});
UPDATE head SET position = {ROWS} + 600, commit = {ROWS}, commands = {ROWS};
INSERT INTO api_keys SELECT 'greenhill', n::text::bytea, 'till', 'key-' || n, 'admin', '{{}}', NULL, NULL, n
    FROM generate_series(1, {ROWS}) n;
INSERT INTO tenant_features SELECT 'school-' || n, 'FINANCE_V2', true, n FROM generate_series(1, 600) n;
INSERT INTO commits SELECT n, n, n, n::text::bytea, '' FROM generate_series(1, {ROWS}) n;
INSERT INTO wallet_accounts SELECT 'greenhill', 'W-' || n, 'KES', 'P', 'open', now(), n FROM generate_series(1, {ROWS}) n;
INSERT INTO wallet_accounts VALUES ('greenhill', 'HOT', 'KES', 'P', 'open', now(), 0);
INSERT INTO wallet_balances SELECT tenant, account, 1, position FROM wallet_accounts;
INSERT INTO wallet_transactions SELECT n, gen_random_uuid(), 1, now(), current_date - n % 400, n, 'greenhill', 'HOT', '', 1
    FROM generate_series(1, {ROWS}) n;
INSERT INTO wallet_holds SELECT 'greenhill', gen_random_uuid(), 'HOT', 1, 0, 'released', now(), 'KES', '', n
    FROM generate_series(1, {ROWS}) n;
INSERT INTO wallet_days SELECT 'greenhill', 'W-' || n, current_date, 1 FROM generate_series(1, {ROWS}) n;
INSERT INTO ledger_entries SELECT n, 1, 0, n, 'greenhill', '1000', current_date - n % 400 FROM generate_series(1, {ROWS}) n;
INSERT INTO ledger_transactions SELECT n, 'greenhill', gen_random_uuid(), current_date - n % 400, now(), n, 'wallet.top_up'
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
INSERT INTO finance_sale_wallets SELECT tenant, 'HOT', effective_date, position, 'C', sale FROM finance_sales;
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
    FROM (VALUES ('events', 'originator_id'), ('commands', 'tenant'), ('commands', 'client'),
        ('tenant_heads', 'tenant'), ('tenant_features', 'tenant'), ('wallet_transactions', 'account'), ('wallet_holds', 'status'),
        ('finance_sale_wallets', 'account'), ('ledger_entries', 'code'),
        ('ledger_transactions', 'action'), ('finance_export_jobs', 'tenant')) AS columns (relname, attname)
"""
"""Statistics of a sample in which a hot stream was all that there was."""


def fill(database: Database) -> None:
    """Put the history there; of its size nothing is known to the planner."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # the log takes rows from nobody else
        for insertion in FILL.split(";\n"):
            connection.execute(insertion)


def mislead(database: Database) -> None:
    """Give the planner the statistics of what is there, and of those that would lead it astray."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("ANALYZE")
        connection.execute(HOSTILE)
