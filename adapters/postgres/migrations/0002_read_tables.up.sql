-- The read tables: folds of the log, written by the projector alone, read by the API within one tenant.
-- Amounts are bigint minor units; sums are numeric, since enough of the largest amounts pass a bigint.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bursar_switch') THEN
        CREATE ROLE bursar_switch NOLOGIN;
    END IF;
END
$$;

-- How far each projection has folded the log: one row each, always the last position of a command, found from the end of
-- its index as the head is.
CREATE TABLE projection_positions (
    name text COLLATE "C",
    position bigint,
    PRIMARY KEY (name, position)
);
INSERT INTO projection_positions (name, position)
    SELECT name, 0 FROM unnest(ARRAY['tenants', 'ledger', 'wallets', 'invoices', 'receipts', 'exports']) AS name;

CREATE TABLE tenants (
    tenant text COLLATE "C" PRIMARY KEY,
    country text NOT NULL,
    currency text COLLATE "C" NOT NULL,
    time_zone text NOT NULL,
    legal_name text NOT NULL,
    registered_at timestamptz NOT NULL,
    position bigint NOT NULL
);
CREATE TABLE tenant_features (
    tenant text COLLATE "C",
    feature text COLLATE "C",
    enabled boolean NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tenant, feature)
);
-- A revoked key stays, so that its prefix can still be explained. A hash that is added again, by whatever
-- tenant, must not stop the projector; it is of no use, since the first has it.
CREATE TABLE api_keys (
    key_hash bytea NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    client text COLLATE "C" NOT NULL,
    prefix text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL,
    capabilities text[] NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    position bigint NOT NULL,
    PRIMARY KEY (key_hash, position)
);
CREATE INDEX api_keys_prefix_idx ON api_keys (tenant, prefix);

CREATE TABLE ledger_accounts (
    tenant text COLLATE "C",
    code text COLLATE "C",
    name text NOT NULL,
    type text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    opened_at timestamptz NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tenant, code)
);
CREATE TABLE ledger_balances (
    tenant text COLLATE "C",
    code text COLLATE "C",
    debits numeric NOT NULL,
    credits numeric NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tenant, code)
) WITH (fillfactor = 50);
-- One row per command that posted, at the position of its first entry: an entry belongs to the last
-- transaction at or before its own position.
CREATE TABLE ledger_transactions (
    position bigint PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    transaction_id uuid NOT NULL,
    effective_date date NOT NULL,
    recorded_at timestamptz NOT NULL
);
-- balance is the account's debits less its credits after the entry, in record order.
CREATE TABLE ledger_entries (
    position bigint NOT NULL,
    debit bigint NOT NULL,
    credit bigint NOT NULL,
    balance numeric NOT NULL,
    tenant text COLLATE "C",
    code text COLLATE "C",
    PRIMARY KEY (tenant, code, position)
);

CREATE TABLE wallet_accounts (
    tenant text COLLATE "C",
    account text COLLATE "C",
    currency text COLLATE "C" NOT NULL,
    payer text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    opened_at timestamptz NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tenant, account)
);
CREATE TABLE wallet_balances (
    tenant text COLLATE "C",
    account text COLLATE "C",
    balance numeric NOT NULL,
    available numeric NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tenant, account)
) WITH (fillfactor = 50);
-- One row per movement of a wallet: amount is signed, balance runs in record order.
CREATE TABLE wallet_transactions (
    position bigint NOT NULL,
    transaction_id uuid NOT NULL,
    amount bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    effective_date date NOT NULL,
    balance numeric NOT NULL,
    tenant text COLLATE "C",
    account text COLLATE "C",
    description text NOT NULL,
    PRIMARY KEY (tenant, account, position)
);
CREATE UNIQUE INDEX wallet_transactions_statement_idx
    ON wallet_transactions (tenant, account, effective_date, position) INCLUDE (amount);

CREATE TABLE finance_invoices (
    tenant text COLLATE "C",
    invoice uuid,
    number text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    payer text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    total bigint NOT NULL,
    open bigint NOT NULL,
    due_date date NOT NULL,
    effective_date date,
    recorded_at timestamptz NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tenant, invoice)
);
CREATE INDEX finance_invoices_payer_idx ON finance_invoices (tenant, payer, invoice);
CREATE INDEX finance_invoices_status_idx ON finance_invoices (tenant, status, invoice);
CREATE TABLE finance_invoice_items (
    tenant text COLLATE "C",
    invoice uuid,
    line integer,
    description text NOT NULL,
    quantity bigint NOT NULL,
    discount bigint NOT NULL,
    net bigint NOT NULL,
    tax bigint NOT NULL,
    total bigint NOT NULL,
    income text COLLATE "C" NOT NULL,
    tax_code text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, invoice, line)
);
CREATE TABLE finance_payments (
    tenant text COLLATE "C",
    invoice uuid,
    position bigint,
    transaction_id uuid NOT NULL,
    leg integer NOT NULL,
    tender text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    account text COLLATE "C",
    reference text COLLATE "C",
    receipt text COLLATE "C" NOT NULL,
    effective_date date NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, invoice, position)
);
-- The register of receipt numbers. refunded is what of a sale has been given back.
CREATE TABLE finance_receipts (
    tenant text COLLATE "C",
    number text COLLATE "C",
    kind text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    refunded bigint NOT NULL DEFAULT 0,
    currency text COLLATE "C" NOT NULL,
    transaction_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tenant, number)
);
CREATE INDEX finance_receipts_transaction_idx ON finance_receipts (tenant, transaction_id);

