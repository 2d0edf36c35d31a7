DROP TABLE finance_export_log, finance_export_sends, finance_export_calls, finance_export_jobs,
    finance_export_batches, finance_export_map, finance_export_realms, finance_export_tenants;
DROP FUNCTION bursar_log_export_jobs();
