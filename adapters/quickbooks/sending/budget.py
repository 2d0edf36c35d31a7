"""What one company may be asked for: batches and items a minute, calls at once, and when to leave it alone."""

from typing import Any, Final

from psycopg import Connection

from adapters.quickbooks.registry import realms
from adapters.quickbooks.registry.rows import select
from adapters.quickbooks.settings import QuickBooksSettings

_MIN_WAIT_SECONDS: Final = 0.2


class Budget:
    """What the company may be asked for, kept in the database so that processes share it."""

    def __init__(self, connection: Connection[Any], settings: QuickBooksSettings, realm: str) -> None:
        self._connection = connection
        self._settings = settings
        self._realm = realm
        connection.execute(
            realms.INSERT,
            {
                "realm": realm,
                "batches_per_minute": settings.batches_per_minute,
                "items_per_minute": settings.items_per_minute,
                "in_flight": settings.in_flight,
            },
        )

    def _limits(self) -> realms.Limits:
        (limits,) = select(self._connection, realms.Limits, realms.SELECT_LIMITS, realm=self._realm)
        return limits

    def max_in_flight(self) -> int:
        """How many calls may be at work at once."""
        return self._limits().in_flight

    def wait_seconds(self, items: int) -> float:
        """How long to wait before a batch of `items` may go: 0 for now."""
        limits = self._limits()
        unlimited = limits.batches_per_minute is None and limits.items_per_minute is None
        if limits.quiet_seconds > 0 or unlimited:
            return limits.quiet_seconds
        (spent,) = select(self._connection, realms.Spent, realms.SELECT_SPENT, realm=self._realm)
        full = (limits.batches_per_minute is not None and spent.batches >= limits.batches_per_minute) or (
            limits.items_per_minute is not None and spent.items + items > limits.items_per_minute
        )
        return max(spent.seconds, _MIN_WAIT_SECONDS) if full else 0.0

    def spend(self, call_id: int | None, items: int) -> int:
        """Note a batch as sent; `answered` takes the number that this returns."""
        (send,) = select(
            self._connection,
            realms.Send,
            realms.INSERT_SEND,
            realm=self._realm,
            call_id=call_id,
            items=items,
        )
        return send.id

    def answered(self, send_id: int, outcome: str) -> None:
        """Note what came of a batch."""
        self._connection.execute(realms.ANSWER_SEND, {"id": send_id, "outcome": outcome})

    def be_quiet(self, seconds: float | None) -> float:
        """Leave the company alone for so long, or for the wait of the settings. Returns the wait."""
        wait = self._settings.throttle_seconds if seconds is None else seconds
        self._connection.execute(realms.BE_QUIET, {"seconds": wait, "realm": self._realm})
        return wait
