"""One line of the log for each request, lean enough for the fastest of them.

What there is to say waits a moment for others, so that many lines are made and written together: on the way of a
command, between its other work, each would cost several times as much. A line has the fields that all lines of
the log have, and nothing personal: a route, not a path, since a path holds names.
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

_Ended = tuple[
    float, float, str, str | None, str | None, str | None, str | None, str, str | None, int | None, int
]
"""When it ended, after how many seconds, and what its exchange knows."""


class RequestLog:
    """Says of each request what became of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._waiting: list[_Ended] = []

    @classmethod
    def at(cls, level: str, stream: BinaryIO) -> Self | None:
        """The log of requests, which are said at level info; none where `level` is above it."""
        return cls(stream) if logging.getLevelNamesMapping()[level.upper()] <= logging.INFO else None

    def add(self, exchange: Exchange) -> None:
        """Note an exchange that is over."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        self._waiting.append(
            (
                time.time(),
                time.perf_counter() - exchange.began,
                exchange.request_id,
                exchange.tenant,
                exchange.client,
                exchange.transaction_id,
                exchange.code,
                exchange.method,
                exchange.route,
                exchange.status,
                exchange.sent_bytes,
            )
        )

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        lines = bytearray()
        for (
            at,
            seconds,
            request_id,
            tenant,
            client,
            transaction_id,
            code,
            method,
            route,
            status,
            sent,
        ) in waiting:
            line = {
                "event": "request",
                "process": "api",
                "level": "info",
                "timestamp": datetime.fromtimestamp(at, UTC),
                "request_id": request_id,
                "tenant": tenant,
                "client": client,
                "method": method,
                "route": route,
                "status": status,
                "milliseconds": int(seconds * 100_000) / 100,
                "bytes": sent,
            }
            if transaction_id is not None:
                line["transaction_id"] = transaction_id
            if code is not None:
                line["code"] = code
            lines += orjson.dumps(line, option=_OPTIONS)
        self._stream.write(lines)
        self._stream.flush()
