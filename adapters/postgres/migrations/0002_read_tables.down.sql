DROP FUNCTION bursar_switch_tables, bursar_authenticate, bursar_make_readable,
    bursar_member, bursar_words, bursar_number;
DROP SCHEMA bursar_shadow CASCADE;
DROP TABLE projection_positions, tenants, tenant_features, api_keys, ledger_accounts, ledger_balances,
    ledger_transactions, ledger_entries, wallet_accounts, wallet_balances, wallet_transactions, finance_invoices,
    finance_invoice_items, finance_payments, finance_receipts, export_requests;
-- The role may serve other databases of the cluster; here it keeps no right.
REVOKE ALL ON SCHEMA public FROM bursar_switch;
