"""The read tables, what folds the log into them, and who may read them."""

from adapters.postgres.migrations import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql("0002_read_tables.up.sql")


def downgrade() -> None:
    run_sql("0002_read_tables.down.sql")
