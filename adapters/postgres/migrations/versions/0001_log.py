"""The log: events, commands, commits, their roles and the append function."""

from adapters.postgres.migrations import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql("0001_log.up.sql")


def downgrade() -> None:
    raise RuntimeError("The log is never dropped. Restore a backup, or drop the database yourself.")
