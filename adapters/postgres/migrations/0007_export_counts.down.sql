DROP TRIGGER counted_update ON finance_export_jobs;
DROP FUNCTION bursar_count_export_jobs();
ALTER TABLE finance_export_batches DROP COLUMN covered;
DROP TABLE finance_export_counts;
