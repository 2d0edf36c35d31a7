"""What every feed must hold, tried on the Postgres log and on Kafka."""

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Protocol

import msgspec
import psycopg
import pytest

from adapters.kafka.client import Publisher, ensure_topic
from adapters.kafka.feed import KafkaFeed
from adapters.kafka.records import encode
from adapters.postgres.consumer import Consumer, Handler
from adapters.postgres.feed import PostgresFeed
from adapters.postgres.log_reader import read_commands, store_identity
from application.feed.message import Message, build
from application.feed.port import Feed, FeedGapError, FeedMixedError, PoisonError
from tests.conftest import Database
from tests.support.feed import make_effects, record_effects
from tests.support.log import Logged, append_all, top_up
from tests.support.waiting import eventually

_topics = count(1)


class Source(Protocol):
    """A feed under test, and how a test puts messages into it."""

    feed: Feed

    def deliver(self, *, spoilt: Sequence[int] = ()) -> None:
        """Let consumers have what was committed; the content of the `spoilt` positions is destroyed."""

    def deliver_again(self) -> None:
        """Let consumers see all of it a second time."""


class PostgresSource:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.feed = PostgresFeed(database.url("bursar_exporter"))

    def deliver(self, *, spoilt: Sequence[int] = ()) -> None:
        for position in spoilt:
            tamper(
                self._database,
                "events",
                "UPDATE events SET state = '{' WHERE notification_id = "
                f"(SELECT first_position FROM commands WHERE position = {position})",
            )

    def deliver_again(self) -> None:
        with psycopg.connect(self._database.superuser_url) as connection:
            connection.execute("UPDATE feed_inbox SET next_offset = 0")


class KafkaSource:
    def __init__(self, database: Database, servers: str) -> None:
        self._database = database
        self._servers = servers
        self._topic = f"contract-{next(_topics)}"
        self._published = 0
        ensure_topic(servers, self._topic, partitions=3, replication=1)
        self.feed = KafkaFeed(servers, self._topic)

    def deliver(self, *, spoilt: Sequence[int] = ()) -> None:
        with psycopg.connect(self._database.url("bursar_relay")) as connection:
            store, epoch = store_identity(connection)
            commands = read_commands(connection, self._published, 10_000)
        messages = [build(logged, store=store, epoch=epoch) for logged in commands]
        records = [
            msgspec.structs.replace(encode(message), value=b"{")
            if message.position in spoilt
            else encode(message)
            for message in messages
        ]
        publisher = Publisher(self._servers, self._topic)
        publisher.confirm(publisher.send(records), threading.Event())
        publisher.abandon()
        self._published = commands[-1].position

    def deliver_again(self) -> None:
        self._published = 0
        self.deliver()


def tamper(database: Database, table: str, statement: str) -> None:
    """Do as the superuser what the log refuses to everybody."""
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        connection.execute(statement)
        connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER append_only")


@pytest.fixture(params=["postgres", "kafka"])
def source(request: pytest.FixtureRequest, database: Database) -> Source:
    make_effects(database.superuser_url)
    if request.param == "postgres":
        return PostgresSource(database)
    return KafkaSource(database, request.getfixturevalue("kafka").bootstrap_servers)


@pytest.fixture
def _no_thread_is_left(source: Source) -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    eventually(lambda: not set(threading.enumerate()) - before)


class Bench:
    """The database, its numbers so far, and consumers on it."""

    def __init__(self, database: Database, source: Source) -> None:
        self.database = database
        self.source = source
        self._versions: dict[str, int] = {}

    def commit(self, *tenants: str) -> list[int]:
        """Commit one top-up for each tenant named; return their positions."""
        with psycopg.connect(self.database.url("bursar_writer")) as connection:
            end = append_all(connection, [self._next(tenant) for tenant in tenants])
        return [end - 3 * behind for behind in reversed(range(len(tenants)))]

    def _next(self, tenant: str) -> Logged:
        self._versions[tenant] = self._versions.get(tenant, 0) + 1
        return top_up(tenant, "STU-1", self._versions[tenant])

    def consumer(self, handler: Handler | None = None) -> Consumer:
        return Consumer(self.source.feed, self.connect, "bench", handler or record_effects)

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.database.url("bursar_exporter"))

    def effects(self) -> list[tuple[str, int]]:
        return self.rows("SELECT tenant, position FROM effects ORDER BY n")

    def positions(self, tenant: str) -> list[int]:
        return [position for of, position in self.effects() if of == tenant]

    def rows(self, query: str) -> list[Any]:
        with psycopg.connect(self.database.superuser_url) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def bench(database: Database, source: Source, _no_thread_is_left: None) -> Bench:
    return Bench(database, source)


