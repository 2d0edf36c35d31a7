"""Holds on wallets, and what of a wallet is available as of the question."""

from adapters.postgres.migrations import run_sql

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_sql("0016_wallet_holds.up.sql")


def downgrade() -> None:
    run_sql("0016_wallet_holds.down.sql")
