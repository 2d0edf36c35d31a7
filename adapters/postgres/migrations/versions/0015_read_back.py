"""What was written is found again: sales, transactions, receipts, wallets, entries."""

from adapters.postgres.migrations import run_sql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_sql("0015_read_back.up.sql")


def downgrade() -> None:
    run_sql("0015_read_back.down.sql")
