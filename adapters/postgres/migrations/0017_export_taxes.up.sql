-- Whether a school is registered for tax: then its company has tax set up, and every line names a tax code.
-- Discounts are lines of an item of their own, which charts that are known already have none of.

ALTER TABLE finance_export_tenants ADD COLUMN taxed boolean NOT NULL DEFAULT false;
INSERT INTO finance_export_map (tenant, realm, kind, key)
SELECT tenant, realm, 'Item', chart ->> 'discounts' FROM finance_export_tenants WHERE chart ->> 'discounts' IS NOT NULL
ON CONFLICT DO NOTHING;
