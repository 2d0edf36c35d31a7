"""Documents are counted by the index of batches, however few there were when the plan was made."""

from adapters.postgres.migrations import run_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_sql("0013_export_count_plan.up.sql")


def downgrade() -> None:
    run_sql("0013_export_count_plan.down.sql")
