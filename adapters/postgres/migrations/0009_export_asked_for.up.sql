-- The feed leaves a busy log alone until somebody asks for an export; this tells it that somebody has.
CREATE INDEX events_export_requested_idx ON events (notification_id) WHERE topic = 'bursar.export.requested.v1';

-- What is not confirmed is counted now.
DROP INDEX finance_export_jobs_unconfirmed_idx;
