-- Holds on wallets. What of a wallet is available depends on the time, so it is no longer stored: it is the balance, less
-- the holds that count at the moment of the question, plus the overdraft granted.

CREATE TABLE wallet_holds (
    tenant text COLLATE "C",
    hold uuid,
    account text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    captured bigint NOT NULL DEFAULT 0,
    status text COLLATE "C" NOT NULL DEFAULT 'active',
    expires_at timestamptz NOT NULL,
    currency text COLLATE "C" NOT NULL,
    description text,
    position bigint NOT NULL,
    PRIMARY KEY (tenant, hold)
);
CREATE INDEX wallet_holds_status_idx ON wallet_holds (tenant, account, status, hold);
ALTER TABLE wallet_holds OWNER TO bursar_projector;
SELECT bursar_make_readable('wallet_holds');

ALTER TABLE wallet_balances DROP COLUMN available;
ALTER TABLE wallet_accounts ADD COLUMN overdraft_limit bigint NOT NULL DEFAULT 0;
-- How many holds on it there are whose end is not recorded.
ALTER TABLE wallet_accounts ADD COLUMN holds integer NOT NULL DEFAULT 0;
