"""How an import read its rows, and under whose keys."""

from adapters.postgres.migrations import run_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_sql("0014_import_readings.up.sql")


def downgrade() -> None:
    run_sql("0014_import_readings.down.sql")
