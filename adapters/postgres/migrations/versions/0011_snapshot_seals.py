"""Snapshots are sealed, so that nobody makes money by writing one."""

from adapters.postgres.migrations import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_sql("0011_snapshot_seals.up.sql")


def downgrade() -> None:
    run_sql("0011_snapshot_seals.down.sql")
