CREATE INDEX finance_export_jobs_unconfirmed_idx ON finance_export_jobs (tenant, position)
    WHERE state <> 'confirmed';
DROP INDEX events_export_requested_idx;
