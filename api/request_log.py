"""One line of the log for each request, lean enough for the fastest of them.

A line is made when its request is over, and waits a moment for others, so that one write takes many. It has the
fields that all lines of the log have, and nothing personal: a route, not a path, since a path holds names.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import BinaryIO, Final, Self

import orjson

from api.exchange import Exchange

FLUSH_SECONDS: Final = 0.1
"""How long a line may wait; a normal stop writes what waits."""

_OPTIONS: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z


class RequestLog:
    """Says of each request what became of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._waiting = bytearray()

    @classmethod
    def at(cls, level: str, stream: BinaryIO) -> Self | None:
        """The log of requests, which are said at level info; none where `level` is above it."""
        return cls(stream) if logging.getLevelNamesMapping()[level.upper()] <= logging.INFO else None

    def add(self, exchange: Exchange) -> None:
        """Note an exchange that is over."""
        line = {
            "event": "request",
            "process": "api",
            "level": "info",
            "timestamp": datetime.now(UTC),
            "request_id": exchange.request_id,
            "tenant": exchange.tenant,
            "client": exchange.client,
            "method": exchange.method,
            "route": exchange.route,
            "status": exchange.status,
            "milliseconds": int((time.perf_counter() - exchange.began) * 100_000) / 100,
            "bytes": exchange.sent_bytes,
        }
        if exchange.transaction_id:
            line["transaction_id"] = exchange.transaction_id
        if not self._waiting:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        # Into one array: each line kept for itself would cost twice as much as all the rest.
        self._waiting += orjson.dumps(line, option=_OPTIONS)

    def flush(self) -> None:
        """Write what waits."""
        lines, self._waiting = self._waiting, bytearray()
        self._stream.write(lines)
        self._stream.flush()
