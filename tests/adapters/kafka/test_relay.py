"""The relay on a real broker: what it publishes, and what is left of that when things are killed."""

import gc
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, Self

import msgspec
import psycopg
import pytest
from kafka import KafkaConsumer, TopicPartition
from structlog.testing import capture_logs

from adapters.kafka.client import TopicMismatchError, ensure_topic
from adapters.kafka.feed import KafkaFeed
from adapters.kafka.relay import RelayEpochError, run_relay
from adapters.postgres.consumer import Consumer
from adapters.postgres.embedded.cluster import Cluster, prepare
from adapters.postgres.log_reader import store_identity
from adapters.postgres.migrations import migrate
from adapters.postgres.roles import set_role_passwords
from adapters.system.processes import end, free_port, spawn
from application.feed.message import Message
from application.feed.port import FeedLostError
from ops import kafka_broker
from ops.kafka_broker import Broker
from tests.conftest import Database
from tests.support.cluster import start_server
from tests.support.feed import make_effects, record_effects, start
from tests.support.log import append_all, top_up
from tests.support.read_only import read_only
from tests.support.waiting import eventually

TENANTS = [f"school-{number}" for number in range(8)]
_topics = count(1)


@pytest.fixture
def topic() -> str:
    return f"relay-{next(_topics)}"


@contextmanager
def relaying(url: str, servers: str, topic: str) -> Generator[threading.Event]:
    """Run a relay in a thread until the block ends."""
    with in_thread(lambda stop, ready: run_relay(url, servers, topic, stop, ready)) as stop:
        yield stop


@contextmanager
def in_thread(
    run: Callable[[threading.Event, Callable[[], None]], None],
) -> Generator[threading.Event]:
    stop, ready = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            run(stop, ready.set)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            raised.append(error)
            ready.set()

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        assert ready.wait(60)
        yield stop
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
    if raised:
        raise raised[0]


class Load:
    """Commits a few commands after the other, as long as it runs."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.position = 0
        self.commands = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        version = 0
        while not self._stop.wait(0.005):
            version += 1
            with psycopg.connect(self._url) as connection:
                self.position = append_all(connection, [top_up(tenant, "S", version) for tenant in TENANTS])
            self.commands += len(TENANTS)


def rows(url: str, query: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def published_to(database: Database, topic: str) -> int:
    found = rows(database.superuser_url, f"SELECT position FROM relay_positions WHERE topic = '{topic}'")
    return found[0][0] if found else 0


def effects_are_exactly_the_log(url: str) -> bool:
    """Every command once, each tenant's in order."""
    [(count_, distinct, commands)] = rows(
        url,
        "SELECT count(*), count(DISTINCT position), (SELECT count(*) FROM commands) FROM effects",
    )
    assert count_ == distinct
    assert not rows(
        url,
        "SELECT * FROM (SELECT tenant, position, lag(position) OVER (PARTITION BY tenant ORDER BY n) AS before"
        " FROM effects) AS ordered WHERE before > position",
    )
    return bool(distinct == commands)


def everything_in(servers: str, topic: str) -> list[Any]:
    """All records of a topic, repeats included."""
    consumer = KafkaConsumer(bootstrap_servers=servers, group_id=None, auto_offset_reset="earliest")
    places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(places)
    ends = consumer.end_offsets(places)
    consumer.seek_to_beginning()
    records: list[Any] = []
    while any(consumer.position(place) < ends[place] for place in places):
        for arrived in consumer.poll(timeout_ms=500).values():
            records += arrived
    consumer.close()
    return records


def test_a_record_is_the_public_message_with_its_cloud_event(
    database: Database, kafka: Broker, topic: str
) -> None:
    command = msgspec.structs.replace(
        top_up("greenhill", "STU-1", 1), correlation_id="till-7", trace_id="4bf92f3577b34da6a3ce929d0e0e4736"
    )
    with psycopg.connect(database.url("bursar_writer")) as connection:
        append_all(connection, [command, top_up("lakeside", "STU-1", 1)])
        store, epoch = store_identity(connection)
    with relaying(database.url("bursar_relay"), kafka.bootstrap_servers, topic):
        eventually(lambda: published_to(database, topic) == 6)
    records = everything_in(kafka.bootstrap_servers, topic)
    record = next(record for record in records if record.key == b"greenhill")
    message = msgspec.json.decode(record.value, type=Message)
    headers = dict(record.headers)
    assert datetime.fromisoformat(headers.pop("ce_time").decode()) == message.recorded_at
    assert headers == {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_id": command.id.encode(),
        "ce_source": f"/bursar/{store}/{epoch}".encode(),
        "ce_type": b"bursar.wallet.top_up.v1",
        "ce_subject": b"greenhill/wallet/STU-1",
        "ce_sequence": b"00000000000000000003",
        "ce_partitionkey": b"greenhill",
        "ce_tenant": b"greenhill",
        "ce_correlationid": b"till-7",
        "ce_traceparent": f"00-4bf92f3577b34da6a3ce929d0e0e4736-{command.id.replace('-', '')[16:]}-01".encode(),
    }
    assert (message.command_id, message.tenant_sequence, message.position) == (command.id, 1, 3)
    other = next(record for record in records if record.key == b"lakeside")
    assert "ce_traceparent" not in dict(other.headers)  # an empty attribute may not be sent


