DELETE FROM projection_positions WHERE name = 'transactions';
DROP TABLE finance_transactions;
DROP INDEX ledger_entries_date_idx;
ALTER TABLE ledger_entries DROP COLUMN effective_date;
DROP TABLE finance_sale_wallets;
DROP INDEX finance_sales_customer_idx;
DROP INDEX finance_sales_date_idx;
DROP INDEX finance_sales_receipt_idx;
