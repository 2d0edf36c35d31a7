"""Alembic's entry: each revision is a pair of SQL files, run on the connection that `migrate` gives."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
