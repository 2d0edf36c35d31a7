DELETE FROM projection_positions WHERE name = 'sales';
DROP TABLE finance_sales;