def test_relay_and_consumer_killed_again_and_again_give_each_effect_once(
    database: Database, kafka: Broker, topic: str
) -> None:
    make_effects(database.superuser_url)
    ensure_topic(kafka.bootstrap_servers, topic, partitions=6, replication=1)
    roles = {"relay": database.url("bursar_relay"), "consumer": database.url("bursar_exporter")}

    def begin(part: str) -> subprocess.Popen[bytes]:
        return start(part, roles[part], kafka.bootstrap_servers, topic)

    parts = {part: begin(part) for part in roles}
    try:
        with Load(database.url("bursar_writer")) as load:
            for kill in range(12):
                before = published_to(database, topic)
                eventually(lambda: published_to(database, topic) > before)  # noqa: B023 - called within the loop
                time.sleep(random.uniform(0, 0.3))  # where in its work it is hit is left to chance
                part = "consumer" if kill % 6 == 3 else "relay"
                parts[part].kill()
                parts[part].wait()
                parts[part] = begin(part)
        eventually(lambda: published_to(database, topic) == load.position)
        eventually(lambda: effects_are_exactly_the_log(database.superuser_url), seconds=120)
        assert len(everything_in(kafka.bootstrap_servers, topic)) >= load.commands
    finally:
        statuses = [end(process, stop=signal.SIGTERM, seconds=15) for process in parts.values()]
    assert statuses == [0, 0]


def test_one_relay_publishes_and_the_next_takes_over(database: Database, kafka: Broker, topic: str) -> None:
    url, servers = database.url("bursar_relay"), kafka.bootstrap_servers
    with Load(database.url("bursar_writer")) as load, relaying(url, servers, topic) as stop_first:
        eventually(lambda: published_to(database, topic) > 0)
        with relaying(url, servers, topic):
            assert rows(
                database.superuser_url,
                "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE locktype = 'advisory' AND granted AND usename = 'bursar_relay'",
            ) == [(1,)]
            stop_first.set()
            before = load.position
            eventually(lambda: published_to(database, topic) > before)
            load.stop()
            eventually(lambda: published_to(database, topic) == load.position)
    positions = [msgspec.json.decode(record.value)["position"] for record in everything_in(servers, topic)]
    assert set(positions) == {3 * (number + 1) for number in range(load.commands)}


def test_a_lost_connection_is_taken_up_again(database: Database, kafka: Broker, topic: str) -> None:
    with (
        relaying(database.url("bursar_relay"), kafka.bootstrap_servers, topic),
        Load(database.url("bursar_writer")) as load,
    ):
        for _ in range(5):
            before = published_to(database, topic)
            eventually(lambda: published_to(database, topic) > before)  # noqa: B023 - called within the loop
            rows(
                database.superuser_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'bursar_relay' AND datname = current_database()",
            )
        load.stop()
        eventually(lambda: published_to(database, topic) == load.position)


def test_it_waits_while_the_database_takes_no_writes(database: Database, kafka: Broker, topic: str) -> None:
    with (
        capture_logs() as lines,
        relaying(database.url("bursar_relay"), kafka.bootstrap_servers, topic),
        psycopg.connect(database.url("bursar_writer"), autocommit=True) as writer,
    ):
        with read_only(database, "bursar_relay"):
            head = append_all(writer, [top_up(TENANTS[0], "STU-1", 1)])
            eventually(lambda: any("ReadOnlySqlTransaction" in line.get("error", "") for line in lines))
        eventually(lambda: published_to(database, topic) == head)


@pytest.mark.parametrize("part", ["relay", "consumer"])
def test_attempts_without_a_broker_leave_nothing_running_and_end_when_told(
    database: Database, topic: str, part: str
) -> None:
    servers, url = f"127.0.0.1:{free_port()}", database.url("bursar_exporter")
    before = set(threading.enumerate())
    stop = threading.Event()
    consumer = Consumer(KafkaFeed(servers, topic), lambda: psycopg.connect(url), "effects", record_effects)
    thread = threading.Thread(
        target=(lambda: run_relay(database.url("bursar_relay"), servers, topic, stop, lambda: None))
        if part == "relay"
        else (lambda: consumer.run(stop, lambda: None))
    )
    with capture_logs() as logged:
        thread.start()
        try:
            eventually(lambda: len(logged) >= 3)
        finally:
            stop.set()
            thread.join(10)
    assert not thread.is_alive()
    name = "relay" if part == "relay" else "effects"
    assert {(entry["event"], entry["worker"], entry["log_level"]) for entry in logged} == {
        ("interrupted", name, "warning")
    }
    eventually(lambda: not set(threading.enumerate()) - before)
    gc.collect()  # a socket left open warns as it is collected, which fails the test


