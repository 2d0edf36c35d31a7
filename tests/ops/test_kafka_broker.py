"""The real broker: fetched, started, spoken to, ended; what it keeps between runs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from adapters.system.processes import end, start_time
from ops.kafka_broker import BrokerError, broker, default_cache, fetch
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parents[2]
CACHE = default_cache()


def create_topic(servers: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics({"feed": {"num_partitions": 1, "replication_factor": 1}})
    admin.close()


def produce(servers: str, value: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=servers)
    producer.send("feed", key=b"greenhill", value=value).get(timeout=60)
    producer.close()


def consume(servers: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        bootstrap_servers=servers, enable_auto_commit=False, isolation_level="read_committed", group_id=None
    )
    partition = TopicPartition("feed", 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    found: list[bytes] = []
    deadline = time.monotonic() + 60
    while len(found) < count:
        assert time.monotonic() < deadline
        for records in consumer.poll(timeout_ms=500).values():
            found += [record.value for record in records]
    consumer.close()
    return found


def test_what_is_produced_is_consumed_and_kept_for_the_next_run(tmp_path: Path) -> None:
    with broker(CACHE, tmp_path) as first:
        create_topic(first.bootstrap_servers)
        produce(first.bootstrap_servers, b"one")
        assert consume(first.bootstrap_servers, 1) == [b"one"]
    assert start_time(first.pid) is None
    with broker(CACHE, tmp_path) as second:
        produce(second.bootstrap_servers, b"two")
        assert consume(second.bootstrap_servers, 2) == [b"one", b"two"]
        os.kill(second.pid, signal.SIGKILL)  # and leaving the context is no error
    with broker(CACHE, tmp_path) as third:
        assert consume(third.bootstrap_servers, 2) == [b"one", b"two"]


def test_a_command_runs_beside_the_broker_and_is_asked_to_end_before_it(tmp_path: Path) -> None:
    saw = tmp_path / "saw"
    script = f"""
import os, pathlib, signal
from kafka import KafkaAdminClient
saw = pathlib.Path({str(saw)!r})
def stop(*_):
    client = KafkaAdminClient(bootstrap_servers=os.environ["BURSAR_KAFKA_BOOTSTRAP_SERVERS"])
    saw.write_text(f"{{len(client.describe_cluster()['brokers'])}} broker while stopping")
    raise SystemExit(7)
signal.signal(signal.SIGINT, stop)
saw.write_text("running")
while True:
    signal.pause()
"""
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.kafka_broker", "run", "--data", str(tmp_path / "kafka"), "--", sys.executable, "-c", script],
        cwd=REPOSITORY,
        env={**os.environ, "BURSAR_CACHE": str(CACHE.parent)},
    )  # fmt: skip
    try:
        eventually(
            lambda: process.poll() is not None or (saw.exists() and saw.read_text() == "running"), seconds=120
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 7
    finally:
        end(process, stop=signal.SIGTERM, seconds=30)
    assert saw.read_text() == "1 broker while stopping"


def test_a_second_broker_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with (
        broker(CACHE, tmp_path),
        pytest.raises(BrokerError, match="another broker runs"),
        broker(CACHE, tmp_path),
    ):
        pass


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()  # looks as if it had been formatted
    with pytest.raises(BrokerError, match="No readable meta"), broker(CACHE, tmp_path):
        pass


def test_two_that_fetch_at_once_share_the_result(tmp_path: Path) -> None:
    command = [sys.executable, "-c", f"from ops.kafka_broker import *; print(fetch(Path({str(tmp_path)!r})))"]
    both = [subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) for _ in range(2)]
    folders = {process.communicate(timeout=200)[0].decode().strip() for process in both}
    assert folders == {str(fetch(tmp_path))}
    assert [path.name for path in fetch(tmp_path).glob("kafka_2.13-*.jar")]


def test_without_maven_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match="mvn is not installed"):
        fetch(tmp_path)
