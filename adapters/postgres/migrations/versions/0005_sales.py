"""What was sold over the counter, to be read back."""

from adapters.postgres.migrations import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql("0005_sales.up.sql")


def downgrade() -> None:
    run_sql("0005_sales.down.sql")
