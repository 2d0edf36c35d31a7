"""The export: what is to go to QuickBooks, what went, and what came back."""

from adapters.postgres.migrations import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql("0003_export.up.sql")


def downgrade() -> None:
    run_sql("0003_export.down.sql")
