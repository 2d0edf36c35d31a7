ALTER TABLE finance_imports DROP COLUMN client, DROP COLUMN options, DROP COLUMN readings;
