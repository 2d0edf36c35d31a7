"""The composition root: builds each process from its settings."""

import os
import signal
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import FrameType

import uvicorn
from psycopg.conninfo import make_conninfo

from adapters.kafka.feed import KafkaFeed
from adapters.postgres.feed import PostgresFeed
from adapters.postgres.store import PostgresStore
from adapters.quickbooks.settings import QuickBooksSettings
from api.app import Application
from api.services import Services
from application.feed.port import Feed
from application.pipeline.writer import Writer
from domain.receipt import ReceiptSigner
from ops.settings import Settings

DRAIN_SECONDS = 3
"""How long the API finishes requests when it is asked to stop; `up` kills after four."""


def application(settings: Settings) -> Application:
    """The API of one process: its writer, its reader, and nothing else."""
    receipts = ReceiptSigner(
        key_id=settings.receipt_key_id,
        key=bytes.fromhex(settings.need("receipt_key")),
        public_url=settings.public_url.rstrip("/"),
    )
    writer = Writer(
        PostgresStore(_noticing_loss(settings.need("writer_database_url"))),
        receipts=receipts,
        queue_limit=settings.queue_limit,
    )
    return Application(
        Services(
            writer=writer,
            reader_url=_noticing_loss(settings.need("reader_database_url")),
            receipts=receipts,
            version=version("bursar"),
        )
    )


def _noticing_loss(url: str) -> str:
    """The same database, whose vanishing without a word is noticed within some ten seconds."""
    return make_conninfo(
        url, keepalives_idle=5, keepalives_interval=2, keepalives_count=3, tcp_user_timeout=10_000
    )


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Run one API process until SIGTERM or SIGINT, then drain it."""
    uvicorn.run(
        application(settings),
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,  # it has no handlers of its own: what it says comes into our log
        log_level="warning",
        server_header=False,
        date_header=False,
        backlog=1024,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def feed(settings: Settings) -> Feed:
    """Kafka where a broker is configured, else the log itself."""
    if settings.kafka_bootstrap_servers:
        return KafkaFeed(settings.kafka_bootstrap_servers, settings.kafka_topic)
    return PostgresFeed(settings.need("exporter_database_url"))


def quickbooks(settings: Settings) -> QuickBooksSettings:
    """Where this installation's QuickBooks is."""
    url, token = settings.need("quickbooks_url"), settings.need("quickbooks_access_token")
    if settings.quickbooks_emulator:
        return QuickBooksSettings.for_emulator(url=url, access_token=token)
    return QuickBooksSettings(url=url, access_token=token, realms=settings.quickbooks_realms)


def run_worker(
    settings: Settings, work: Callable[[threading.Event, Callable[[], None]], None], *, niceness: int
) -> None:
    """Run a worker until SIGTERM or SIGINT; it makes the ready file once it works.

    On a full machine whoever waits for an answer comes first: a worker yields the processor to the API,
    the more the nicer it is, and catches up when there is room.
    """
    os.nice(niceness)
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)

    def ready() -> None:
        if settings.ready_file:
            Path(settings.ready_file).touch()

    work(stop, ready)
