"""What is true of money, wallets, invoices and ledger accounts: pure decisions, no I/O."""
