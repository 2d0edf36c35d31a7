-- Imports of files, in one row each: what was recorded last. position and recorded_at are where it began.

CREATE TABLE finance_imports (
    tenant text COLLATE "C",
    import uuid,
    source text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    sha256 text COLLATE "C" NOT NULL,
    read bigint NOT NULL,
    posted bigint NOT NULL,
    already_there bigint NOT NULL,
    rejected bigint NOT NULL,
    sketch text[] COLLATE "C" NOT NULL,
    finished boolean NOT NULL,
    recorded_at timestamptz NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tenant, import)
);
CREATE INDEX finance_imports_position_idx ON finance_imports (tenant, position);
ALTER TABLE finance_imports OWNER TO bursar_projector;
SELECT bursar_make_readable('finance_imports');
INSERT INTO projection_positions (name, position) VALUES ('imports', 0);
