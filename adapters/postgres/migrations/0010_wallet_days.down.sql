ALTER FUNCTION bursar_authenticate STABLE;
DROP INDEX wallet_transactions_statement_idx;
CREATE UNIQUE INDEX wallet_transactions_statement_idx
    ON wallet_transactions (tenant, account, effective_date, position) INCLUDE (amount);
ALTER TABLE wallet_transactions DROP COLUMN day_balance;
DROP TABLE wallet_days;