@contextmanager
def running(consumer: Consumer) -> Generator[threading.Event]:
    """Run a consumer in a thread until the block ends; what it raised is raised here."""
    stop, ready = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            consumer.run(stop, ready.set)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            raised.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(30)
        yield stop
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
    if raised:
        raise raised[0]


def ends_with(consumer: Consumer, error: type[BaseException]) -> None:
    """Run until it ends by itself, as only that error makes it."""
    stop = threading.Event()
    guard = threading.Timer(60, stop.set)
    guard.start()
    with pytest.raises(error):
        consumer.run(stop, lambda: None)
    guard.cancel()


def test_each_message_once_and_in_the_order_of_its_tenant(bench: Bench) -> None:
    before = bench.commit("greenhill", "lakeside", "greenhill", "hilltop")
    bench.source.deliver()
    with running(bench.consumer()):
        eventually(lambda: len(bench.effects()) == 4)
        after = bench.commit("lakeside", "greenhill")
        bench.source.deliver()
        eventually(lambda: len(bench.effects()) == 6)
    assert bench.positions("greenhill") == [before[0], before[2], after[1]]
    assert bench.positions("lakeside") == [before[1], after[0]]
    assert bench.positions("hilltop") == [before[3]]


def test_a_message_has_all_that_a_consumer_needs(bench: Bench) -> None:
    seen: list[Message] = []
    bench.commit("greenhill")
    bench.source.deliver()
    with running(bench.consumer(lambda _, messages: seen.extend(messages))):
        eventually(lambda: bool(seen))
    message = seen[0]
    assert (message.tenant, message.tenant_sequence, message.first_position, message.position) == (
        "greenhill",
        1,
        1,
        3,
    )
    assert message.transaction is not None
    assert [(posting.role, posting.side, posting.amount) for posting in message.transaction.postings] == [
        ("cash", "debit", 100),
        ("wallet_liability", "credit", 100),
    ]
    assert [event.event().topic for event in message.events] == [
        "bursar.account.debited.v1",
        "bursar.account.credited.v1",
        "bursar.wallet.topped_up.v1",
    ]


def test_a_restart_goes_on_where_the_inbox_says(bench: Bench) -> None:
    first = bench.commit("greenhill", "greenhill")
    bench.source.deliver()
    with running(bench.consumer()):
        eventually(lambda: len(bench.effects()) == 2)
    second = bench.commit("greenhill")
    bench.source.deliver()
    with running(bench.consumer()):
        eventually(lambda: len(bench.effects()) == 3)
    assert bench.positions("greenhill") == first + second


def test_what_is_delivered_again_is_dropped(bench: Bench) -> None:
    first = bench.commit("greenhill", "lakeside", "greenhill")
    bench.source.deliver()
    with running(bench.consumer()):
        eventually(lambda: len(bench.effects()) == 3)
    bench.source.deliver_again()
    second = bench.commit("greenhill", "lakeside")
    bench.source.deliver()
    with running(bench.consumer()):
        eventually(lambda: len(bench.effects()) == 5)
    assert sorted(position for _, position in bench.effects()) == first + second


def test_a_handler_that_fails_undoes_its_effects(bench: Bench) -> None:
    positions = bench.commit("greenhill", "greenhill")
    bench.source.deliver()

    def fail(connection: psycopg.Connection[Any], messages: Sequence[Message]) -> None:
        record_effects(connection, messages)
        raise ArithmeticError

    with running(bench.consumer(fail)):
        eventually(lambda: bench.rows("SELECT count(*) FROM feed_parked") == [(2,)])
    assert bench.effects() == []
    assert bench.consumer().release("greenhill") == 2
    assert bench.positions("greenhill") == positions


