"""The log of every process: one JSON line for each event, on standard error.

Each line begins with event, process, level and timestamp (UTC); what else is known follows as fields, a traceback
as the one field `exception`. What libraries say through `logging`, and Python's warnings, come in the same shape.
"""

import logging
import os
import sys
import threading
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType
from typing import Any, Final

import orjson
import structlog

from ops.settings import LogLevel, Settings

_log = structlog.get_logger("ops")

_NUMBERS: Final[Mapping[LogLevel, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_LEVELS: Final = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)

# What they say below these levels is of use in a search for a fault alone. The Kafka client warns at each attempt of
# an outage; what matters of it is logged by our own retries.
_LIBRARIES: Final = {"kafka": logging.ERROR, "httpx": logging.WARNING, "httpcore": logging.WARNING}


def configure(*, process: str, default: LogLevel = "info") -> None:
    """Set up the log of this process, which every line names, before anything is logged.

    The level is BURSAR_LOG_LEVEL, `default` where that is not set. What ends the process or a thread of it
    unforeseen is logged as well.
    """
    level = _NUMBERS[Settings().log_level or default]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            _Renderer(process),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Forwarding()]
    root.setLevel(level)
    for name, least in _LIBRARIES.items():
        logging.getLogger(name).setLevel(logging.NOTSET if level == logging.DEBUG else least)
    logging.captureWarnings(capture=True)
    sys.excepthook = _ended
    threading.excepthook = _thread_ended


def started(**facts: object) -> None:
    """Write the line with which every process begins: its version, and what else tells it apart."""
    _log.info("started", version=version("bursar"), pid=os.getpid(), **facts)


class _Renderer:
    """Makes the line. It never raises: what cannot be written as JSON is written as Python shows it."""

    def __init__(self, process: str) -> None:
        self._process = process

    def __call__(self, _logger: object, _method: str, fields: MutableMapping[str, Any]) -> bytes:
        line = {
            "event": fields.pop("event"),
            "process": self._process,
            "level": fields.pop("level"),
            "timestamp": datetime.now(UTC),
            **fields,
        }
        try:
            return orjson.dumps(line, default=repr, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)
        except TypeError:  # a number beyond 64 bits, or half of a surrogate pair
            return orjson.dumps({_plain(name): _plain(value) for name, value in line.items()})


def _plain(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text.encode(errors="backslashreplace").decode()


class _Forwarding(logging.Handler):
    """Takes what is logged through `logging` into our own log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = max((known for known in _LEVELS if known <= record.levelno), default=logging.DEBUG)
            fields: dict[str, Any] = {"exc_info": record.exc_info} if record.exc_info else {}
            structlog.get_logger().log(level, record.getMessage(), logger=record.name, **fields)
        except Exception:  # noqa: BLE001  `logging` asks its handlers for this
            self.handleError(record)


class _DatabaseError(Exception):
    """An error of the database, in words that quote no row."""


def _without_rows(error: BaseException) -> BaseException:
    """The error, unless it is one of the database, whose message may quote a row."""
    import psycopg  # loaded already wherever one was raised, and slow to load elsewhere

    from adapters.postgres.failure import told

    return _DatabaseError(told(error)) if isinstance(error, psycopg.Error) else error


def _ended(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    shown = _without_rows(error)
    _log.critical("ended by an error", error=repr(shown), exc_info=(type(shown), shown, traceback))


def _thread_ended(args: threading.ExceptHookArgs) -> None:
    name = args.thread.name if args.thread else ""
    shown = _without_rows(args.exc_value) if args.exc_value else None
    _log.critical(
        "a thread was ended by an error",
        thread=name,
        error=repr(shown),
        exc_info=(type(shown), shown, args.exc_traceback),
    )
