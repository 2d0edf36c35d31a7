"""Tax codes, and taxes and discounts in the export."""

from adapters.postgres.migrations import run_sql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_sql("0017_taxes.up.sql")


def downgrade() -> None:
    run_sql("0017_taxes.down.sql")
