"""`verify` finds whatever was changed behind the guards, and names the command that holds it."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest

from adapters.postgres import verify as postgres_verify
from adapters.postgres.embedded.cluster import Cluster
from adapters.postgres.store import PostgresStore
from adapters.postgres.verify import Verification, verify
from application.audit import chain
from application.pipeline.atomic import together
from domain.aggregates import apply, decode, initial
from projections.engine import snapshots
from tests.conftest import Database
from tests.support.store import emptied
from tests.support.writer import charge, envelope, new_id, running_school, running_writer, top_up

STREAM = "greenhill/wallet/STU-1"
SNAPSHOT_KEY = b"of the processes"
Tamper = Callable[[psycopg.Connection[Any]], object]


@pytest.fixture
def database(cluster: Cluster) -> Database:
    return emptied(cluster)


@pytest.fixture
def log(database: Database) -> list[tuple[int, int, int]]:
    """A log with two tenants, a batch of several commands and a snapshot; (first, last, commit) of each command."""

    async def fill() -> None:
        async with running_school(PostgresStore(database.url("bursar_writer"))) as school:
            await school.writer.submit(
                envelope("tenant.register", tenant="riverside", country="CA", legal_name="R")
            )
            batch = [top_up(amount=number, key=f"key-{number:04}") for number in range(1, 6)]
            await asyncio.gather(*(school.writer.submit(one) for one in batch))
            await school.give(charge(amount=3))
            await school.give(top_up(amount=9, key="key-last"))

    asyncio.run(fill())
    with psycopg.connect(database.url("bursar_projector"), autocommit=True) as connection:
        assert snapshots.advance(connection, STREAM, key=SNAPSHOT_KEY)
    with psycopg.connect(database.superuser_url) as connection:
        return connection.execute(
            "SELECT first_position, position, commit FROM commands ORDER BY 1"
        ).fetchall()


def run(database: Database) -> Verification:
    return verify(database.url("bursar_auditor"), progress=lambda _position, _head: None)


def tampered(database: Database, *statements: str | Tamper) -> list[tuple[int, int]]:
    """The positions that are named once somebody with all rights, and the guards off, has done it."""
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            if isinstance(statement, str):
                assert connection.execute(statement).rowcount > 0, statement  # type: ignore[arg-type]  # built here
            else:
                statement(connection)
    found = run(database)
    return [(finding.first_position, finding.position) for finding in found.findings]


def test_no_snapshot_is_held_and_no_more_streams_are_kept_than_fit(
    database: Database, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds one for minutes keeps everybody's old rows; and streams are as many as wallets and sales."""
    monkeypatch.setattr(postgres_verify, "_PAGE_ROWS", 2)
    monkeypatch.setattr(postgres_verify, "MAX_KNOWN_STREAMS", 1)
    holders: list[int] = []

    def look(_position: int, _head: int) -> None:
        with psycopg.connect(database.superuser_url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'bursar_auditor' AND datname = current_database()"
                " AND (backend_xmin IS NOT NULL OR state <> 'idle')"
            ).fetchone()
        assert row
        holders.append(row[0])

    found = verify(database.url("bursar_auditor"), progress=look)
    assert (found.findings, found.events) == ([], log[-1][1])
    assert len(holders) > 3
    assert set(holders) == {0}
    change = "UPDATE events SET originator_version = originator_version + 100 WHERE notification_id = %s"
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(change, (log[-1][1],))
    assert any(finding.what.endswith("is missing") for finding in run(database).findings)


def test_a_genuine_log_verifies(database: Database, log: Any) -> None:
    seen: list[tuple[int, int]] = []
    found = verify(
        database.url("bursar_auditor"), progress=lambda position, head: seen.append((position, head))
    )
    assert found.findings == []
    assert (found.commands, found.events) == (len(log), log[-1][1])
    assert (found.commits, found.snapshots, found.position) == (log[-1][2], 1, log[-1][1])
    assert seen[-1] == (log[-1][1], log[-1][1])
    with psycopg.connect(database.superuser_url) as connection:
        assert connection.execute("SELECT encode(hash, 'hex') FROM head").fetchone() == (found.hash,)


def test_an_empty_log_verifies(database: Database) -> None:
    found = run(database)
    assert (found.findings, found.commands, found.position) == ([], 0, 0)


def covers(named: list[tuple[int, int]], first: int, last: int) -> bool:
    return any(begin <= first and last <= end for begin, end in named)


SET_EVENT = "UPDATE events SET {} WHERE notification_id = {}"
SET_COMMAND = "UPDATE commands SET {} WHERE position = {}"


