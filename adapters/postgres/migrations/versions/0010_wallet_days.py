"""What a wallet moved on each day, so that a statement adds up days and not movements."""

from adapters.postgres.migrations import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql("0010_wallet_days.up.sql")


def downgrade() -> None:
    run_sql("0010_wallet_days.down.sql")
