-- Sales as they are looked for: by receipt, and by date, of all, of a customer, of a wallet that paid, or of both. Each
-- order is an index of its own, so that a page reads its rows alone.
CREATE INDEX finance_sales_receipt_idx ON finance_sales (tenant, receipt);
CREATE UNIQUE INDEX finance_sales_date_idx ON finance_sales (tenant, effective_date, position);
CREATE UNIQUE INDEX finance_sales_customer_idx ON finance_sales (tenant, customer, effective_date, position);
CREATE TABLE finance_sale_wallets (
    tenant text COLLATE "C",
    account text COLLATE "C",
    effective_date date,
    position bigint,
    customer text COLLATE "C",
    sale uuid NOT NULL,
    PRIMARY KEY (tenant, account, effective_date, position)
);
CREATE INDEX finance_sale_wallets_customer_idx
    ON finance_sale_wallets (tenant, account, customer, effective_date, position);
INSERT INTO finance_sale_wallets (tenant, account, effective_date, position, customer, sale)
    SELECT DISTINCT s.tenant, t.value ->> 'account', s.effective_date, s.position, s.customer, s.sale
    FROM finance_sales s CROSS JOIN LATERAL jsonb_array_elements(s.tenders) AS t
    WHERE t.value ->> 'type' = 'wallet';
ALTER TABLE finance_sale_wallets OWNER TO bursar_projector;
SELECT bursar_make_readable('finance_sale_wallets');

-- Entries by date too: of a range of an account's days no other day is read.
ALTER TABLE ledger_entries ADD COLUMN effective_date date;
UPDATE ledger_entries e SET effective_date = t.effective_date
FROM (
    SELECT tenant, code, e.position, max(t.position) OVER (ORDER BY e.position) AS began
    FROM ledger_entries e LEFT JOIN ledger_transactions t USING (tenant, position)
) AS s JOIN ledger_transactions t ON t.position = s.began
WHERE e.tenant = s.tenant AND e.code = s.code AND e.position = s.position;
ALTER TABLE ledger_entries ALTER COLUMN effective_date SET NOT NULL;
CREATE UNIQUE INDEX ledger_entries_date_idx ON ledger_entries (tenant, code, effective_date, position);

-- Transactions whole, in one row each: postings and documents as answers show them. position is that of the first posting,
-- last_position the command's; wallet is the one that it moved, where it moved no other. A movement or an entry belongs to the last transaction of its day at or before it.
CREATE TABLE finance_transactions (
    tenant text COLLATE "C",
    transaction_id uuid,
    action text COLLATE "C" NOT NULL,
    effective_date date NOT NULL,
    recorded_at timestamptz NOT NULL,
    position bigint NOT NULL,
    last_position bigint NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    description text NOT NULL,
    receipt text COLLATE "C",
    wallet text COLLATE "C",
    postings jsonb NOT NULL,
    documents jsonb NOT NULL,
    PRIMARY KEY (tenant, transaction_id)
);
CREATE UNIQUE INDEX finance_transactions_date_idx ON finance_transactions (tenant, effective_date, position);
CREATE UNIQUE INDEX finance_transactions_action_idx
    ON finance_transactions (tenant, action, effective_date, position);
CREATE UNIQUE INDEX finance_transactions_receipt_idx
    ON finance_transactions (tenant, effective_date, position) WHERE receipt IS NOT NULL;
ALTER TABLE finance_transactions OWNER TO bursar_projector;
SELECT bursar_make_readable('finance_transactions');
INSERT INTO projection_positions (name, position) VALUES ('transactions', 0);

-- Wallets of a payer, of a status, and of both.
CREATE UNIQUE INDEX wallet_accounts_payer_idx ON wallet_accounts (tenant, payer, account);
CREATE UNIQUE INDEX wallet_accounts_status_idx ON wallet_accounts (tenant, status, account);
CREATE UNIQUE INDEX wallet_accounts_both_idx ON wallet_accounts (tenant, payer, status, account);
