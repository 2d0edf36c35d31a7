"""The SQL of the registry. Tables: adapters/postgres/migrations/0003_export.up.sql."""

from typing import Final

# --- registering what the feed brings

# Locked until the registration commits: a sender that names the company, or pauses the tenant, comes before it
# or after it, so that it sees all that was registered, or what is registered sees it.
SELECT_TENANTS: Final = """
    SELECT tenant, realm, chart FROM finance_export_tenants WHERE tenant = ANY(%s)
    ORDER BY tenant FOR NO KEY UPDATE
"""
INSERT_TENANT: Final = """
    INSERT INTO finance_export_tenants (tenant, realm, name, country, currency, chart)
    VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (tenant) DO NOTHING
"""
INSERT_REALM: Final = """
    INSERT INTO finance_export_realms (realm, batches_per_minute, items_per_minute, in_flight)
    VALUES (%s, %s, %s, %s) ON CONFLICT (realm) DO NOTHING
"""
INSERT_NAMES: Final = """
    INSERT INTO finance_export_map (tenant, realm, kind, key, attributes)
    SELECT tenant, realm, kind, key, attributes::jsonb
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
        AS n (tenant, realm, kind, key, attributes)
    ON CONFLICT (tenant, realm, kind, key) DO NOTHING
"""
INSERT_JOBS: Final = """
    INSERT INTO finance_export_jobs (tenant, realm, kind, source_id, position, number, effective_date, amount,
        currency, customer, invoice, credit_memo, template)
    SELECT j.* FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::date[],
        %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[])
        AS j (tenant, realm, kind, source_id, position, number, effective_date, amount, currency, customer,
              invoice, credit_memo, template)
    ON CONFLICT (tenant, realm, kind, source_id, version) DO NOTHING
"""
INSERT_BATCH: Final = """
    INSERT INTO finance_export_batches (batch_id, tenant, position, requested_at)
    VALUES (%s, %s, %s, %s) ON CONFLICT (batch_id) DO NOTHING
"""
# A new request lifts a pause, and gives what waits for a mapping another chance.
LIFT_PAUSE: Final = """
    UPDATE finance_export_tenants SET paused_reason = NULL, paused_token = NULL
    WHERE tenant = %s AND paused_reason IS NOT NULL
"""
FORGET_MAP_ERRORS: Final = """
    UPDATE finance_export_map SET error = NULL WHERE tenant = %s AND error IS NOT NULL
"""
RETRY_MAPPINGS: Final = """
    UPDATE finance_export_jobs SET state = 'blocked', body = NULL, fingerprint = NULL, last_error = NULL
    WHERE tenant = %s AND state = 'needs_mapping'
"""
NOTIFY: Final = "SELECT pg_notify('bursar_export', %s)"

# --- what there is to do

# A pause under an access token waits for a person, or for another token; one without is only a matter of time.
SELECT_WORK: Final = """
    SELECT t.tenant, t.realm, t.name, t.country, t.currency, max(b.position),
        t.paused_reason IS NOT NULL AND t.paused_token IS NOT NULL,
        t.paused_reason IS NOT NULL AND t.paused_token IS NULL
    FROM finance_export_batches b JOIN finance_export_tenants t ON t.tenant = b.tenant
    WHERE (b.status IN ('queued', 'running') OR (b.status = 'needs_attention' AND t.paused_reason IS NOT NULL))
        AND (t.paused_reason IS NULL OR t.paused_token IS DISTINCT FROM %s)
    GROUP BY t.tenant ORDER BY t.tenant
"""
CONNECT_TENANT: Final = "UPDATE finance_export_tenants SET realm = %s WHERE tenant = %s"
CONNECT_MAP: Final = "UPDATE finance_export_map SET realm = %s WHERE tenant = %s AND realm = ''"
CONNECT_JOBS: Final = "UPDATE finance_export_jobs SET realm = %s WHERE tenant = %s AND realm = ''"
TRY_LOCK_REALM: Final = "SELECT pg_try_advisory_lock(hashtext('bursar export'), hashtext(%s))"
UNLOCK_REALM: Final = "SELECT pg_advisory_unlock(hashtext('bursar export'), hashtext(%s))"

