-- The log: events, commands and commits. Only bursar_append() writes them; nothing changes them.

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['bursar_owner', 'bursar_append'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
    FOREACH name IN ARRAY ARRAY['bursar_writer', 'bursar_projector', 'bursar_reader', 'bursar_relay',
                                'bursar_exporter', 'bursar_auditor'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
    END LOOP;
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO bursar_owner, bursar_append, bursar_writer, bursar_projector, bursar_reader,
    bursar_relay, bursar_exporter, bursar_auditor;

-- The columns of the eventsourcing library, so that its stock recorder reads the log.
CREATE TABLE events (
    originator_id text COLLATE "C" NOT NULL,
    originator_version bigint NOT NULL,
    topic text COLLATE "C" NOT NULL,
    state bytea NOT NULL,
    notification_id bigint NOT NULL,
    PRIMARY KEY (originator_id, originator_version)
);
CREATE UNIQUE INDEX events_notification_id_idx ON events (notification_id);

-- One row per accepted command. It owns the positions first_position..position.
CREATE TABLE commands (
    position bigint PRIMARY KEY,
    first_position bigint NOT NULL,
    id uuid NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    tenant_sequence bigint NOT NULL,
    client text COLLATE "C" NOT NULL,
    idempotency_key text COLLATE "C",
    request_hash bytea NOT NULL,
    command text COLLATE "C" NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    correlation_id text NOT NULL,
    trace_id text NOT NULL,
    response bytea NOT NULL,
    recorded_at timestamptz NOT NULL,
    commit bigint NOT NULL,
    leaf bytea NOT NULL
);
CREATE UNIQUE INDEX commands_id_idx ON commands (id);
CREATE UNIQUE INDEX commands_idempotency_key_idx ON commands (tenant, client, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- The keys, in order, of a command that has several, since it is many that commit together. Its own row has their digest
-- in place of a key, so that they are chained with it.
CREATE TABLE command_keys (
    position bigint,
    ordinal bigint,
    tenant text COLLATE "C" NOT NULL,
    client text COLLATE "C" NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    PRIMARY KEY (position, ordinal),
    UNIQUE (tenant, client, idempotency_key)
);

-- previous_hash is unique, which makes a fork impossible. commands counts those of the log up to and including the
-- commit, so that the leaves of all commands have a dense index.
CREATE TABLE commits (
    number bigint PRIMARY KEY,
    position bigint NOT NULL,
    commands bigint NOT NULL,
    previous_hash bytea NOT NULL UNIQUE,
    hash bytea NOT NULL
);

-- The only rows of the log that change: one, and one for each tenant. As long as anybody holds a snapshot, all that they
-- were since stands beside them; they are found from the end of an index on what only grows, where the newest stands
-- first, so that nobody walks over the others.
CREATE TABLE head (
    position bigint PRIMARY KEY,
    commit bigint NOT NULL,
    commands bigint NOT NULL,
    hash bytea NOT NULL,
    recorded_at timestamptz NOT NULL
);
CREATE TABLE tenant_heads (
    tenant text COLLATE "C",
    sequence bigint,
    PRIMARY KEY (tenant, sequence)
);

-- Who this store is. The epoch changes after a point-in-time restore, so that consumers refuse to mix.
CREATE TABLE store (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id uuid NOT NULL,
    epoch integer NOT NULL
);
INSERT INTO store (id, epoch) VALUES (gen_random_uuid(), 1);
INSERT INTO head (position, commit, commands, hash, recorded_at)
    SELECT 0, 0, 0, sha256(uuid_send(id)), '1970-01-01T00:00:00Z' FROM store;

-- Folded states of long streams, so that a cold start stays fast. Never trusted: verify refolds each.
CREATE TABLE snapshots (
    originator_id text COLLATE "C" PRIMARY KEY,
    originator_version bigint NOT NULL,
    position bigint NOT NULL,
    format integer NOT NULL,
    state bytea NOT NULL
);

-- How far the relay has published.
CREATE TABLE relay_positions (
    topic text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    epoch integer NOT NULL
);

-- A length-prefixed field of a chained record; docs/reference/chain.md has the format byte by byte. The database is
-- in UTF-8, so that the length of a text in it is that of its bytes.
CREATE FUNCTION bursar_field(value bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN int4send(octet_length(value)) || value;

CREATE FUNCTION bursar_text(value text) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN int4send(octet_length(value)) || convert_to(value, 'UTF8');

CREATE FUNCTION bursar_lock_head(OUT "position" bigint, OUT commit bigint, OUT recorded_at timestamptz)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off
    SET enable_bitmapscan = off
    AS $$ SELECT h.position, h.commit, h.recorded_at FROM head h ORDER BY h.position DESC LIMIT 1 FOR UPDATE $$;

-- Takes the turn to write, which a process keeps for some batches. It is a courtesy on which nothing depends: false after
-- 300 ms, since whoever has it may hang. bursar_end_turn() gives it back, and so does the end of the session.
CREATE FUNCTION bursar_take_turn() RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '300ms'
    AS $$
BEGIN
    PERFORM pg_advisory_lock(1);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END
$$;
CREATE FUNCTION bursar_end_turn() RETURNS boolean
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    RETURN pg_advisory_unlock(1);

-- Appends a batch decided at a position, or says why not. The outcome is one of
--   moved: the head is elsewhere (position), nothing was written;
--   mistimed: it was decided more than a minute ahead of the database's clock, nothing was written;
--   known: keys of the batch that have their answer already, a row each, nothing was written;
--   appended: all of it was written, and the head is at position.
-- now is the database's clock, which is that of all processes.
CREATE FUNCTION bursar_append(
    decided_at bigint, at timestamptz,
    key_tenants text[], key_clients text[], keys text[],
    ids uuid[], tenants text[], clients text[], idempotency_keys text[], request_hashes bytea[],
    names text[], actors text[], reasons text[], correlation_ids text[], trace_ids text[],
    responses bytea[], event_counts bigint[],
    streams text[], versions bigint[], topics text[], states bytea[], owners bigint[],
    more_keys text[] DEFAULT '{}', more_owners bigint[] DEFAULT '{}'
) RETURNS TABLE (outcome text, ordinal bigint, request_hash bytea, response bytea, "position" bigint, now timestamptz)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    -- The plans are kept from when the log was empty; by them each batch would read the whole log later.
    SET enable_seqscan = off SET enable_bitmapscan = off
    AS $$
#variable_conflict use_column
DECLARE
    current head%ROWTYPE;
    store_id bytea;
    tenant_name text;
    tenant_commands bigint;
    tenant_sequence bigint;
    known_tenants text[] := '{}';
    known_sequences bigint[] := '{}';
    leaves bytea;
    last bigint;
    command_count bigint;
    new_hash bytea;
BEGIN
    SELECT * INTO STRICT current FROM head ORDER BY position DESC LIMIT 1 FOR UPDATE;
    IF current.position <> decided_at THEN
        RETURN QUERY SELECT 'moved', NULL::bigint, NULL::bytea, NULL::bytea, current.position, clock_timestamp();
        RETURN;
    END IF;
    -- What is recorded never goes back: one fast clock would date all that comes after it.
    IF at > greatest(current.recorded_at, clock_timestamp() + interval '1 minute') THEN
        RETURN QUERY SELECT 'mistimed', NULL::bigint, NULL::bytea, NULL::bytea, current.position, clock_timestamp();
        RETURN;
    END IF;
    IF cardinality(keys) > 0 THEN
        -- Of a command that has several of the keys, the answer comes once.
        RETURN QUERY SELECT 'known', k.n, c.request_hash,
                CASE row_number() OVER (PARTITION BY c.position ORDER BY k.n) WHEN 1 THEN c.response END,
                c.position, clock_timestamp()
            FROM unnest(key_tenants, key_clients, keys) WITH ORDINALITY AS k (tenant, client, key, n)
            CROSS JOIN LATERAL (
                SELECT * FROM commands
                WHERE tenant = k.tenant AND client = k.client AND idempotency_key = k.key
                UNION ALL
                SELECT c.* FROM command_keys m CROSS JOIN LATERAL (
                    SELECT * FROM commands WHERE position = m.position OFFSET 0
                ) AS c
                WHERE m.tenant = k.tenant AND m.client = k.client AND m.idempotency_key = k.key
                OFFSET 0
            ) AS c;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    IF cardinality(ids) = 0 THEN
        RETURN QUERY SELECT 'appended', NULL::bigint, NULL::bytea, NULL::bytea, current.position, clock_timestamp();
        RETURN;
    END IF;
    IF at < current.recorded_at THEN
        RAISE EXCEPTION 'recorded time % lies before the last one, %', at, current.recorded_at;
    END IF;
    IF 0 >= ANY (event_counts) OR cardinality(streams) <> (SELECT sum(n) FROM unnest(event_counts) AS n) THEN
        RAISE EXCEPTION 'each command owns at least one event, and each event is owned by one';
    END IF;

    INSERT INTO events (originator_id, originator_version, topic, state, notification_id)
        SELECT e.stream, e.version, e.topic, e.state, decided_at + e.n
        FROM unnest(streams, versions, topics, states) WITH ORDINALITY AS e (stream, version, topic, state, n);

    FOR tenant_name, tenant_commands IN SELECT t, count(*) FROM unnest(tenants) AS t GROUP BY t LOOP
        SELECT h.sequence INTO tenant_sequence FROM tenant_heads h
            WHERE h.tenant = tenant_name ORDER BY h.sequence DESC LIMIT 1;
        IF FOUND THEN
            UPDATE tenant_heads h SET sequence = h.sequence + tenant_commands
                WHERE h.tenant = tenant_name AND h.sequence = tenant_sequence;
        ELSE
            tenant_sequence := 0;
            INSERT INTO tenant_heads (tenant, sequence) VALUES (tenant_name, tenant_commands);
        END IF;
        known_tenants := known_tenants || tenant_name;
        known_sequences := known_sequences || tenant_sequence;
    END LOOP;

    store_id := (SELECT uuid_send(id) FROM store);
    WITH digested AS (
        SELECT e.owner, sha256(string_agg(
            int8send(decided_at + e.n) || bursar_text(e.stream) || int8send(e.version) || bursar_text(e.topic)
            || bursar_field(e.state), ''::bytea ORDER BY e.n)) AS digest
        FROM unnest(streams, versions, topics, states, owners)
            WITH ORDINALITY AS e (stream, version, topic, state, owner, n)
        GROUP BY e.owner
    ), placed AS (
        SELECT c.*, (decided_at + sum(c.event_count) OVER (ORDER BY c.n))::bigint AS position,
            t.sequence + row_number() OVER (PARTITION BY c.tenant ORDER BY c.n) AS sequence
        FROM unnest(ids, tenants, clients, idempotency_keys, request_hashes, names, actors, reasons,
                    correlation_ids, trace_ids, responses, event_counts)
            WITH ORDINALITY AS c (id, tenant, client, key, request_hash, name, actor, reason,
                                  correlation_id, trace_id, response, event_count, n)
        JOIN unnest(known_tenants, known_sequences) AS t (tenant, sequence) ON t.tenant = c.tenant
    ), chained AS (
        INSERT INTO commands (position, first_position, id, tenant, tenant_sequence, client, idempotency_key,
            request_hash, command, actor, reason, correlation_id, trace_id, response, recorded_at, commit, leaf)
        SELECT p.position, p.position - p.event_count + 1, p.id, p.tenant, p.sequence, p.client, p.key,
            p.request_hash, p.name, p.actor, p.reason, p.correlation_id, p.trace_id, p.response, at,
            current.commit + 1,
            sha256('\x00'::bytea || '\x01'::bytea
                || bursar_field(store_id)
                || bursar_field(int8send(p.position - p.event_count + 1))
                || bursar_field(int8send(p.position))
                || bursar_field(uuid_send(p.id))
                || bursar_text(p.tenant)
                || bursar_field(int8send(p.sequence))
                || bursar_text(p.client)
                || bursar_text(coalesce(p.key, ''))
                || bursar_field(p.request_hash)
                || bursar_text(p.name)
                || bursar_text(p.actor)
                || bursar_text(p.reason)
                || bursar_text(p.correlation_id)
                || '\x00000020'::bytea || sha256(p.response) -- as a field, hashed once
                || bursar_field(int8send((extract(epoch FROM at) * 1000000)::bigint))
                || bursar_field(d.digest))
        FROM placed p JOIN digested d ON d.owner = p.n
        RETURNING position, leaf
    )
    SELECT string_agg(c.leaf, ''::bytea ORDER BY c.position), max(c.position) INTO leaves, last FROM chained c;
    ASSERT last = decided_at + cardinality(streams), 'every command was placed';

    IF cardinality(more_keys) > 0 THEN
        INSERT INTO command_keys (position, ordinal, tenant, client, idempotency_key)
            SELECT c.position, row_number() OVER (PARTITION BY m.owner ORDER BY m.n), c.tenant, c.client, m.key
            FROM unnest(more_keys, more_owners) WITH ORDINALITY AS m (key, owner, n)
            CROSS JOIN LATERAL (SELECT * FROM commands WHERE id = ids[m.owner] OFFSET 0) AS c;
    END IF;

    new_hash := sha256('\x02'::bytea || int8send(current.commit + 1) || current.hash || leaves);
    command_count := current.commands + cardinality(ids);
    INSERT INTO commits (number, position, commands, previous_hash, hash)
        VALUES (current.commit + 1, last, command_count, current.hash, new_hash);
    UPDATE head SET position = last, commit = current.commit + 1, commands = command_count, hash = new_hash,
        recorded_at = at
        WHERE position = decided_at;
    PERFORM pg_notify('bursar_log', last::text);
    RETURN QUERY SELECT 'appended', NULL::bigint, NULL::bytea, NULL::bytea, last, clock_timestamp();
END
$$;

CREATE FUNCTION bursar_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the log is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION bursar_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON commands
    FOR EACH STATEMENT EXECUTE FUNCTION bursar_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON command_keys
    FOR EACH STATEMENT EXECUTE FUNCTION bursar_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON commits
    FOR EACH STATEMENT EXECUTE FUNCTION bursar_refuse_change();

ALTER TABLE events OWNER TO bursar_owner;
ALTER TABLE commands OWNER TO bursar_owner;
ALTER TABLE command_keys OWNER TO bursar_owner;
ALTER TABLE commits OWNER TO bursar_owner;
ALTER TABLE head OWNER TO bursar_owner;
ALTER TABLE tenant_heads OWNER TO bursar_owner;
ALTER TABLE store OWNER TO bursar_owner;
ALTER TABLE relay_positions OWNER TO bursar_owner;
ALTER TABLE snapshots OWNER TO bursar_projector;
REVOKE ALL ON events, commands, command_keys, commits, head, tenant_heads, store, relay_positions FROM bursar_owner, PUBLIC;

GRANT INSERT ON events, commands, command_keys, commits TO bursar_append;
GRANT SELECT ON commands, command_keys, store TO bursar_append;
GRANT SELECT ON command_keys TO bursar_auditor;
GRANT SELECT, UPDATE ON head TO bursar_append;
GRANT SELECT, INSERT, UPDATE ON tenant_heads TO bursar_append;
GRANT SELECT ON events, commands, commits, head, tenant_heads, store
    TO bursar_writer, bursar_projector, bursar_relay, bursar_exporter, bursar_auditor;
GRANT SELECT ON snapshots TO bursar_writer, bursar_auditor;
GRANT SELECT (position) ON head TO bursar_reader;
GRANT SELECT, INSERT, UPDATE ON relay_positions TO bursar_relay;
GRANT SELECT ON relay_positions TO bursar_auditor;

REVOKE ALL ON FUNCTION bursar_field, bursar_text, bursar_lock_head, bursar_append, bursar_refuse_change FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bursar_field, bursar_text TO bursar_append, bursar_auditor;
ALTER FUNCTION bursar_append OWNER TO bursar_append;
ALTER FUNCTION bursar_lock_head OWNER TO bursar_append;
REVOKE ALL ON FUNCTION bursar_append, bursar_lock_head, bursar_take_turn, bursar_end_turn FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bursar_append, bursar_lock_head, bursar_take_turn, bursar_end_turn TO bursar_writer;
