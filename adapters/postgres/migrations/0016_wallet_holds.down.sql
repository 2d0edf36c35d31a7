ALTER TABLE wallet_accounts DROP COLUMN holds;
ALTER TABLE wallet_accounts DROP COLUMN overdraft_limit;
ALTER TABLE wallet_balances ADD COLUMN available numeric;
UPDATE wallet_balances SET available = balance;
ALTER TABLE wallet_balances ALTER COLUMN available SET NOT NULL;
DROP TABLE wallet_holds;
