"""One line of the log for each request, made in bulk: what is said of a request costs it next to nothing.

A line has the fields that all lines of the log have (docs/reference/configuration.md), and nothing personal: a route, not
a path, since a path holds names.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import BinaryIO, Final

import orjson

from api.exchange import Exchange

FLUSH_SECONDS: Final = 0.1
"""How long a line may wait for others; a normal stop writes what waits."""

_OPTIONS: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z


class RequestLog:
    """Gathers what is to be said of requests, and writes it a few times a second."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._waiting: list[tuple[Exchange, float, float]] = []

    def add(self, exchange: Exchange) -> None:
        """Say of an exchange what became of it; it is over."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        self._waiting.append((exchange, time.time(), time.perf_counter()))

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        self._stream.write(b"".join(_line(*request) for request in waiting))
        self._stream.flush()


def _line(exchange: Exchange, at: float, ended: float) -> bytes:
    line = {
        "event": "request",
        "process": "api",
        "level": "info",
        "timestamp": datetime.fromtimestamp(at, UTC),
        "request_id": exchange.request_id,
        "tenant": exchange.tenant,
        "client": exchange.client,
        "transaction_id": exchange.transaction_id,
        "method": exchange.method,
        "route": exchange.route,
        "status": exchange.status,
        "milliseconds": round((ended - exchange.began) * 1000, 2),
        "bytes": exchange.sent_bytes,
    }
    return orjson.dumps(line, option=_OPTIONS)
