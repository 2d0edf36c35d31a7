ALTER TABLE finance_export_jobs DROP COLUMN divisions;
