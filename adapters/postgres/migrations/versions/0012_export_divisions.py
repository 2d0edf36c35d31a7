"""A document is not held responsible for what another of its call was refused for."""

from adapters.postgres.migrations import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_sql("0012_export_divisions.up.sql")


def downgrade() -> None:
    run_sql("0012_export_divisions.down.sql")
