"""The composition root: builds each process from its settings. A process imports only what it is made of."""

import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

from psycopg.conninfo import make_conninfo

from adapters.postgres.feed import PostgresFeed
from adapters.quickbooks.settings import QuickBooksSettings
from application.feed.port import Feed
from ops.settings import Settings

if TYPE_CHECKING:
    from api.app import Application

DRAIN_SECONDS = 3
"""How long the API finishes requests when it is asked to stop; `up` kills after four."""


def application(settings: Settings) -> "Application":
    """The API of one process: its writer, its reader, and nothing else."""
    from adapters.postgres.store import PostgresStore
    from api.app import Application
    from api.paths import PUBLIC
    from api.request_log import RequestLog
    from api.services import Services
    from application.pipeline.writer import Writer
    from domain.receipt import ReceiptSigner

    receipts = ReceiptSigner(
        key_id=settings.receipt_key_id,
        key=bytes.fromhex(settings.need("receipt_key")),
        page_url=f"{settings.public_url.rstrip('/')}{PUBLIC.rstrip('/')}",
    )
    writer = Writer(
        PostgresStore(
            _noticing_loss(settings.need("writer_database_url")), snapshot_key=settings.sealing_key()
        ),
        receipts=receipts,
        max_tenant_commands=settings.queue_limit,
    )
    return Application(
        Services(
            writer=writer,
            reader_url=_noticing_loss(settings.need("reader_database_url")),
            receipts=receipts,
            version=version("bursar"),
        ),
        requests=RequestLog.at(settings.log_level or "info", sys.stderr.buffer),
    )


def _noticing_loss(url: str) -> str:
    """The same database, whose vanishing without a word is noticed within some ten seconds."""
    return make_conninfo(
        url, keepalives_idle=5, keepalives_interval=2, keepalives_count=3, tcp_user_timeout=10_000
    )


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Run one API process until SIGTERM or SIGINT, then drain it."""
    import uvicorn

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
        from adapters.kafka.feed import KafkaFeed

        return KafkaFeed(settings.kafka_bootstrap_servers, settings.kafka_topic)
    return PostgresFeed(settings.need("exporter_database_url"))


def quickbooks(settings: Settings) -> QuickBooksSettings:
    """Where this installation's QuickBooks is."""
    url, token = settings.need("quickbooks_url"), settings.need("quickbooks_access_token")
    if settings.quickbooks_emulator:
        return QuickBooksSettings.for_emulator(url=url, access_token=token)
    return QuickBooksSettings(url=url, access_token=token, realms=settings.quickbooks_realms)
