"""What the Kafka client does not end by itself."""

import secrets
from typing import Any

import pytest

from adapters.kafka import feed
from adapters.kafka.client import ensure_topic
from application.feed.port import FeedUnavailableError
from ops.kafka_broker import Broker


def test_a_poll_that_hangs_gives_the_client_up(kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = f"stall-{secrets.token_hex(4)}"
    ensure_topic(kafka.bootstrap_servers, topic, partitions=1, replication=1)
    monkeypatch.setattr(feed, "MAX_STALL_SECONDS", 0.5)

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
