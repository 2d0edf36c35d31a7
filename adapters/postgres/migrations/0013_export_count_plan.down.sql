ALTER FUNCTION bursar_count_export_jobs RESET ALL;
