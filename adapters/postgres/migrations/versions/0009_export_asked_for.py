"""Whether an export was asked for is seen at once, and each document has one index less."""

from adapters.postgres.migrations import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_sql("0009_export_asked_for.up.sql")


def downgrade() -> None:
    run_sql("0009_export_asked_for.down.sql")
