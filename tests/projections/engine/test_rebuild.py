"""The rebuild: it proves that nothing differs, or puts it right with no reader the wiser."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest

from domain.aggregates import TOPICS
from domain.wallet import WalletCharged
from projections.engine import rebuild as module
from projections.engine.fold import UnknownTopicError
from projections.engine.reading import SET_TENANT
from projections.engine.rebuild import RebuildRunningError, SwitchRefusedError, rebuild
from tests.conftest import Database
from tests.projections.engine.test_runner import (
    assert_equal_to_a_fresh_fold,
    folded_up_to,
    running,
)
from tests.support.log import append_all
from tests.support.projected import TABLES, a_day, catch_up, dump, put, taken_back, top_ups
from tests.support.school import School
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]

# All that makes a table what it is, beside its rows.
SHAPE = """
SELECT c.relname, c.relowner::regrole::text, c.relrowsecurity, c.relforcerowsecurity, c.relpersistence, c.relacl::text,
    c.reloptions,
    ARRAY(SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = c.oid ORDER BY 1),
    ARRAY(SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = c.oid ORDER BY 1),
    ARRAY(SELECT polname || polroles::regrole[]::text || pg_get_expr(polqual, polrelid) FROM pg_policy
          WHERE polrelid = c.oid ORDER BY 1),
    ARRAY(SELECT attname || format_type(atttypid, atttypmod) || attnotnull || attcollation FROM pg_attribute
          WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum)
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%s) ORDER BY c.relname
"""


def shapes(database: Database) -> list[Any]:
    with psycopg.connect(database.superuser_url) as connection:
        return connection.execute(SHAPE, (TABLES,)).fetchall()


def shadows(database: Database) -> list[Any]:
    with psycopg.connect(database.superuser_url) as connection:
        return connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'bursar_shadow'::regnamespace"
        ).fetchall()


def damage(database: Database, statement: str) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute(statement)  # type: ignore[arg-type]  # the tests' own


@pytest.fixture
def filled(database: Database) -> Database:
    for tenant, country, keys in (("greenhill", "KE", "a"), ("maple", "CA", "b")):
        school = School(tenant, country)
        a_day(school, keys=keys)
        taken_back(school)
        put(database, school)
    catch_up(database)
    return database


def test_a_rebuild_of_what_is_right_changes_no_row(filled: Database) -> None:
    before = dump(filled)
    told: list[tuple[int, int]] = []
    result = rebuild(filled.url("bursar_projector"), lambda done, total: told.append((done, total)))
    head = folded_up_to(filled)
    assert result.equal
    assert not result.switched
    assert (result.events, result.position) == (head, head)
    assert told[-1] == (head, head)
    assert {name: table.rows_rebuilt for name, table in result.tables.items()} == {
        name: len(rows) for name, rows in before.items()
    }
    assert all(table.digest_live == table.digest_rebuilt != "0" for table in result.tables.values())
    assert dump(filled) == before
    assert shadows(filled) == []


@pytest.mark.parametrize(
    ("statement", "table", "differing"),
    [
        ("UPDATE wallet_balances SET balance = balance + 1 WHERE account = 'STU-1'", "wallet_balances", 4),
        ("DELETE FROM ledger_entries WHERE position = (SELECT min(position) FROM ledger_entries)", "ledger_entries", 1),
        ("INSERT INTO export_requests VALUES ('maple', gen_random_uuid(), 'quickbooks', now(), 3)", "export_requests", 1),
        ("UPDATE finance_invoice_items SET description = lower(description) WHERE line = 1", "finance_invoice_items", 16),
        ("UPDATE finance_payments SET account = 'X' WHERE account IS NULL", "finance_payments", 20),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_put_right(
    filled: Database, statement: str, table: str, differing: int
) -> None:
    right, shape = dump(filled), shapes(filled)
    damage(filled, statement)
    result = rebuild(filled.url("bursar_projector"), lambda _done, _total: None)
    assert {name: found.differing for name, found in result.tables.items() if not found.equal} == {
        table: differing
    }
    assert result.switched
    assert not result.equal
    assert dump(filled) == right
    assert shapes(filled) == shape
    assert shadows(filled) == []
    assert rebuild(filled.url("bursar_projector"), lambda _done, _total: None).equal
    assert_equal_to_a_fresh_fold(filled)


def test_tables_that_are_far_behind_are_replaced(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    right, head = dump(filled), folded_up_to(filled)
    damage(filled, "UPDATE projection_positions SET position = 0")
    for table in TABLES:
        damage(filled, f"DELETE FROM {table}")
    monkeypatch.setattr(module, "_TAIL_EVENTS", 10)
    monkeypatch.setattr(module, "_CHUNK_EVENTS", 7)
    result = rebuild(filled.url("bursar_projector"), lambda _done, _total: None)
    assert result.switched
    assert result.position == folded_up_to(filled) == head
    assert dump(filled) == right


def test_what_a_killed_rebuild_left_is_swept_up(filled: Database) -> None:
    damage(filled, "CREATE TABLE bursar_shadow.wallet_balances (x int)")
    damage(filled, "ALTER TABLE bursar_shadow.wallet_balances OWNER TO bursar_projector")
    assert rebuild(filled.url("bursar_projector"), lambda _done, _total: None).equal
    assert shadows(filled) == []


def test_a_rebuild_leaves_alone_what_it_could_not_make(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an event that this version does not know, tables made without it would be wrong."""
    damage(filled, "UPDATE wallet_balances SET balance = balance + 1 WHERE account = 'STU-1'")
    before = dump(filled)
    monkeypatch.delitem(TOPICS, WalletCharged.topic)
    with pytest.raises(UnknownTopicError, match=rf"{WalletCharged.topic}, at position \d+"):
        rebuild(filled.url("bursar_projector"), lambda _done, _total: None)
    assert dump(filled) == before
    assert shadows(filled) == []