def test_a_lost_database_is_waited_out(bench: Bench) -> None:
    interruptions = iter([True, True, False, False, False])

    def interrupted(connection: psycopg.Connection[Any], messages: Sequence[Message]) -> None:
        record_effects(connection, messages)
        if next(interruptions):
            with psycopg.connect(bench.database.superuser_url) as killer:
                killer.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])

    positions = bench.commit("greenhill", "greenhill")
    bench.source.deliver()
    with running(bench.consumer(interrupted)):
        eventually(lambda: len(bench.effects()) == 2)
    assert bench.positions("greenhill") == positions


def test_two_members_of_a_group_apply_each_message_once(bench: Bench) -> None:
    tenants = [f"school-{number}" for number in range(12)]
    committed: list[int] = []
    with running(bench.consumer()) as stop_first, running(bench.consumer()):
        for step in range(10):
            committed += bench.commit(*tenants)
            bench.source.deliver()
            if step == 5:
                stop_first.set()
            eventually(lambda: len(bench.effects()) >= len(committed) - 60)  # noqa: B023 - called within the loop
        eventually(lambda: len(bench.effects()) >= len(committed))
    assert sorted(position for _, position in bench.effects()) == committed
    for tenant in tenants:
        assert bench.positions(tenant) == sorted(bench.positions(tenant))


def test_a_partition_that_another_member_moved_is_left_to_it(bench: Bench) -> None:
    bench.commit("greenhill")
    bench.source.deliver()
    with running(bench.consumer()):
        eventually(lambda: len(bench.effects()) == 1)
        with psycopg.connect(bench.database.superuser_url) as other:  # as if it had applied what comes next
            offsets = 1 if isinstance(bench.source, KafkaSource) else 3
            other.execute("UPDATE feed_inbox SET next_offset = next_offset + %s", [offsets])
            other.execute("UPDATE feed_tenants SET sequence = 2, position = 6")
        theirs = bench.commit("greenhill")
        bench.source.deliver()
        ours = bench.commit("greenhill")
        bench.source.deliver()
        eventually(lambda: len(bench.effects()) == 2)
    assert theirs[0] not in bench.positions("greenhill")
    assert bench.positions("greenhill")[-1:] == ours


def test_a_lost_message_stops_the_consumer(bench: Bench) -> None:
    bench.commit("greenhill", "lakeside")
    bench.source.deliver()
    with running(bench.consumer()):
        eventually(lambda: len(bench.effects()) == 2)
    [position] = bench.commit("greenhill")
    tamper(
        bench.database,
        "commands",
        f"UPDATE commands SET tenant_sequence = tenant_sequence + 1 WHERE position = {position}",
    )
    bench.source.deliver()
    for _ in range(2):  # starting it again does not help either
        ends_with(bench.consumer(), FeedGapError)
    assert len(bench.effects()) == 2


def test_another_epoch_is_refused(bench: Bench) -> None:
    bench.commit("greenhill")
    bench.source.deliver()
    with running(bench.consumer()):
        eventually(lambda: len(bench.effects()) == 1)
    with psycopg.connect(bench.database.superuser_url) as connection:
        connection.execute("UPDATE store SET epoch = epoch + 1")
    bench.commit("greenhill")
    bench.source.deliver()
    ends_with(bench.consumer(), FeedMixedError)
    assert len(bench.effects()) == 1


def test_what_cannot_be_read_is_put_aside_and_its_tenant_waits(bench: Bench) -> None:
    first, broken, behind, other = bench.commit("greenhill", "greenhill", "greenhill", "lakeside")
    bench.source.deliver(spoilt=[broken])
    with running(bench.consumer()):
        eventually(lambda: len(bench.effects()) == 2)
        later = bench.commit("greenhill", "lakeside")
        bench.source.deliver()
        eventually(lambda: len(bench.effects()) == 3)
    assert bench.positions("greenhill") == [first]
    assert bench.positions("lakeside") == [other, later[1]]
    parked = bench.rows("SELECT tenant, position, reason FROM feed_parked ORDER BY position")
    assert [row[:2] for row in parked] == [("greenhill", position) for position in (broken, behind, later[0])]
    assert "DecodeError" in parked[0][2]
    assert "waits" in parked[1][2]
    with pytest.raises(PoisonError):  # still unreadable, so nothing of it is let go
        bench.consumer().release("greenhill")
    assert bench.positions("greenhill") == [first]


