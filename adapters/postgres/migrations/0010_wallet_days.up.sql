-- What a wallet moved on each effective date. A movement that is dated back is recorded after all others of its day, so
-- that within a day the balance runs in record order, and no row of another day changes with it.
CREATE TABLE wallet_days (
    tenant text COLLATE "C",
    account text COLLATE "C",
    day date,
    net numeric NOT NULL,
    PRIMARY KEY (tenant, account, day) INCLUDE (net)
) WITH (fillfactor = 50);
INSERT INTO wallet_days
    SELECT tenant, account, effective_date, sum(amount) FROM wallet_transactions GROUP BY 1, 2, 3;

-- day_balance is what the wallet had moved on the effective date after the movement.
ALTER TABLE wallet_transactions ADD COLUMN day_balance numeric;
UPDATE wallet_transactions t SET day_balance = s.day_balance
FROM (
    SELECT tenant, account, position,
        sum(amount) OVER (PARTITION BY tenant, account, effective_date ORDER BY position) AS day_balance
    FROM wallet_transactions
) AS s
WHERE t.tenant = s.tenant AND t.account = s.account AND t.position = s.position;
ALTER TABLE wallet_transactions ALTER COLUMN day_balance SET NOT NULL;
DROP INDEX wallet_transactions_statement_idx;
CREATE UNIQUE INDEX wallet_transactions_statement_idx
    ON wallet_transactions (tenant, account, effective_date, position);

ALTER TABLE wallet_days OWNER TO bursar_projector;
SELECT bursar_make_readable('wallet_days');

-- A look-up that waits for the switch of a rebuild sees the keys that it brings: volatile, so that its snapshot is taken
-- after it has the lock.
ALTER FUNCTION bursar_authenticate VOLATILE;