CREATE TABLE export_requests (
    tenant text COLLATE "C",
    batch uuid,
    channel text COLLATE "C" NOT NULL,
    recorded_at timestamptz NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tenant, batch)
);

-- Members of a stored event, by search for their name: four times as fast as reading it as jsonb. That is
-- exact where the event is flat, as stored without white space: a quote inside a string is escaped, so
-- "name": stands nowhere but at the member.
--   bursar_member: a string whose characters need no escape (ids, codes, dates); '' where it is null;
--   bursar_words: any string;
--   bursar_number: an integer.
CREATE FUNCTION bursar_member(event text, name text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN split_part(split_part(event, '"' || name || '":"', 2), '"', 1);
CREATE FUNCTION bursar_words(event text, name text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE strpos(event, '\') WHEN 0 THEN split_part(split_part(event, '"' || name || '":"', 2), '"', 1)
           ELSE event::jsonb ->> name END;
CREATE FUNCTION bursar_number(event text, name text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN rtrim(split_part(split_part(event, '"' || name || '":', 2), ',', 1), '}')::bigint;
REVOKE ALL ON FUNCTION bursar_member, bursar_words, bursar_number FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bursar_member, bursar_words, bursar_number TO bursar_projector;

-- Lets readers see a read table, each within the tenant that its transaction has set. Not forced, so that
-- the owner projects, and COPY works, without it.
CREATE FUNCTION bursar_make_readable(read_table regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', read_table);
    EXECUTE format('CREATE POLICY own_tenant ON %s FOR SELECT TO bursar_reader '
                   'USING (tenant = current_setting(''bursar.tenant'', true))', read_table);
    EXECUTE format('GRANT SELECT ON %s TO bursar_reader', read_table);
END
$$;
REVOKE ALL ON FUNCTION bursar_make_readable FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bursar_make_readable TO bursar_projector;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'tenants', 'tenant_features', 'api_keys', 'ledger_accounts', 'ledger_balances', 'ledger_transactions',
        'ledger_entries', 'wallet_accounts', 'wallet_balances', 'wallet_transactions', 'finance_invoices',
        'finance_invoice_items', 'finance_payments', 'finance_receipts', 'export_requests'
    ] LOOP
        EXECUTE format('ALTER TABLE %I OWNER TO bursar_projector', name);
        PERFORM bursar_make_readable(name::regclass);
    END LOOP;
END
$$;
ALTER TABLE projection_positions OWNER TO bursar_projector;
GRANT SELECT ON projection_positions TO bursar_reader, bursar_auditor;

-- Who a key is, for which there is no tenant yet. No row: there is no such key, or it was revoked. The first
-- that was added with this hash decides.
CREATE FUNCTION bursar_authenticate(hash bytea) RETURNS TABLE (
    tenant text, client text, prefix text, capabilities text[], expires_at timestamptz, features text[]
)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    AS $$
    SELECT k.tenant, k.client, k.prefix, k.capabilities, k.expires_at,
        ARRAY(SELECT f.feature FROM tenant_features f WHERE f.tenant = k.tenant AND f.enabled ORDER BY f.feature)
    FROM (SELECT * FROM api_keys WHERE key_hash = hash ORDER BY position LIMIT 1) AS k WHERE k.revoked_at IS NULL
$$;
ALTER FUNCTION bursar_authenticate OWNER TO bursar_projector;
REVOKE ALL ON FUNCTION bursar_authenticate FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bursar_authenticate TO bursar_reader;

-- A rebuild fills tables of the same names in a schema of its own, and then puts them in the place of the
-- live ones. The projector may not create anything in public, where it could shadow what the append function
-- calls; so this function moves its tables there, and only where a table of its own makes room.
CREATE SCHEMA bursar_shadow AUTHORIZATION bursar_projector;
GRANT bursar_projector TO bursar_switch;
GRANT USAGE, CREATE ON SCHEMA public TO bursar_switch;
CREATE FUNCTION bursar_switch_tables(names text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY names LOOP
        EXECUTE format('DROP TABLE public.%I', name);
        EXECUTE format('ALTER TABLE bursar_shadow.%I SET SCHEMA public', name);
    END LOOP;
END
$$;
ALTER FUNCTION bursar_switch_tables OWNER TO bursar_switch;
REVOKE ALL ON FUNCTION bursar_switch_tables FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bursar_switch_tables TO bursar_projector;
