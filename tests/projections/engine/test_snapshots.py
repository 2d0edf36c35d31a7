"""Snapshots: equal to a fresh fold, taken in bounded steps, never mistaken for another format's."""

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
from tests.support.projected import a_day, catch_up, taken_back, top_ups
from tests.support.school import School
from tests.support.store import store_key
from tests.support.waiting import eventually

HOT = wallet_stream("greenhill", "HOT")
KEY = b"of the processes"
FORMAT = snapshots.FORMATS["wallet"]


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
        assert [snapshots.advance(connection, HOT, key=KEY) for _ in range(3)] == [False, False, True]
        version, position, format_, state = stored(database)[HOT]
        expected, last = fresh(connection, HOT, version)
        assert (version, position, format_) == (12_001, last, FORMAT)
        assert position == head
        assert snapshots.decode_state(HOT, state) == expected
        assert isinstance(expected, Wallet)
        assert expected.balance_minor == 1_200_000
        append_hot(database, 10, first_version=12_002)
        assert snapshots.advance(connection, HOT, key=KEY)
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
        assert snapshots.advance(connection, HOT, key=KEY)
    version, _, format_, state = stored(database)[HOT]
    assert (version, format_) == (6, FORMAT)
    assert isinstance(found := snapshots.decode_state(HOT, state), Wallet)
    assert found.balance_minor == 500


def test_an_older_fold_does_not_replace_a_newer_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_hot(database, 20)
    catch_up(database)
    with psycopg.connect(database.url("bursar_projector"), autocommit=True) as connection:
        assert snapshots.advance(connection, HOT, key=KEY)
        newer = stored(database)
        # As one that loaded before the newer was stored, and is only now done with its step.
        monkeypatch.setattr(
            snapshots, "_LOAD", "SELECT NULL FROM snapshots WHERE false AND originator_id = %s"
        )
        monkeypatch.setattr(snapshots, "_STEP_EVENTS", 5)
        assert not snapshots.advance(connection, HOT, key=KEY)
    assert stored(database) == newer


def test_every_state_survives_the_codec() -> None:
    school = School()
    a_day(school)
    taken_back(school)
    kinds = set[str]()
    for stream, state in school._states.items():
        assert snapshots.decode_state(stream, snapshots.encode_state(state)) == state
        kinds.add(type(state).__name__)
    assert kinds == {state.__name__ for state, _ in AGGREGATES.values()}


def test_a_sum_beyond_64_bits_survives_the_codec() -> None:
    state = Wallet(version=3, wallet_id="A", currency="KES", balance_minor=10**25)
    assert snapshots.decode_state("greenhill/wallet/A", snapshots.encode_state(state)) == state


def test_every_kind_has_a_format_of_its_own_which_changes_with_its_shape_alone() -> None:
    assert len(set(snapshots.FORMATS.values())) == len(AGGREGATES)

    class Wider(Wallet, kw_only=True):
        more: int = 0

    assert snapshots._format(Wider) != snapshots._format(Wallet) == snapshots.FORMATS["wallet"]


def test_what_counts_for_nothing_is_renewed_before_the_log_is_followed(database: Database) -> None:
    """A snapshot of an older version, one that somebody forged, and a row of no stream of ours."""
    append_hot(database, 9)
    other = wallet_stream("greenhill", "OTHER")
    with psycopg.connect(database.url("bursar_writer"), autocommit=True) as connection:
        append_all(connection, top_ups("greenhill", "OTHER", 3))
    key = store_key(database, KEY)
    genuine = snapshots.sealed(key, HOT, Wallet(version=10**6, balance_minor=10**9), position=10**6)
    with psycopg.connect(database.url("bursar_projector"), autocommit=True) as connection:
        for forged in (
            msgspec.structs.replace(genuine, seal=b"forged"),
            msgspec.structs.replace(snapshots.sealed(key, other, Wallet(version=1), position=1), format=1),
            msgspec.structs.replace(genuine, stream="nonsense"),
        ):
            connection.execute(
                "INSERT INTO snapshots VALUES (%s, %s, %s, %s, %s, %s)", msgspec.structs.astuple(forged)
            )
        assert snapshots.stale(connection, key=key) == [HOT, other]
    with running(database):
        eventually(lambda: stored(database)[HOT][0] == 10 and stored(database)[other][0] == 4)
    assert isinstance(found := snapshots.decode_state(HOT, stored(database)[HOT][3]), Wallet)
    assert found.balance_minor == 900


def test_those_of_a_time_line_that_was_given_up_are_renewed(database: Database) -> None:
    """As after a restore to an earlier time, by which the store has taken another epoch."""
    append_hot(database, 9)
    abandoned = Wallet(version=10**6, wallet_id="HOT", currency="KES", balance_minor=10**9)
    with psycopg.connect(database.superuser_url) as connection:
        genuine = snapshots.sealed(store_key(database, KEY), HOT, abandoned, position=10**6)
        connection.execute(
            "INSERT INTO snapshots VALUES (%s, %s, %s, %s, %s, %s)", msgspec.structs.astuple(genuine)
        )
        connection.execute("UPDATE store SET epoch = epoch + 1")
    with running(database):
        eventually(lambda: stored(database)[HOT][0] == 10)
    with psycopg.connect(database.url("bursar_projector")) as connection:
        assert snapshots.stale(connection, key=store_key(database, KEY)) == []
