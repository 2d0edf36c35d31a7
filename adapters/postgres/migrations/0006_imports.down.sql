DELETE FROM projection_positions WHERE name = 'imports';
DROP TABLE finance_imports;
