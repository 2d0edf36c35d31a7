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
