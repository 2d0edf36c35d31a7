-- The exporter's own record. It is kept, never rebuilt: what QuickBooks answered stands nowhere else.

-- What the exporter knows of each school. An empty realm: no company is connected yet.
CREATE TABLE finance_export_tenants (
    tenant text COLLATE "C" PRIMARY KEY,
    realm text COLLATE "C" NOT NULL,
    name text NOT NULL,
    country text NOT NULL,
    currency text NOT NULL,
    chart jsonb NOT NULL,
    -- Why nothing is sent until a person has acted; a later batch or another access token lifts it.
    paused_reason text,
    paused_token bytea
);

-- The budget of each QuickBooks company, shared by all processes. NULL: no limit.
CREATE TABLE finance_export_realms (
    realm text COLLATE "C" PRIMARY KEY,
    batches_per_minute integer,
    items_per_minute integer,
    in_flight integer NOT NULL CHECK (in_flight > 0),
    quiet_until timestamptz NOT NULL DEFAULT '-infinity'
);

-- Accounts (by code), items (by role) and customers (by account or payer), and their ids in QuickBooks.
CREATE TABLE finance_export_map (
    tenant text COLLATE "C" NOT NULL,
    realm text COLLATE "C" NOT NULL,
    kind text NOT NULL CHECK (kind IN ('Account', 'Item', 'Customer')),
    key text COLLATE "C" NOT NULL,
    attributes jsonb NOT NULL DEFAULT '{}',
    quickbooks_id text,
    error text,
    PRIMARY KEY (tenant, realm, kind, key)
);
CREATE INDEX finance_export_map_open_idx ON finance_export_map (tenant, kind) WHERE quickbooks_id IS NULL;
CREATE INDEX finance_export_map_error_idx ON finance_export_map (tenant, realm, kind) WHERE error IS NOT NULL;

-- A batch covers every row of its tenant up to its position that was not confirmed when it was registered.
CREATE TABLE finance_export_batches (
    batch_id text COLLATE "C" PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'running', 'completed', 'needs_attention')),
    reason text,
    requested_at timestamptz NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz
);
CREATE INDEX finance_export_batches_tenant_idx ON finance_export_batches (tenant, position);
CREATE INDEX finance_export_batches_open_idx ON finance_export_batches (tenant) WHERE status <> 'completed';

-- The registry: a row per document. Bytes and fingerprint are fixed when all that it needs has its id.
CREATE TABLE finance_export_jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    realm text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    source_id text COLLATE "C" NOT NULL,
    version integer NOT NULL DEFAULT 1,
    position bigint NOT NULL,
    number text COLLATE "C" NOT NULL,
    effective_date date NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    customer text COLLATE "C",
    invoice text COLLATE "C",
    credit_memo text COLLATE "C",
    template bytea NOT NULL,
    state text NOT NULL DEFAULT 'blocked'
        CHECK (state IN ('blocked', 'pending', 'sent', 'confirmed', 'unknown', 'held', 'needs_mapping',
                         'needs_sign_in', 'dead')),
    body bytea,
    fingerprint bytea,
    call_id bigint,
    attempts integer NOT NULL DEFAULT 0,
    quickbooks_id text,
    sync_token text,
    last_error text,
    confirmed_at timestamptz,
    UNIQUE (tenant, realm, kind, source_id, version),
    CHECK (state IN ('blocked', 'held', 'needs_mapping', 'dead') OR (body IS NOT NULL AND fingerprint IS NOT NULL)),
    CHECK ((state = 'confirmed') = (quickbooks_id IS NOT NULL))
);
CREATE UNIQUE INDEX finance_export_jobs_number_idx ON finance_export_jobs (tenant, realm, kind, number, version);
CREATE INDEX finance_export_jobs_open_idx ON finance_export_jobs (tenant, state, position, id)
    WHERE state <> 'confirmed';
CREATE INDEX finance_export_jobs_unconfirmed_idx ON finance_export_jobs (tenant, position)
    WHERE state <> 'confirmed';
CREATE INDEX finance_export_jobs_position_idx ON finance_export_jobs (tenant, position);

-- A call is stored before it is sent; an unknown outcome sends these very bytes again.
CREATE TABLE finance_export_calls (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    realm text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    job_ids bigint[] NOT NULL,
    body bytea NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz,
    UNIQUE (realm, request_id)
);
CREATE INDEX finance_export_calls_open_idx ON finance_export_calls (tenant, id) WHERE state = 'open';

-- Every time a batch went out, and what came back; the budget of a realm is counted here. Without a call
-- it made accounts, items or customers, whose names QuickBooks takes only once.
CREATE TABLE finance_export_sends (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    realm text COLLATE "C" NOT NULL,
    call_id bigint,
    items integer NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    answered_at timestamptz,
    outcome text
);
CREATE INDEX finance_export_sends_realm_idx ON finance_export_sends (realm, at);
CREATE INDEX finance_export_sends_call_idx ON finance_export_sends (call_id) WHERE call_id IS NOT NULL;

-- The job log: a line per change of a row, written by trigger so that none is forgotten.
CREATE TABLE finance_export_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL,
    call_id bigint,
    attempts integer NOT NULL,
    quickbooks_id text,
    error text
);
CREATE INDEX finance_export_log_job_idx ON finance_export_log (job_id, id);

CREATE FUNCTION bursar_log_export_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO finance_export_log (job_id, tenant, state, call_id, attempts, quickbooks_id, error)
        SELECT id, tenant, state, call_id, attempts, quickbooks_id, last_error FROM changed ORDER BY id;
    RETURN NULL;
END
$$;
CREATE TRIGGER logged_insert AFTER INSERT ON finance_export_jobs
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bursar_log_export_jobs();
CREATE TRIGGER logged_update AFTER UPDATE ON finance_export_jobs
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bursar_log_export_jobs();

REVOKE ALL ON FUNCTION bursar_log_export_jobs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bursar_log_export_jobs TO bursar_exporter;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tenants', 'realms', 'map', 'batches', 'jobs', 'calls', 'sends', 'log'] LOOP
        EXECUTE format('ALTER TABLE finance_export_%I OWNER TO bursar_owner', name);
        EXECUTE format('REVOKE ALL ON finance_export_%I FROM bursar_owner, PUBLIC', name);
        EXECUTE format('GRANT SELECT ON finance_export_%I TO bursar_auditor', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['batches', 'jobs'] LOOP
        EXECUTE format('ALTER TABLE finance_export_%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant ON finance_export_%I FOR SELECT TO bursar_reader'
            ' USING (tenant = current_setting(''bursar.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every ON finance_export_%I TO bursar_exporter, bursar_auditor'
            ' USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON finance_export_%I TO bursar_reader', name);
    END LOOP;
END
$$;
-- Nothing of this is ever deleted, and the log and what was sent are not rewritten but for an outcome.
GRANT SELECT, INSERT, UPDATE ON finance_export_tenants, finance_export_realms, finance_export_map,
    finance_export_batches, finance_export_jobs, finance_export_calls, finance_export_sends TO bursar_exporter;
GRANT SELECT, INSERT ON finance_export_log TO bursar_exporter;
