"""The eventsourcing library, as it comes, reads our log."""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from eventsourcing.persistence import (
    EventStore,
    InfrastructureFactory,
    MapperDeserialisationError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresFactory
from eventsourcing.utils import Environment

from adapters.postgres.embedded.cluster import Cluster
from adapters.postgres.eventsourcing_mapper import EventMapper, RecordedEvent
from adapters.postgres.store import PostgresStore
from domain.event import encode
from domain.wallet import WalletCharged, WalletOpened, WalletToppedUp
from tests.conftest import Database
from tests.support.given import fold
from tests.support.store import emptied
from tests.support.writer import charge, running_school, top_up

STREAM = "greenhill/wallet/STU-1"


@pytest.fixture
def database(cluster: Cluster) -> Database:
    made = emptied(cluster)

    async def fill() -> None:
        async with running_school(PostgresStore(made.url("bursar_writer"))) as school:
            await school.give(top_up(amount=100))
            await school.give(charge(amount=30))

    asyncio.run(fill())
    return made


@pytest.fixture
def factory(database: Database) -> Iterator[Any]:
    """The library's own factory, with nothing but its settings, as the role that audits."""
    parts = urlsplit(database.url("bursar_auditor"))
    settings = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_HOST": str(parts.hostname),
        "POSTGRES_PORT": str(parts.port),
        "POSTGRES_DBNAME": parts.path.lstrip("/"),
        "POSTGRES_USER": str(parts.username),
        "POSTGRES_PASSWORD": unquote(str(parts.password)),
        "POSTGRES_ORIGINATOR_ID_TYPE": "text",
        "CREATE_TABLE": "n",
        "MAPPER_TOPIC": "adapters.postgres.eventsourcing_mapper:EventMapper",
    }
    made: Any = InfrastructureFactory.construct(Environment(env=settings))
    assert isinstance(made, PostgresFactory)
    yield made
    made.close()


@pytest.fixture
def recorder(factory: Any) -> PostgresApplicationRecorder:
    return PostgresApplicationRecorder(factory.datastore, events_table_name="events")


def test_the_stock_recorder_reads_a_stream(recorder: PostgresApplicationRecorder) -> None:
    found = recorder.select_events(STREAM)
    assert [event.originator_version for event in found] == [1, 2, 3]
    assert [event.topic for event in found] == [WalletOpened.topic, WalletToppedUp.topic, WalletCharged.topic]
    assert [event.originator_version for event in recorder.select_events(STREAM, gt=1, lte=2)] == [2]
    newest = recorder.select_events(STREAM, desc=True, limit=1)
    assert [event.originator_version for event in newest] == [3]


def test_the_stock_recorder_reads_the_log_as_notifications(
    recorder: PostgresApplicationRecorder, database: Database
) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        rows = connection.execute(
            "SELECT notification_id, originator_id, originator_version, topic, state FROM events ORDER BY 1"
        ).fetchall()
    found = []
    while page := recorder.select_notifications(start=len(found) + 1, limit=7):
        found += page
    assert [(n.id, n.originator_id, n.originator_version, n.topic, n.state) for n in found] == rows
    assert recorder.max_notification_id() == rows[-1][0] == len(rows)
    chosen = recorder.select_notifications(start=1, limit=100, topics=[WalletCharged.topic])
    assert [notification.originator_id for notification in chosen] == [STREAM]


def test_the_mapper_gives_our_events_and_they_fold(
    factory: Any, recorder: PostgresApplicationRecorder
) -> None:
    events: Any = EventStore(factory.mapper(), recorder)
    found: list[RecordedEvent] = list(events.get(STREAM))
    assert isinstance(factory.mapper(), EventMapper)
    assert [(one.originator_id, one.originator_version) for one in found] == [(STREAM, n) for n in (1, 2, 3)]
    state: Any = fold(STREAM, [one.event for one in found])
    assert (state.balance_minor, state.version) == (70, 3)


def test_what_is_mapped_there_and_back_is_the_same(
    factory: Any, recorder: PostgresApplicationRecorder
) -> None:
    mapper = factory.mapper()
    for stored in recorder.select_events(STREAM):
        recorded = mapper.to_domain_event(stored)
        assert mapper.to_stored_event(recorded) == stored
        assert encode(recorded.event) == stored.state


@pytest.mark.parametrize(
    ("topic", "state"), [("unknown", b"{}"), (WalletOpened.topic, b"{"), (WalletOpened.topic, b"{}")]
)
def test_what_is_no_event_of_ours_is_the_librarys_error(factory: Any, topic: str, state: bytes) -> None:
    stored = StoredEvent(originator_id=STREAM, originator_version=1, topic=topic, state=state)
    with pytest.raises(MapperDeserialisationError):
        factory.mapper().to_domain_event(stored)


def test_the_stock_recorder_cannot_write(recorder: PostgresApplicationRecorder) -> None:
    stored = StoredEvent(originator_id="x", originator_version=1, topic="t", state=b"{}")
    with pytest.raises(Exception, match=r"permission denied|does not exist"):
        recorder.insert_events([stored])
