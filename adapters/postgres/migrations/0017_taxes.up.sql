-- Whether a school is registered for tax: then its company has tax set up, and every line names a tax code.
-- Discounts are lines of an item of their own, which charts that are known already have none of.

ALTER TABLE finance_export_tenants ADD COLUMN taxed boolean NOT NULL DEFAULT false;
INSERT INTO finance_export_map (tenant, realm, kind, key)
SELECT tenant, realm, 'Item', chart ->> 'discounts' FROM finance_export_tenants WHERE chart ->> 'discounts' IS NOT NULL
ON CONFLICT DO NOTHING;

-- The tax codes that a school has changed, or has of its own: components as the last event has them, position
-- where that stands.
CREATE TABLE finance_tax_codes (
    tenant text COLLATE "C",
    code text COLLATE "C",
    name text NOT NULL,
    components jsonb NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tenant, code)
);
ALTER TABLE finance_tax_codes OWNER TO bursar_projector;
SELECT bursar_make_readable('finance_tax_codes');
INSERT INTO projection_positions (name, position) VALUES ('tax_codes', 0);
