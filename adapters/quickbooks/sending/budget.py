"""What one company may be asked for: batches and items a minute, calls at once, and when to leave it alone."""

from typing import Any, Final

from psycopg import Connection

from adapters.quickbooks.registry import statements
from adapters.quickbooks.settings import QuickBooksSettings

_MIN_WAIT_SECONDS: Final = 0.2


class Budget:
    """What the company may be asked for, kept in the database so that processes share it."""

    def __init__(self, connection: Connection[Any], settings: QuickBooksSettings, realm: str) -> None:
        self._connection = connection
        self._settings = settings
        self._realm = realm

    def _limits(self) -> tuple[int | None, int | None, int, float]:
        row = self._connection.execute(statements.SELECT_BUDGET, (self._realm,)).fetchone()
        assert row is not None
        return row[0], row[1], row[2], row[3]

    def in_flight(self) -> int:
        return self._limits()[2]

    def wait_seconds(self, items: int) -> float:
        """How long to wait before a batch of `items` may go: 0 for now."""
        batches_limit, items_limit, _, quiet = self._limits()
        if quiet > 0 or (batches_limit is None and items_limit is None):
            return quiet
        row = self._connection.execute(statements.SELECT_SPENT, (self._realm,)).fetchone()
        assert row is not None
        batches_spent, items_spent, window = row
        full = (batches_limit is not None and batches_spent >= batches_limit) or (
            items_limit is not None and items_spent + items > items_limit
        )
        return max(float(window), _MIN_WAIT_SECONDS) if full else 0.0

    def spend(self, call_id: int | None, items: int) -> int:
        """Note a batch as sent; `answered` takes the number that this returns."""
        row = self._connection.execute(statements.INSERT_SEND, (self._realm, call_id, items)).fetchone()
        assert row is not None
        return int(row[0])

    def answered(self, send_id: int, outcome: str) -> None:
        self._connection.execute(statements.ANSWER_SEND, (outcome, send_id))

    def be_quiet(self, seconds: float | None) -> float:
        """Leave the company alone for so long, or for the wait of the settings. Returns the wait."""
        wait = self._settings.throttle_seconds if seconds is None else seconds
        self._connection.execute(statements.BE_QUIET, (wait, self._realm))
        return wait
