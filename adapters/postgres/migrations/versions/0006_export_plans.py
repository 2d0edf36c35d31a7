"""Indexes for what the exporter asks of its own tables."""

from adapters.postgres.migrations import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql("0006_export_plans.up.sql")


def downgrade() -> None:
    run_sql("0006_export_plans.down.sql")