@pytest.mark.parametrize(
    "change",
    [
        "state = replace(convert_from(state, 'UTF8'), '\"amount\":', '\"amount\":9')::bytea",
        "state = '{'::bytea",
        "state = ''::bytea",
        "originator_id = 'greenhill/wallet/STU-2'",
        "originator_version = originator_version + 100",
        "topic = 'bursar.wallet.charged.v1'",
        "topic = 'no such topic'",
    ],
)
@pytest.mark.parametrize("offset", [0, 3])
def test_an_event_that_was_edited(database: Database, log: Any, change: str, offset: int) -> None:
    first, last, _ = log[4]
    named = tampered(database, SET_EVENT.format(change, first + offset))
    assert named[0] == (first, last)
    assert (first, last) in named


@pytest.mark.parametrize(
    "change",
    [
        "tenant = 'riverside'",
        "tenant_sequence = tenant_sequence + 1",
        "client = 'OTHER'",
        "idempotency_key = 'another-key'",
        "idempotency_key = NULL",
        "request_hash = sha256(request_hash)",
        "command = 'wallet.charge'",
        "actor = 'somebody else'",
        "reason = 'no reason'",
        "correlation_id = 'x'",
        "response = response || ' '::bytea",
        "recorded_at = recorded_at + interval '1 microsecond'",
        "id = gen_random_uuid()",
        "leaf = sha256(leaf)",
    ],
)
def test_a_commands_column_that_was_edited(database: Database, log: Any, change: str) -> None:
    first, last, _ = log[4]
    assert (first, last) in tampered(database, SET_COMMAND.format(change, last))


def test_no_key_and_an_empty_key_are_not_the_same(database: Database, log: Any) -> None:
    first, last, _ = log[-2]
    assert tampered(database, SET_COMMAND.format("idempotency_key = ''", last)) == [(first, last)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE command_keys SET idempotency_key = 'key-other' WHERE ordinal = 2",
        "UPDATE command_keys SET ordinal = 3 - ordinal + 2",
        "UPDATE command_keys SET client = 'OTHER' WHERE ordinal = 1",
        "DELETE FROM command_keys",
        "DELETE FROM command_keys WHERE ordinal = 2",
        "UPDATE command_keys SET position = 1 WHERE ordinal = 2",
        "INSERT INTO command_keys SELECT position, 3, tenant, client, 'key-more' FROM command_keys WHERE ordinal = 1",
        "INSERT INTO command_keys SELECT 1, 1, tenant, client, 'key-more' FROM command_keys WHERE ordinal = 1",
    ],
)
def test_the_keys_of_an_atomic_bulk_that_were_edited(database: Database, log: Any, change: str) -> None:
    async def add() -> None:
        async with running_writer(PostgresStore(database.url("bursar_writer"))) as writer:
            await writer.submit(together((top_up(key="key-1001"), charge(key="key-1002")), new_id()))

    asyncio.run(add())
    assert run(database).findings == []
    assert tampered(database, change)


def test_a_command_that_claims_another_commit(database: Database, log: Any) -> None:
    first, last, commit = log[-1]
    assert covers(tampered(database, SET_COMMAND.format(f"commit = {commit - 1}", last)), first, last)


def test_bounds_that_were_edited(database: Database, log: Any) -> None:
    first, last, _ = log[4]
    named = tampered(database, SET_COMMAND.format("first_position = first_position + 1", last))
    assert {(first, first), (first + 1, last)} <= set(named)


def test_an_event_and_its_leaf_that_were_edited(database: Database, log: Any) -> None:
    """Who knows the format can make the leaf fit: then the commit does not, and its positions are named."""
    first, last, _commit = log[-2]

    def edit(connection: psycopg.Connection[Any]) -> None:
        connection.execute(SET_EVENT.format("state = state || ' '::bytea", last))
        connection.execute(
            "UPDATE commands SET leaf = %s WHERE position = %s", (_leaf(connection, last), last)
        )

    assert tampered(database, edit) == [(first, last)]


def test_an_event_its_leaf_and_its_commit_that_were_edited(database: Database, log: Any) -> None:
    """And who makes the commit fit breaks the next one, which names the hash before it."""
    _first, last, commit = log[-2]

    def edit(connection: psycopg.Connection[Any]) -> None:
        connection.execute(SET_EVENT.format("state = state || ' '::bytea", last))
        leaf = _leaf(connection, last)
        connection.execute("UPDATE commands SET leaf = %s WHERE position = %s", (leaf, last))
        row = connection.execute("SELECT previous_hash FROM commits WHERE number = %s", (commit,)).fetchone()
        assert row is not None
        fitting = chain.commit_hash(commit, row[0], [leaf])
        connection.execute("UPDATE commits SET hash = %s WHERE number = %s", (fitting, commit))

    assert tampered(database, edit) == [log[-1][:2]]


