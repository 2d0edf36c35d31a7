"""How many documents of each export batch are in which state, kept as they change."""

from adapters.postgres.migrations import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql("0007_export_counts.up.sql")


def downgrade() -> None:
    run_sql("0007_export_counts.down.sql")
