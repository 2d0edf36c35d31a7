-- A plan that a long session keeps from when there were no batches would read all that there came to be.
ALTER FUNCTION bursar_count_export_jobs SET enable_seqscan = off SET enable_bitmapscan = off;