def _leaf(connection: psycopg.Connection[Any], position: int) -> bytes:
    store = connection.execute("SELECT id FROM store").fetchone()
    columns = chain.ChainedCommand.__struct_fields__
    row = connection.execute(
        f"SELECT {', '.join(columns)} FROM commands WHERE position = {position}"
    ).fetchone()  # type: ignore[arg-type]  # our own names
    assert store is not None
    assert row is not None
    command = chain.ChainedCommand(**dict(zip(columns, row, strict=True)))
    events = connection.execute(
        "SELECT notification_id, originator_id, originator_version, topic, state FROM events"
        " WHERE notification_id BETWEEN %s AND %s ORDER BY 1",
        (command.first_position, position),
    ).fetchall()
    return chain.leaf(store[0], command, [chain.ChainedEvent(*event) for event in events])


def test_two_events_that_were_swapped(database: Database, log: Any) -> None:
    (first, last, _), (other_first, other_last, _) = log[4], log[6]
    swap = """
        UPDATE events AS e SET state = o.state FROM events AS o
        WHERE (e.notification_id, o.notification_id) IN (({0}, {1}), ({1}, {0}))
    """
    named = tampered(database, swap.format(last, other_last))
    assert {(first, last), (other_first, other_last)} <= set(named)
    assert set(named[:2]) == {(first, last), (other_first, other_last)}


def test_two_events_of_one_command_that_were_swapped(database: Database, log: Any) -> None:
    first, last, _ = log[4]
    move = "UPDATE events SET notification_id = {} WHERE notification_id = {}"
    named = tampered(database, move.format(0, first), move.format(first, last), move.format(last, 0))
    assert set(named) == {(first, last)}


@pytest.mark.parametrize("what", ["event", "events", "command", "command and events"])
@pytest.mark.parametrize("index", [0, 4, -1])
def test_rows_that_were_deleted(database: Database, log: Any, what: str, index: int) -> None:
    first, last, _ = log[index]
    statements = []
    if "command" in what:
        statements.append(f"DELETE FROM commands WHERE position = {last}")
    if "events" in what:
        statements.append(f"DELETE FROM events WHERE notification_id BETWEEN {first} AND {last}")
    if what == "event":
        statements.append(f"DELETE FROM events WHERE notification_id = {first}")
    named = tampered(database, *statements)
    assert covers(named, first, last)


CUT = (
    "DELETE FROM commands WHERE position = {1}",
    "DELETE FROM events WHERE notification_id BETWEEN {0} AND {1}",
)
CUT_COMMIT = "DELETE FROM commits WHERE number = {2}"
SET_HEAD_BACK = """
    UPDATE head SET (position, commit, commands, hash) =
        (SELECT position, number, commands, hash FROM commits ORDER BY number DESC LIMIT 1),
        recorded_at = (SELECT recorded_at FROM commands ORDER BY position DESC LIMIT 1)
"""
SET_TENANT_BACK = "UPDATE tenant_heads SET sequence = sequence - 1 WHERE tenant = 'greenhill'"


@pytest.mark.parametrize(
    "statements",
    [CUT, (*CUT, CUT_COMMIT), (*CUT, CUT_COMMIT, SET_HEAD_BACK), (*CUT, CUT_COMMIT, SET_TENANT_BACK)],
    ids=["with its commit left", "with the head left", "with the head set back", "with the tenant set back"],
)
def test_the_newest_command_that_was_cut_off(
    database: Database, log: Any, statements: tuple[str, ...]
) -> None:
    first, last, commit = log[-1]
    named = tampered(database, *(statement.format(first, last, commit) for statement in statements))
    assert named
    assert {begin for begin, _ in named if begin != last} <= {first}, "the cut begins where its command did"


def test_an_end_that_was_cut_off_without_a_trace_still_has_another_hash(database: Database, log: Any) -> None:
    """The store cannot know what it has wholly forgotten: an auditor notes the head's hash elsewhere."""
    first, last, commit = log[-1]
    noted = run(database)
    statements = (*CUT, CUT_COMMIT, SET_HEAD_BACK, SET_TENANT_BACK, "DELETE FROM snapshots")
    assert tampered(database, *(statement.format(first, last, commit) for statement in statements)) == []
    assert run(database).hash != noted.hash
    assert run(database).position < noted.position


