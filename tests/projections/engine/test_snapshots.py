"""Snapshots: equal to a fresh fold, taken in bounded steps, never mistaken for another format's."""

import hashlib
from typing import Any

import msgspec
import psycopg
import pytest

from domain.aggregates import AGGREGATES, apply, decode, initial
from domain.event import State
from domain.ids import wallet_stream
from domain.wallet import Wallet
from projections.engine import runner, snapshots
from tests.conftest import Database
from tests.projections.engine.test_runner import running
from tests.support.log import append_all
from tests.support.projected import a_day, catch_up, top_ups
from tests.support.school import School
from tests.support.waiting import eventually

HOT = wallet_stream("greenhill", "HOT")


def fresh(connection: psycopg.Connection[Any], stream: str, upto: int) -> tuple[State, int]:
    state, position = initial(stream), 0
    for topic, stored, position in connection.execute(  # noqa: B007  the last one counts
        "SELECT topic, state, notification_id FROM events WHERE originator_id = %s AND originator_version <= %s"
        " ORDER BY originator_version",
        (stream, upto),
    ):
        apply(state, decode(topic, stored))
    return state, position


def stored(database: Database) -> dict[str, tuple[int, int, int, bytes]]:
    with psycopg.connect(database.superuser_url) as connection:
        rows = connection.execute(
            "SELECT originator_id, originator_version, position, format, state FROM snapshots"
        ).fetchall()
    return {row[0]: row[1:] for row in rows}


def append_hot(database: Database, count: int, *, first_version: int = 1) -> int:
    with psycopg.connect(database.url("bursar_writer"), autocommit=True) as connection:
        return append_all(connection, top_ups("greenhill", "HOT", count, first_version=first_version))


def test_a_long_stream_is_due_when_it_passes_the_interval(database: Database) -> None:
    append_hot(database, snapshots.INTERVAL - 2)
    with psycopg.connect(database.url("bursar_projector"), autocommit=True) as connection:
        runner.prepare(connection)
        batch = runner.project(connection)
        assert batch is not None
        assert batch.long_streams == []
        append_hot(database, 2, first_version=snapshots.INTERVAL)
        batch = runner.project(connection)
        assert batch is not None
        assert batch.long_streams == [HOT]


def test_steps_end_at_what_a_fresh_fold_gives(database: Database) -> None:
    head = append_hot(database, 12_000)
    with psycopg.connect(database.url("bursar_projector"), autocommit=True) as connection:
        assert [snapshots.advance(connection, HOT) for _ in range(3)] == [False, False, True]
        version, position, format_, state = stored(database)[HOT]
        expected, last = fresh(connection, HOT, version)
        assert (version, position, format_) == (12_001, last, snapshots.SNAPSHOT_FORMAT)
        assert position == head
        assert snapshots.decode_state(HOT, state) == expected
        assert isinstance(expected, Wallet)
        assert expected.balance_minor == 1_200_000
        append_hot(database, 10, first_version=12_002)
        assert snapshots.advance(connection, HOT)
        version, _, _, state = stored(database)[HOT]
        assert version == 12_011
        assert snapshots.decode_state(HOT, state) == fresh(connection, HOT, version)[0]


def test_the_projector_takes_them(database: Database) -> None:
    with running(database):
        append_hot(database, 4_500)
        eventually(lambda: HOT in stored(database))
    version, _, _, state = stored(database)[HOT]
    with psycopg.connect(database.superuser_url) as connection:
        assert snapshots.decode_state(HOT, state) == fresh(connection, HOT, version)[0]


def test_a_snapshot_of_another_format_is_replaced(database: Database) -> None:
    append_hot(database, 5)
    with psycopg.connect(database.url("bursar_projector"), autocommit=True) as connection:
        connection.execute("INSERT INTO snapshots VALUES (%s, 1000, 1000, 0, 'what?')", (HOT,))
        assert snapshots.advance(connection, HOT)
    version, _, format_, state = stored(database)[HOT]
    assert (version, format_) == (6, snapshots.SNAPSHOT_FORMAT)
    assert isinstance(found := snapshots.decode_state(HOT, state), Wallet)
    assert found.balance_minor == 500


def test_an_older_fold_does_not_replace_a_newer_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_hot(database, 20)
    catch_up(database)
    with psycopg.connect(database.url("bursar_projector"), autocommit=True) as connection:
        assert snapshots.advance(connection, HOT)
        newer = stored(database)
        # As one that loaded before the newer was stored, and is only now done with its step.
        monkeypatch.setattr(snapshots, "_LOAD", "SELECT state FROM snapshots WHERE false AND %s = %s::text")
        monkeypatch.setattr(snapshots, "_STEP_EVENTS", 5)
        assert not snapshots.advance(connection, HOT)
    assert stored(database) == newer


def test_every_state_survives_the_codec() -> None:
    school = School()
    a_day(school)
    kinds = set[str]()
    for stream, state in school._states.items():
        assert snapshots.decode_state(stream, snapshots.encode_state(state)) == state
        kinds.add(type(state).__name__)
    assert kinds == {state.__name__ for state, _ in AGGREGATES.values()}


def test_a_sum_beyond_64_bits_survives_the_codec() -> None:
    state = Wallet(version=3, wallet_id="A", currency="KES", balance_minor=10**25)
    assert snapshots.decode_state("greenhill/wallet/A", snapshots.encode_state(state)) == state


def test_the_format_changes_with_the_shape_of_a_state() -> None:
    """Where this fails, raise `SNAPSHOT_FORMAT` and pin the new digest: old snapshots are then ignored."""
    _, schemas = msgspec.json.schema_components([state for state, _ in AGGREGATES.values()])
    described = msgspec.json.encode(schemas, order="sorted")
    pinned = (snapshots.SNAPSHOT_FORMAT, hashlib.sha256(described).hexdigest())
    assert pinned == (5, "6434853a63fe487be8913d8d0852343e458d2bfeffb4b4b26fcf3a3d509788e3")