def refusing(position: int) -> Handler:
    def handler(connection: psycopg.Connection[Any], messages: Sequence[Message]) -> None:
        record_effects(connection, messages)
        for message in messages:
            if message.position == position:
                raise PoisonError(position, "no account for it")

    return handler


def test_what_a_handler_cannot_apply_is_put_aside_and_released_in_order(bench: Bench) -> None:
    first, poison, behind, other = bench.commit("greenhill", "greenhill", "greenhill", "lakeside")
    bench.source.deliver()
    with running(bench.consumer(refusing(poison))):
        eventually(lambda: len(bench.effects()) == 2)
        assert bench.rows("SELECT position, reason FROM feed_parked ORDER BY position") == [
            (poison, "no account for it"),
            (behind, "waits behind a message that was put aside"),
        ]
        assert bench.consumer().release("greenhill") == 2
        [later] = bench.commit("greenhill")
        bench.source.deliver()
        eventually(lambda: len(bench.effects()) == 5)
    assert bench.positions("greenhill") == [first, poison, behind, later]
    assert bench.positions("lakeside") == [other]
    assert bench.consumer().release("greenhill") == 0


def test_a_message_that_breaks_the_handler_is_put_aside_and_other_tenants_go_on(bench: Bench) -> None:
    first, culprit, other, behind, another = bench.commit(
        "greenhill", "greenhill", "lakeside", "greenhill", "lakeside"
    )
    broken = threading.Event()
    broken.set()

    def handler(connection: psycopg.Connection[Any], messages: Sequence[Message]) -> None:
        record_effects(connection, messages)
        if broken.is_set() and culprit in [message.position for message in messages]:
            connection.execute("SELECT 1 / 0")

    bench.source.deliver()
    with running(bench.consumer(handler)):
        eventually(lambda: len(bench.effects()) == 3)
        [later] = bench.commit("lakeside")
        bench.source.deliver()
        eventually(lambda: len(bench.effects()) == 4)
    assert bench.positions("greenhill") == [first]
    assert bench.positions("lakeside") == [other, another, later]
    assert bench.rows("SELECT position, reason FROM feed_parked ORDER BY position") == [
        (culprit, "DivisionByZero: division by zero"),
        (behind, "waits behind a message that was put aside"),
    ]
    broken.clear()
    assert bench.consumer(handler).release("greenhill") == 2
    assert bench.positions("greenhill") == [first, culprit, behind]


def test_a_handler_that_names_a_message_it_was_not_given_does_not_end_the_consumer(bench: Bench) -> None:
    positions = bench.commit("greenhill", "lakeside")
    bench.source.deliver()

    def confused(_: psycopg.Connection[Any], __: Sequence[Message]) -> None:
        raise PoisonError(10_000, "no account for it")

    with running(bench.consumer(confused)):
        eventually(lambda: bench.rows("SELECT count(*) FROM feed_parked") == [(2,)])
    assert [row[0] for row in bench.rows("SELECT position FROM feed_parked ORDER BY 1")] == positions


def test_a_group_that_changes_its_feed_applies_nothing_twice(bench: Bench) -> None:
    first = bench.commit("greenhill", "lakeside")
    bench.source.deliver()
    with running(bench.consumer()):
        eventually(lambda: len(bench.effects()) == 2)
    second = bench.commit("greenhill")
    with running(
        Consumer(PostgresFeed(bench.database.url("bursar_exporter")), bench.connect, "bench", record_effects)
    ):
        eventually(lambda: len(bench.effects()) == 3)
    assert sorted(position for _, position in bench.effects()) == first + second
