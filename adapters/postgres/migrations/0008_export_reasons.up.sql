-- The codes of projections/views/export_reasons.py, beside the words in last_error and error.
ALTER TABLE finance_export_jobs ADD reason text COLLATE "C";
ALTER TABLE finance_export_map ADD reason text COLLATE "C";

UPDATE finance_export_jobs SET reason = CASE state
        WHEN 'unknown' THEN 'answer_lost' WHEN 'held' THEN 'closed_period' WHEN 'needs_sign_in' THEN 'sign_in'
        WHEN 'needs_mapping' THEN 'reference_missing' ELSE 'refused' END
    WHERE state IN ('unknown', 'held', 'needs_sign_in', 'needs_mapping', 'dead');
UPDATE finance_export_map SET reason = 'name_refused' WHERE error IS NOT NULL;

-- A batch covers nothing up to this position: what its documents are listed from.
ALTER TABLE finance_export_batches ADD covers_after bigint NOT NULL DEFAULT 0;
