ALTER TABLE finance_export_batches DROP COLUMN covers_after;
ALTER TABLE finance_export_map DROP COLUMN reason;
ALTER TABLE finance_export_jobs DROP COLUMN reason;
