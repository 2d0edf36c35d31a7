"""Why a document stays where it is, by a stable code."""

from adapters.postgres.migrations import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_sql("0008_export_reasons.up.sql")


def downgrade() -> None:
    run_sql("0008_export_reasons.down.sql")
