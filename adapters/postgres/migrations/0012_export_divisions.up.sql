-- In how many of its calls a document was refused with others, over one of them that nobody named: these count against none.
ALTER TABLE finance_export_jobs ADD COLUMN divisions integer NOT NULL DEFAULT 0;