START_BATCHES: Final = """
    UPDATE finance_export_batches SET status = 'running'
    WHERE tenant = %s AND position <= %s AND status = 'queued'
"""
# The pause is over: what it had ended goes on, whatever its position, as CALL_ALL_FOR_ATTENTION ended it.
RESUME_BATCHES: Final = """
    UPDATE finance_export_batches SET status = 'running', reason = NULL, finished_at = NULL
    WHERE tenant = %s AND status = 'needs_attention'
"""
COMPLETE_BATCHES: Final = """
    UPDATE finance_export_batches b SET status = 'completed', reason = NULL, finished_at = clock_timestamp()
    WHERE b.tenant = %s AND b.status <> 'completed' AND NOT EXISTS (
        SELECT FROM finance_export_jobs j
        WHERE j.tenant = b.tenant AND j.state <> 'confirmed' AND j.position <= b.position)
"""
CALL_FOR_ATTENTION: Final = """
    UPDATE finance_export_batches SET status = 'needs_attention', reason = %s, finished_at = clock_timestamp()
    WHERE tenant = %s AND position <= %s AND status IN ('queued', 'running')
"""
# A pause holds up every open batch, also one that was requested since the turn began.
CALL_ALL_FOR_ATTENTION: Final = """
    UPDATE finance_export_batches SET status = 'needs_attention', reason = %s, finished_at = clock_timestamp()
    WHERE tenant = %s AND status IN ('queued', 'running')
"""
PAUSE_TENANT: Final = """
    UPDATE finance_export_tenants SET paused_reason = %s, paused_token = %s WHERE tenant = %s
"""
MARK_SIGN_IN: Final = """
    UPDATE finance_export_jobs SET state = 'needs_sign_in', last_error = %s
    WHERE tenant = %s AND position <= %s AND state IN ('pending', 'sent', 'unknown')
"""
LIFT_SIGN_IN: Final = """
    UPDATE finance_export_jobs SET state = CASE WHEN call_id IS NULL THEN 'pending' ELSE 'sent' END
    WHERE tenant = %s AND state = 'needs_sign_in'
"""
RELEASE_HELD: Final = """
    UPDATE finance_export_jobs SET state = CASE WHEN body IS NULL THEN 'blocked' ELSE 'pending' END,
        last_error = NULL
    WHERE tenant = %(tenant)s AND state = 'held' AND position <= %(limit)s
        AND (%(closed)s::date IS NULL OR effective_date > %(closed)s::date)
"""
HOLD_CLOSED: Final = """
    UPDATE finance_export_jobs SET state = 'held', last_error = %(reason)s
    WHERE tenant = %(tenant)s AND state IN ('blocked', 'pending') AND position <= %(limit)s
        AND effective_date <= %(closed)s::date
"""

# --- names

SELECT_NAMES: Final = """
    SELECT key, attributes, quickbooks_id FROM finance_export_map
    WHERE tenant = %s AND realm = %s AND kind = %s ORDER BY key
"""
# Looked up name by name: without statistics, as after a large import, a join would read the map for each row.
SELECT_WANTED_CUSTOMERS: Final = """
    WITH wanted AS MATERIALIZED (
        SELECT DISTINCT customer FROM finance_export_jobs
        WHERE tenant = %(tenant)s AND state = 'blocked' AND position <= %(limit)s AND customer IS NOT NULL
    )
    SELECT w.customer FROM wanted w
    CROSS JOIN LATERAL (
        SELECT FROM finance_export_map m
        WHERE m.tenant = %(tenant)s AND m.realm = %(realm)s AND m.kind = 'Customer' AND m.key = w.customer
            AND m.quickbooks_id IS NULL AND m.error IS NULL
        LIMIT 1
    ) AS missing
    ORDER BY w.customer
"""
SET_NAMES: Final = """
    UPDATE finance_export_map m SET quickbooks_id = n.quickbooks_id, error = n.error
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS n (key, quickbooks_id, error)
    WHERE m.tenant = %s AND m.realm = %s AND m.kind = %s AND m.key = n.key
"""
# Rows whose customer could not be made.
MARK_UNMAPPED: Final = """
    WITH broken AS MATERIALIZED (
        SELECT key, error FROM finance_export_map
        WHERE tenant = %(tenant)s AND realm = %(realm)s AND kind = 'Customer' AND error IS NOT NULL
    )
    UPDATE finance_export_jobs j SET state = 'needs_mapping', last_error = broken.error
    FROM broken
    WHERE j.tenant = %(tenant)s AND j.state = 'blocked' AND j.position <= %(limit)s AND j.customer = broken.key
"""

# --- rows and calls

