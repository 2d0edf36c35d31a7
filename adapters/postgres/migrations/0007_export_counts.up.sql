-- How many documents are in which state, by the first batch that covers them; the confirmed are not counted.
-- A row moves once per statement, not per document. What lies behind the last batch has no row: nobody asked for it.
CREATE TABLE finance_export_counts (
    tenant text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    documents bigint NOT NULL,
    PRIMARY KEY (tenant, position, state)
) WITH (fillfactor = 50);

-- How many documents a batch covers: those up to its position that were not confirmed when it was registered.
ALTER TABLE finance_export_batches ADD covered bigint NOT NULL DEFAULT 0;

UPDATE finance_export_batches b SET covered = (
    SELECT count(*) FROM finance_export_jobs j
    WHERE j.tenant = b.tenant AND j.position <= b.position
        AND (j.confirmed_at IS NULL OR j.confirmed_at > b.registered_at));
INSERT INTO finance_export_counts (tenant, position, state, documents)
    SELECT j.tenant, b.position, j.state, count(*)
    FROM finance_export_jobs j
    CROSS JOIN LATERAL (
        SELECT position FROM finance_export_batches WHERE tenant = j.tenant AND position >= j.position
        ORDER BY position LIMIT 1
    ) AS b
    WHERE j.state <> 'confirmed'
    GROUP BY j.tenant, b.position, j.state;

CREATE FUNCTION bursar_count_export_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO finance_export_counts AS c (tenant, position, state, documents)
        SELECT moved.tenant, b.position, moved.state, sum(moved.documents)
        FROM (
            SELECT n.tenant, n.position, s.state, s.documents
            FROM changed n
            JOIN former o ON o.id = n.id AND o.state <> n.state
            CROSS JOIN LATERAL (VALUES (o.state, -1), (n.state, 1)) AS s (state, documents)
        ) AS moved
        CROSS JOIN LATERAL (
            SELECT position FROM finance_export_batches
            WHERE tenant = moved.tenant AND position >= moved.position ORDER BY position LIMIT 1
        ) AS b
        WHERE moved.state <> 'confirmed'
        GROUP BY moved.tenant, b.position, moved.state
        HAVING sum(moved.documents) <> 0
        ORDER BY moved.tenant, b.position, moved.state
    ON CONFLICT (tenant, position, state) DO UPDATE SET documents = c.documents + excluded.documents;
    RETURN NULL;
END
$$;
CREATE TRIGGER counted_update AFTER UPDATE ON finance_export_jobs
    REFERENCING OLD TABLE AS former NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION bursar_count_export_jobs();
REVOKE ALL ON FUNCTION bursar_count_export_jobs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bursar_count_export_jobs TO bursar_exporter;

ALTER TABLE finance_export_counts OWNER TO bursar_owner;
REVOKE ALL ON finance_export_counts FROM bursar_owner, PUBLIC;
ALTER TABLE finance_export_counts ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON finance_export_counts FOR SELECT TO bursar_reader
    USING (tenant = current_setting('bursar.tenant', true));
CREATE POLICY every ON finance_export_counts TO bursar_exporter, bursar_auditor USING (true) WITH CHECK (true);
-- Only rows that count nothing are deleted.
GRANT SELECT, INSERT, UPDATE, DELETE ON finance_export_counts TO bursar_exporter;
GRANT SELECT ON finance_export_counts TO bursar_reader, bursar_auditor;
