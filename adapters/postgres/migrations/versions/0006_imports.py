"""Which files were imported."""

from adapters.postgres.migrations import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql("0006_imports.up.sql")


def downgrade() -> None:
    run_sql("0006_imports.down.sql")