def test_another_number_of_partitions_is_refused(database: Database, kafka: Broker, topic: str) -> None:
    ensure_topic(kafka.bootstrap_servers, topic, partitions=2, replication=1)
    with pytest.raises(TopicMismatchError):
        run_relay(
            database.url("bursar_relay"), kafka.bootstrap_servers, topic, threading.Event(), lambda: None
        )


def test_a_topic_of_another_epoch_is_refused(database: Database, kafka: Broker, topic: str) -> None:
    url = database.url("bursar_relay")
    with relaying(url, kafka.bootstrap_servers, topic):
        eventually(lambda: bool(rows(database.superuser_url, "SELECT * FROM relay_positions")))
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE store SET epoch = epoch + 1")
    with pytest.raises(RelayEpochError):
        run_relay(url, kafka.bootstrap_servers, topic, threading.Event(), lambda: None)


def test_a_topic_that_lost_what_comes_next_stops_the_consumer(
    database: Database, kafka: Broker, topic: str
) -> None:
    make_effects(database.superuser_url)
    ensure_topic(kafka.bootstrap_servers, topic, partitions=1, replication=1)
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("INSERT INTO feed_inbox VALUES ('effects', %s, 0, 1000, 1000)", [topic])
    consumer = Consumer(
        KafkaFeed(kafka.bootstrap_servers, topic),
        lambda: psycopg.connect(database.url("bursar_exporter")),
        "effects",
        record_effects,
    )
    stop = threading.Event()
    guard = threading.Timer(60, stop.set)
    guard.start()
    with pytest.raises(FeedLostError):
        consumer.run(stop, lambda: None)
    guard.cancel()


@pytest.fixture
def broker_data(shared_folder: Path) -> Path:
    return shared_folder / f"broker-{next(_topics)}"


def start_broker(data: Path, port: int) -> subprocess.Popen[bytes]:
    """Start a broker that a test may kill, at the same port each time."""
    libraries = kafka_broker.fetch(kafka_broker.default_cache())
    data.mkdir(exist_ok=True)
    properties = kafka_broker._configured(libraries, data, port)
    log = data / "broker.log"
    with log.open("wb") as output:
        process = spawn(
            [*kafka_broker._java(libraries), "-Xmx256m", "kafka.Kafka", str(properties)],
            env={"PATH": "/usr/bin:/bin"},
            output=output,
        )
    running = Broker(bootstrap_servers=f"127.0.0.1:{port}", pid=process.pid)
    kafka_broker._wait_until_it_answers(running, process, log)
    return process


def test_a_killed_broker_is_waited_out(database: Database, broker_data: Path, topic: str) -> None:
    make_effects(database.superuser_url)
    servers = f"127.0.0.1:{(port := free_port())}"
    process = start_broker(broker_data, port)
    consumer = Consumer(
        KafkaFeed(servers, topic),
        lambda: psycopg.connect(database.url("bursar_exporter")),
        "effects",
        record_effects,
    )
    try:
        with (
            relaying(database.url("bursar_relay"), servers, topic),
            in_thread(consumer.run),
            Load(database.url("bursar_writer")) as load,
        ):
            eventually(lambda: published_to(database, topic) > 0)
            process.kill()
            process.wait()
            process = start_broker(broker_data, port)
            before = published_to(database, topic)
            eventually(lambda: published_to(database, topic) > before)
            load.stop()
            eventually(lambda: published_to(database, topic) == load.position)
            eventually(lambda: effects_are_exactly_the_log(database.superuser_url), seconds=120)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def own_cluster(shared_folder: Path) -> Iterator[Cluster]:
    """A cluster whose server a test may kill."""
    return prepare(shared_folder / f"cluster-{next(_topics)}")


def test_a_killed_database_is_waited_out(own_cluster: Cluster, kafka: Broker, topic: str) -> None:
    server = start_server(own_cluster, subprocess.DEVNULL)
    try:
        migrate(own_cluster.superuser_url)
        with psycopg.connect(own_cluster.superuser_url) as connection:
            set_role_passwords(connection, own_cluster.passwords)
        make_effects(own_cluster.superuser_url)
        consumer = Consumer(
            KafkaFeed(kafka.bootstrap_servers, topic),
            lambda: psycopg.connect(own_cluster.url_for("bursar_exporter")),
            "effects",
            record_effects,
        )
        with (
            relaying(own_cluster.url_for("bursar_relay"), kafka.bootstrap_servers, topic),
            in_thread(consumer.run),
        ):
            for round_ in range(3):
                with psycopg.connect(own_cluster.url_for("bursar_writer")) as connection:
                    for step in range(50):
                        version = 50 * round_ + step + 1
                        append_all(connection, [top_up(tenant, "S", version) for tenant in TENANTS])
                        connection.commit()
                server.kill()
                server.wait()
                server = start_server(own_cluster, subprocess.DEVNULL)
            eventually(lambda: effects_are_exactly_the_log(own_cluster.superuser_url), seconds=120)
            assert rows(own_cluster.superuser_url, "SELECT count(*) FROM commands") == [(1200,)]
    finally:
        end(server, stop=signal.SIGQUIT, seconds=10)
