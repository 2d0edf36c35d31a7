"""The exporter as a process: it follows the feed into the registry, and sends what batches ask for."""

import threading
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg import Connection

from adapters.postgres.consumer import Consumer
from adapters.quickbooks.registry.registration import handler
from adapters.quickbooks.sending.sender import run_sender
from adapters.quickbooks.settings import QuickBooksSettings
from application.feed.port import Feed

GROUP: Final = "exporter"
"""The exporter's consumer group; its place in the feed is kept under this name."""

_WATCH_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 1.5

_Half = Callable[[threading.Event, Callable[[], None]], None]


def run_exporter(
    exporter_url: str,
    feed: Feed,
    settings: QuickBooksSettings,
    stop: threading.Event,
    ready: Callable[[], None],
) -> None:
    """Follow the feed and send until `stop` is set; `ready` is called once both have their database.

    Raises what ends either half for good, such as a gap in the feed: then the other half ends too.
    """
    consumer = Consumer(feed, lambda: _connect(exporter_url), GROUP, handler(settings))
    halves: dict[str, _Half] = {
        "consumer": consumer.run,
        "sender": lambda ended, announce: run_sender(exporter_url, settings, ended, announce),
    }
    ended = threading.Event()
    failures: list[BaseException] = []
    awaited = set(halves)
    lock = threading.Lock()

    def announce(name: str) -> None:
        """Each half says once that it works, as `keep_at` has it."""
        with lock:
            awaited.remove(name)
            if not awaited:
                ready()

    def run(name: str) -> None:
        try:
            halves[name](ended, lambda: announce(name))
        except BaseException as error:  # noqa: BLE001  raised again by the thread that waits
            failures.append(error)
        finally:
            ended.set()

    threads = [threading.Thread(target=run, args=(name,), name=name, daemon=True) for name in halves]
    for thread in threads:
        thread.start()
    while not ended.is_set() and not stop.wait(_WATCH_SECONDS):
        pass
    ended.set()
    for thread in threads:
        # What still waits for QuickBooks is left behind: it can be killed at any moment anyway.
        thread.join(timeout=_STOP_SECONDS)
    if failures:
        raise failures[0]


def release(exporter_url: str, feed: Feed, settings: QuickBooksSettings, tenant: str) -> int:
    """Register what was put aside of a tenant, and let its later messages go on. Returns how many.

    Raises `PoisonError` if one of them still cannot be read; then nothing was changed.
    """
    return Consumer(feed, lambda: _connect(exporter_url), GROUP, handler(settings)).release(tenant)


def _connect(url: str) -> Connection[Any]:
    return psycopg.connect(url, application_name="bursar exporter")
