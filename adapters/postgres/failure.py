"""What may be told of a failure."""

import psycopg


def told(error: Exception) -> str:
    """What went wrong, without the row that a database's message would quote."""
    words = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return f"{type(error).__name__}: {words or error}"