SELECT_BINDABLE: Final = """
    SELECT j.id, j.template, j.customer, c.quickbooks_id, j.invoice, i.quickbooks_id,
        j.credit_memo, m.quickbooks_id
    FROM finance_export_jobs j
    LEFT JOIN LATERAL (
        SELECT quickbooks_id FROM finance_export_map
        WHERE tenant = j.tenant AND realm = j.realm AND kind = 'Customer' AND key = j.customer LIMIT 1
    ) AS c ON true
    LEFT JOIN LATERAL (
        SELECT quickbooks_id FROM finance_export_jobs
        WHERE tenant = j.tenant AND realm = j.realm AND kind = 'Invoice' AND number = j.invoice LIMIT 1
    ) AS i ON true
    LEFT JOIN LATERAL (
        SELECT quickbooks_id FROM finance_export_jobs
        WHERE tenant = j.tenant AND realm = j.realm AND kind = 'CreditMemo' AND number = j.credit_memo LIMIT 1
    ) AS m ON true
    WHERE j.tenant = %s AND j.state = 'blocked' AND j.position <= %s
        AND (j.customer IS NULL OR c.quickbooks_id IS NOT NULL)
        AND (j.invoice IS NULL OR i.quickbooks_id IS NOT NULL)
        AND (j.credit_memo IS NULL OR m.quickbooks_id IS NOT NULL)
    ORDER BY j.position, j.id LIMIT %s
"""
BIND: Final = """
    UPDATE finance_export_jobs j SET state = 'pending', body = b.body, fingerprint = b.fingerprint
    FROM unnest(%s::bigint[], %s::bytea[], %s::bytea[]) AS b (id, body, fingerprint)
    WHERE j.id = b.id AND j.state = 'blocked'
"""
MARK_NEEDS_MAPPING: Final = """
    UPDATE finance_export_jobs j SET state = 'needs_mapping', last_error = u.error
    FROM unnest(%s::bigint[], %s::text[]) AS u (id, error) WHERE j.id = u.id
"""
SELECT_PENDING: Final = """
    SELECT id, kind, number, body, attempts, fingerprint FROM finance_export_jobs
    WHERE tenant = %s AND state = 'pending' AND position <= %s
    ORDER BY position, id LIMIT %s
"""
INSERT_CALL: Final = """
    INSERT INTO finance_export_calls (tenant, realm, request_id, job_ids, body) VALUES (%s, %s, %s, %s, %s)
    RETURNING id
"""
MARK_SENT: Final = """
    UPDATE finance_export_jobs SET state = 'sent', call_id = %s, attempts = attempts + 1
    WHERE id = ANY(%s) AND state = 'pending'
"""
INSERT_SEND: Final = (
    "INSERT INTO finance_export_sends (realm, call_id, items) VALUES (%s, %s, %s) RETURNING id"
)
ANSWER_SEND: Final = (
    "UPDATE finance_export_sends SET answered_at = clock_timestamp(), outcome = %s WHERE id = %s"
)
SELECT_OPEN_CALLS: Final = """
    SELECT c.id, c.request_id, c.body,
        coalesce((SELECT extract(epoch FROM max(s.at))::float8 FROM finance_export_sends s
                  WHERE s.realm = c.realm AND s.call_id = c.id), 0),
        j.id, j.kind, j.number, j.body, j.attempts
    FROM finance_export_calls c
    CROSS JOIN LATERAL unnest(c.job_ids) WITH ORDINALITY AS o (job_id, place)
    JOIN finance_export_jobs j ON j.id = o.job_id
    WHERE c.tenant = %s AND c.state = 'open' ORDER BY c.id, o.place
"""
SETTLE_JOBS: Final = """
    UPDATE finance_export_jobs j SET state = r.state, quickbooks_id = r.quickbooks_id, sync_token = r.sync_token,
        last_error = r.error, call_id = NULL,
        confirmed_at = CASE WHEN r.state = 'confirmed' THEN clock_timestamp() END
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[])
        AS r (id, state, quickbooks_id, sync_token, error)
    WHERE j.id = r.id AND j.call_id = %s
"""
CLOSE_CALL: Final = """
    UPDATE finance_export_calls SET state = 'closed', closed_at = clock_timestamp() WHERE id = %s
"""
MARK_UNKNOWN: Final = """
    UPDATE finance_export_jobs SET state = 'unknown', last_error = %s
    WHERE call_id = %s AND state = 'sent'
"""

# --- the budget

SELECT_BUDGET: Final = """
    SELECT batches_per_minute, items_per_minute, in_flight,
        CASE WHEN quiet_until > clock_timestamp()
            THEN extract(epoch FROM quiet_until - clock_timestamp())::float8 ELSE 0 END
    FROM finance_export_realms WHERE realm = %s
"""
SELECT_SPENT: Final = """
    SELECT count(*), coalesce(sum(items), 0),
        coalesce(extract(epoch FROM min(at) + interval '60 s' - clock_timestamp())::float8, 0)
    FROM finance_export_sends WHERE realm = %s AND at > clock_timestamp() - interval '60 s'
"""
BE_QUIET: Final = """
    UPDATE finance_export_realms
    SET quiet_until = greatest(quiet_until, clock_timestamp() + make_interval(secs => %s)) WHERE realm = %s
"""
