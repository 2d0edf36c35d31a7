"""Relay and consumer as processes of their own, so that a test can kill them: `python -m tests.support.feed`."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from adapters.system.processes import spawn
from application.feed.message import Message

REPOSITORY = Path(__file__).parents[2]


def make_effects(superuser_url: str) -> None:
    """The table of `record_effects`. Nothing in it is unique, so that what is applied twice shows."""
    with psycopg.connect(superuser_url) as connection:
        connection.execute("CREATE TABLE effects (n bigserial, tenant text, position bigint)")
        connection.execute("GRANT ALL ON effects, effects_n_seq TO bursar_exporter")


def record_effects(connection: psycopg.Connection[Any], messages: Sequence[Message]) -> None:
    """A handler that notes what it was given."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO effects (tenant, position) VALUES (%s, %s)",
            [(message.tenant, message.position) for message in messages],
        )


def start(part: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start `relay` (URL SERVERS TOPIC) or `consumer` (URL SERVERS TOPIC) as a process."""
    # A relay that cannot end by itself must not look like one that did, hence no output swallowed.
    return spawn(
        [sys.executable, "-m", "tests.support.feed", part, *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        cwd=REPOSITORY,
    )


def main(part: str, url: str, servers: str, topic: str) -> None:
    from adapters.kafka.feed import KafkaFeed
    from adapters.kafka.relay import run_relay
    from adapters.postgres.consumer import Consumer

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if part == "relay":
        run_relay(url, servers, topic, stop, lambda: None)
    else:
        feed = KafkaFeed(servers, topic)
        Consumer(feed, lambda: psycopg.connect(url), "effects", record_effects).run(stop, lambda: None)


if __name__ == "__main__":
    main(*sys.argv[1:])
