"""A database that takes no writes for a while, as a server that became a standby."""

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from tests.conftest import Database


@contextmanager
def read_only(database: Database, role: str) -> Generator[None]:
    """Until the block ends, for every session that `role` begins; those that it has are ended."""
    name = sql.Identifier(database.name)
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
        try:
            _cut(connection, role)
            yield
        finally:
            connection.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))
            _cut(connection, role)


def _cut(connection: psycopg.Connection[tuple[object, ...]], role: str) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = %s AND datname = current_database()",
        (role,),
    )
