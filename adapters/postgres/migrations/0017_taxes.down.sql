ALTER TABLE finance_export_tenants DROP COLUMN taxed;
DELETE FROM projection_positions WHERE name = 'tax_codes';
DROP TABLE finance_tax_codes;
