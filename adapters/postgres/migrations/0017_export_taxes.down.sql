ALTER TABLE finance_export_tenants DROP COLUMN taxed;
