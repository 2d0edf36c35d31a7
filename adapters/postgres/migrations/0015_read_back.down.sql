DROP TABLE finance_sale_wallets;
DROP INDEX finance_sales_customer_idx;
DROP INDEX finance_sales_date_idx;
DROP INDEX finance_sales_receipt_idx;
