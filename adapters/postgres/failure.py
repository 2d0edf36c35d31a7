"""What a failure means, and what may be told of it."""

from typing import Final

import psycopg

LOST: Final = (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)
"""What is raised when the database is away, or takes no writes at the moment, as a server that became a standby."""


def told(error: Exception) -> str:
    """What went wrong, without the row that a database's message would quote."""
    words = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return f"{type(error).__name__}: {words or error}"
