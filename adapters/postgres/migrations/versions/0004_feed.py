"""Where each consumer group is with the feed, and what it put aside."""

from adapters.postgres.migrations import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql("0004_feed.up.sql")


def downgrade() -> None:
    run_sql("0004_feed.down.sql")