@pytest.mark.parametrize(
    "change",
    [
        "hash = sha256(hash)",
        "previous_hash = sha256(previous_hash)",
        "position = position + 1",
        "number = 1000",
    ],
)
def test_a_commit_that_was_edited(database: Database, log: Any, change: str) -> None:
    first, last, commit = log[-2]
    assert (first, last) in tampered(database, f"UPDATE commits SET {change} WHERE number = {commit}")


def test_a_head_whose_time_was_moved(database: Database, log: Any) -> None:
    """What is recorded never goes back, so a time set ahead would date and number all that follows."""
    assert tampered(database, "UPDATE head SET recorded_at = '2999-01-01Z'") != []


def test_a_commit_that_was_deleted(database: Database, log: Any) -> None:
    first, last, commit = log[-2]
    assert tampered(database, f"DELETE FROM commits WHERE number = {commit}") == [(first, last)]


@pytest.mark.parametrize("change", ["-1", "+1", "* 0"])
@pytest.mark.parametrize("index", [0, 4, -2])
def test_a_commits_count_that_was_edited(database: Database, log: Any, change: str, index: int) -> None:
    """It is named where it is, and nothing behind it is."""
    _first, _last, commit = log[index]
    of_commit = [one for one in log if one[2] == commit]
    named = tampered(database, f"UPDATE commits SET commands = commands {change} WHERE number = {commit}")
    assert named == [(of_commit[0][0], of_commit[-1][1])]


def test_counts_that_were_all_edited_from_one_on_begin_there(database: Database, log: Any) -> None:
    first, last, commit = log[-2]
    named = tampered(
        database,
        f"UPDATE commits SET commands = commands + 1 WHERE number >= {commit}",
        "UPDATE head SET commands = commands + 1",
    )
    assert named == [(first, last)]


def test_counts_name_a_deleted_command_once(database: Database, log: Any) -> None:
    """A command that is gone from the middle is no finding of each commit behind it."""
    first, last, commit = log[4]
    assert len({one[2] for one in log}) > commit, "there are commits behind it"
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM commands WHERE position = %s", (last,))
    counts = [finding for finding in run(database).findings if "counts" in finding.what]
    assert len(counts) == 1
    assert counts[0].first_position <= first
    assert last <= counts[0].position


@pytest.mark.parametrize(
    "change",
    [
        "hash = sha256(hash)",
        "position = position - 1",
        "commit = commit + 1",
        "commands = commands + 1",
        "commands = commands - 1",
    ],
)
def test_a_head_that_was_edited(database: Database, log: Any, change: str) -> None:
    after = log[-1][1] + 1
    assert tampered(database, f"UPDATE head SET {change}") == [(after, after)]


def test_another_stores_log_does_not_verify(database: Database, log: Any) -> None:
    named = tampered(database, "UPDATE store SET id = gen_random_uuid()")
    assert {command[:2] for command in log} <= set(named)


@pytest.mark.parametrize(
    "change",
    [
        "state = replace(convert_from(state, 'UTF8'), '\"balance_minor\":', '\"balance_minor\":1')::bytea",
        "state = '{'::bytea",
        "originator_version = originator_version - 1",
        "position = position - 1",
        "originator_id = 'greenhill/wallet/STU-2'",
        "originator_id = 'nonsense'",
    ],
)
def test_a_snapshot_that_was_edited(database: Database, log: Any, change: str) -> None:
    last = log[-1][1]
    held = last - 1 if change.startswith("position") else last
    assert tampered(database, f"UPDATE snapshots SET {change}") == [(held, held)]


def test_a_snapshot_of_another_format_is_as_good_as_none(database: Database, log: Any) -> None:
    assert tampered(database, "UPDATE snapshots SET format = format - 1") == []
    assert run(database).snapshots == 0


def test_what_a_snapshot_holds_is_the_fold(database: Database, log: Any) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        events = connection.execute(
            "SELECT topic, state FROM events WHERE originator_id = %s ORDER BY originator_version", (STREAM,)
        ).fetchall()
        (stored,) = connection.execute("SELECT state FROM snapshots").fetchone() or (b"",)
    state: Any = initial(STREAM)
    for topic, event in events:
        apply(state, decode(topic, event))
    assert snapshots.decode_state(STREAM, stored) == state
    assert msgspec.to_builtins(state)["balance_minor"] == 21
