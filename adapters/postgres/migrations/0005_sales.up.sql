-- Sales as sold, in one row each: lines and tenders as the event has them. refunded is what was given back since.

CREATE TABLE finance_sales (
    tenant text COLLATE "C",
    sale uuid,
    receipt text COLLATE "C" NOT NULL,
    customer text COLLATE "C",
    currency text COLLATE "C" NOT NULL,
    total bigint NOT NULL,
    refunded bigint NOT NULL DEFAULT 0,
    lines jsonb NOT NULL,
    tenders jsonb NOT NULL,
    effective_date date NOT NULL,
    recorded_at timestamptz NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tenant, sale)
);
ALTER TABLE finance_sales OWNER TO bursar_projector;
SELECT bursar_make_readable('finance_sales');
INSERT INTO projection_positions (name, position) VALUES ('sales', 0);
