"""Reading the log as whole commands, on a real database."""

from datetime import UTC
from typing import Any

import msgspec
import psycopg
import pytest

from adapters.postgres.log_reader import LogDamagedError, read_commands, store_identity
from domain.event import encode
from tests.conftest import Database
from tests.support.log import append_all, top_up


@pytest.fixture
def connection(database: Database) -> Any:
    with psycopg.connect(database.superuser_url) as connection:
        append_all(connection, [top_up("greenhill", "STU-1", version) for version in range(1, 6)])
        yield connection


def damage(connection: psycopg.Connection[Any], statement: str) -> None:
    for table in ("events", "commands"):
        connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    connection.execute(statement)


def test_a_command_comes_whole_with_its_events_as_stored(database: Database) -> None:
    written = msgspec.structs.replace(top_up("greenhill", "STU-1", 1), correlation_id="c", trace_id="t")
    with psycopg.connect(database.superuser_url) as connection:
        append_all(connection, [written])
        connection.execute("SET timezone = 'Africa/Nairobi'")
        [logged] = read_commands(connection, 0, 10)
    assert logged.command_id == written.id
    assert (logged.tenant, logged.tenant_sequence, logged.command) == ("greenhill", 1, "wallet.top_up")
    assert (logged.first_position, logged.position) == (1, 3)
    assert (logged.actor, logged.correlation_id, logged.trace_id) == ("tester", "c", "t")
    assert logged.recorded_at.tzinfo is UTC
    assert logged.events == [
        (stream, version, event.topic, encode(event)) for stream, version, event in written.events
    ]


def test_a_read_begins_behind_a_position_and_ends_at_the_limit(connection: psycopg.Connection[Any]) -> None:
    assert [logged.position for logged in read_commands(connection, 3, 2)] == [6, 9]
    assert read_commands(connection, 15, 2) == []


def test_a_read_ends_where_it_has_enough_bytes_and_cuts_no_command(
    connection: psycopg.Connection[Any],
) -> None:
    [first] = read_commands(connection, 0, 1)
    size = sum(len(state) for *_, state in first.events)
    for max_bytes, expected in ((1, 1), (size, 1), (2 * size, 2), (3 * size - 1, 2)):
        assert len(read_commands(connection, 0, 5, max_bytes=max_bytes)) == expected


@pytest.mark.parametrize("notification_id", [1, 5, 9])
def test_a_hole_is_not_read_over(connection: psycopg.Connection[Any], notification_id: int) -> None:
    damage(connection, f"DELETE FROM events WHERE notification_id = {notification_id}")
    with pytest.raises(LogDamagedError):
        read_to_the_end(connection)


def read_to_the_end(connection: psycopg.Connection[Any]) -> None:
    position = 0
    while commands := read_commands(connection, position, 3):
        position = commands[-1].position


def test_a_command_that_is_gone_is_not_read_over(connection: psycopg.Connection[Any]) -> None:
    damage(connection, "DELETE FROM commands WHERE position = 6")
    with pytest.raises(LogDamagedError):
        read_commands(connection, 0, 5)


def test_a_store_says_who_it_is(connection: psycopg.Connection[Any]) -> None:
    [(expected,)] = connection.execute("SELECT id::text FROM store").fetchall()
    assert store_identity(connection) == (expected, 1)
