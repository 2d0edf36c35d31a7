"""What the Kafka client does not end by itself."""

import secrets
import threading
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError

from adapters.kafka import client, feed
from adapters.kafka.client import Publisher, ensure_topic
from adapters.kafka.records import Record
from application.feed.port import FeedUnavailableError
from ops.kafka_broker import Broker


def test_a_poll_that_hangs_gives_the_client_up(kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = f"stall-{secrets.token_hex(4)}"
    ensure_topic(kafka.bootstrap_servers, topic, partitions=1, replication=1)
    monkeypatch.setattr(client, "MAX_STALL_SECONDS", 0.5)

    def poll_until_it_is_lost() -> None:
        with feed.KafkaFeed(kafka.bootstrap_servers, topic).subscribe("stalled", lambda _: 0) as subscription:
            lose_what_is_asked(subscription)
            while True:
                subscription.poll(0.1)

    with pytest.raises(FeedUnavailableError):
        poll_until_it_is_lost()


def lose_what_is_asked(subscription: Any) -> None:
    """Let the library's own thread never hear of what it is asked to do, as has been seen."""
    subscription._consumer._client._net.call_soon_threadsafe = lambda _task: None


def test_a_delivery_that_hangs_gives_the_client_up(kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = f"stall-{secrets.token_hex(4)}"
    ensure_topic(kafka.bootstrap_servers, topic, partitions=1, replication=1)
    record = Record(key=b"greenhill", value=b"{}", headers=[])
    before = set(threading.enumerate())
    publisher = Publisher(kafka.bootstrap_servers, topic)
    publisher.confirm(publisher.send([record]), threading.Event())
    monkeypatch.setattr(client, "MAX_STALL_SECONDS", 0.5)
    monkeypatch.setattr(client, "_MAX_DELIVERY_MS", 0)
    hold = threading.Event()
    monkeypatch.setattr(publisher._producer._sender, "run_once", hold.wait)
    sent = publisher.send([record])
    with pytest.raises(KafkaTimeoutError):
        publisher.confirm(sent, threading.Event())
    publisher.abandon()
    hold.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