def test_the_first_event_that_is_not_known_is_named_before_anything_is_folded(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK_EVENTS", 7)
    monkeypatch.delitem(TOPICS, WalletCharged.topic)
    with psycopg.connect(filled.superuser_url) as connection:
        [(first,)] = connection.execute(
            "SELECT min(notification_id) FROM events WHERE topic = %s", (WalletCharged.topic,)
        ).fetchall()
    told: list[tuple[int, int]] = []
    with pytest.raises(UnknownTopicError, match=rf"at position {first};"):
        rebuild(filled.url("bursar_projector"), lambda done, total: told.append((done, total)))
    assert told == []


def test_an_event_that_cannot_be_folded_stops_both_connections(filled: Database) -> None:
    before = dump(filled)
    damage(
        filled,
        "SET session_replication_role = replica;"
        f" UPDATE events SET state = '{{}}' WHERE topic = '{WalletCharged.topic}'",
    )
    with pytest.raises(psycopg.DataError):
        rebuild(filled.url("bursar_projector"), lambda _done, _total: None)
    assert dump(filled) == before


def test_no_command_is_cut(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: set[int] = set()
    genuine = module.fold_range

    def watched(*arguments: Any, after: int, upto: int, topics: frozenset[str]) -> None:
        ends.update((after, upto))
        genuine(*arguments, after=after, upto=upto, topics=topics)

    monkeypatch.setattr(module, "fold_range", watched)
    monkeypatch.setattr(module, "_CHUNK_EVENTS", 3)
    monkeypatch.setattr(module, "_TAIL_EVENTS", 0)
    assert rebuild(filled.url("bursar_projector"), lambda _done, _total: None).equal
    with psycopg.connect(filled.superuser_url) as connection:
        commands = {position for (position,) in connection.execute("SELECT position FROM commands")}
    assert len(ends) > 20
    assert ends <= commands | {0}


class Ages:
    """Watches how long the rebuild's transactions have been open, as long as it is at work."""

    _OLDEST = (
        "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'bursar rebuild'"
        " AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)"
    )

    def __init__(self, database: Database) -> None:
        self.seconds: list[float] = []
        self._url = database.superuser_url
        self._stop = Event()

    def _look(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._stop.is_set():
                [(oldest,)] = connection.execute(self._OLDEST, prepare=True).fetchall()
                self.seconds.append(oldest)

    @contextmanager
    def running(self) -> Generator[None]:
        thread = Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


def test_no_transaction_is_open_for_long(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was a row's is kept for the oldest transaction: for the head's, that would be a version a commit."""
    monkeypatch.setattr(module, "_CHUNK_EVENTS", 100)
    monkeypatch.setattr(module, "_TAIL_EVENTS", 100)
    with psycopg.connect(filled.url("bursar_writer"), autocommit=True) as connection:
        append_all(connection, [command for n in range(4_000) for command in top_ups("maple", f"W-{n}", 4)])
    catch_up(filled)
    ages = Ages(filled)
    with ages.running():
        began = time.monotonic()
        assert rebuild(filled.url("bursar_projector"), lambda _done, _total: None).equal
        ran = time.monotonic() - began
    assert len(ages.seconds) > 100
    assert max(ages.seconds) < ran / 4


def test_autovacuum_comes_only_after_the_switch(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """At work on a finished table, it would hold the switch up for a second, and all readers with it."""
    left_alone: list[bool] = []
    genuine = module.shadow.switch

    def switch(connection: psycopg.Connection[Any]) -> None:
        with psycopg.connect(filled.superuser_url) as other:
            rows = other.execute(
                "SELECT coalesce('autovacuum_enabled=false' = ANY (reloptions), false) FROM pg_class"
                " WHERE relnamespace = 'bursar_shadow'::regnamespace AND relkind = 'r'"
            )
            left_alone.extend(alone for (alone,) in rows)
        genuine(connection)

    monkeypatch.setattr(module.shadow, "switch", switch)
    shape = shapes(filled)
    damage(filled, "DELETE FROM wallet_days")
    assert rebuild(filled.url("bursar_projector"), lambda _done, _total: None).switched
    assert left_alone == [True] * len(TABLES)
    assert shapes(filled) == shape


def test_killed_at_any_point_it_changes_nothing(filled: Database) -> None:
    damage(filled, "UPDATE wallet_accounts SET payer = 'WRONG' WHERE account = 'STU-1'")
    before, shape = dump(filled), shapes(filled)
    program = (
        "import sys\nfrom projections.engine import rebuild\n"
        "rebuild._CHUNK_EVENTS = rebuild._TAIL_EVENTS = 10\n"
        "rebuild.rebuild(sys.argv[1], lambda done, total: print('.', flush=True))\n"
    )
    generator = random.Random(5)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", program, filled.url("bursar_projector")], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(generator.randrange(1, 40)):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert dump(filled) == before
        assert shapes(filled) == shape
    assert shadows(filled)

    def is_alone() -> bool:
        with psycopg.connect(filled.superuser_url) as connection:
            return not connection.execute(
                "SELECT FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'bursar rebuild'"
            ).fetchall()

    eventually(is_alone)  # its last statements may outlive it
    assert rebuild(filled.url("bursar_projector"), lambda _done, _total: None).switched
    assert shadows(filled) == []


def test_one_rebuild_at_a_time(filled: Database) -> None:
    refused: list[bool] = []

    def second(_done: int, _total: int) -> None:
        if not refused:
            refused.append(False)
            with pytest.raises(RebuildRunningError):
                rebuild(filled.url("bursar_projector"), lambda _done, _total: None)
            refused.append(True)

    assert rebuild(filled.url("bursar_projector"), second).equal
    assert refused == [False, True]


def test_a_reader_who_never_ends_keeps_the_old_tables(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SWITCH_ATTEMPTS", 1)
    damage(filled, "UPDATE wallet_balances SET balance = balance + 1")
    wrong = dump(filled)
    with psycopg.connect(filled.url("bursar_reader")) as reader:
        reader.execute("SELECT * FROM wallet_balances")
        with pytest.raises(SwitchRefusedError):
            rebuild(filled.url("bursar_projector"), lambda _done, _total: None)
    assert dump(filled) == wrong
    assert rebuild(filled.url("bursar_projector"), lambda _done, _total: None).switched


class Watch:
    """A reader that looks all the time; every look must see a whole set of tables."""

    def __init__(self, database: Database) -> None:
        self.looks = 0
        self.wrong: list[object] = []
        self._url = database.url("bursar_reader")
        self._stop = Event()

    def _look(self) -> None:
        query = (
            "SELECT (SELECT sum(amount) FROM wallet_transactions) = (SELECT sum(balance) FROM wallet_balances),"
            " (SELECT count(*) FROM wallet_accounts) = (SELECT count(*) FROM wallet_balances),"
            " (SELECT sum(debit - credit) FROM ledger_entries) = 0, (SELECT count(*) > 0 FROM wallet_balances)"
        )
        try:
            with psycopg.connect(self._url, autocommit=True) as connection:
                while not self._stop.is_set():
                    with connection.transaction():
                        connection.execute(SET_TENANT, ("greenhill",))
                        row = connection.execute(query, prepare=True).fetchone()
                    self.looks += 1
                    if row != (True, True, True, True):
                        self.wrong.append(row)
        except psycopg.Error as error:
            self.wrong.append(error)

    @contextmanager
    def running(self) -> Generator[None]:
        thread = Thread(target=self._look)
        thread.start()
        try:
            eventually(lambda: self.looks > 10 or bool(self.wrong))
            yield
            seen = self.looks
            eventually(lambda: self.looks > seen + 10 or bool(self.wrong))
        finally:
            self._stop.set()
            thread.join()


class Writer:
    """Appends top-ups of one wallet for as long as it runs."""

    def __init__(self, database: Database) -> None:
        self.head = 0
        self._version = 1
        self._url = database.url("bursar_writer")

    def _write(self, stop: Event) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not stop.is_set():
                self.head = append_all(connection, top_ups("maple", "HOT", 4, first_version=self._version))
                self._version += 5 if self._version == 1 else 4

    @contextmanager
    def running(self) -> Generator[None]:
        stop, before = Event(), self.head
        thread = Thread(target=self._write, args=(stop,))
        thread.start()
        try:
            eventually(lambda: self.head > before)
            yield
        finally:
            stop.set()
            thread.join()


def test_a_switch_under_readers_a_projector_and_a_writer(filled: Database) -> None:
    shape = shapes(filled)
    watch, writer = Watch(filled), Writer(filled)
    with running(filled), watch.running():
        for round_ in range(3):
            # Wrong, but not so that the watch would see it.
            damage(filled, "UPDATE wallet_accounts SET payer = 'WRONG' WHERE account = 'STU-1'")
            with writer.running():
                result = rebuild(filled.url("bursar_projector"), lambda _done, _total: None)
            assert result.switched, round_
            assert [name for name, table in result.tables.items() if not table.equal] == ["wallet_accounts"]
            eventually(lambda: folded_up_to(filled) == writer.head)
    assert watch.wrong == []
    assert shapes(filled) == shape
    assert_equal_to_a_fresh_fold(filled)


def test_it_compares_with_tables_that_move(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each table is compared where it is by then, though the projector goes on all the time."""
    monkeypatch.setattr(module, "_CHUNK_EVENTS", 400)
    monkeypatch.setattr(module, "_TAIL_EVENTS", 200)
    writer = Writer(filled)
    with running(filled), writer.running():
        for _ in range(5):
            result = rebuild(filled.url("bursar_projector"), lambda _done, _total: None)
            assert result.equal, result.tables
