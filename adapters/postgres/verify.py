"""`bursar verify`: recompute the whole chain from the stored bytes, and refold every snapshot."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, Final, LiteralString
from uuid import UUID

import msgspec
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from application.audit import chain
from domain.aggregates import apply, initial
from domain.event import State, decode
from domain.ledger_account import AccountCredited, AccountDebited
from projections.engine import snapshots

_PAGE: Final = 2_000
_COMMANDS: Final = """
    SELECT position, first_position, id, tenant, tenant_sequence, client, idempotency_key, request_hash, command,
        actor, reason, correlation_id, response, recorded_at, commit, leaf
    FROM commands ORDER BY position
"""
_EVENTS: Final = """
    SELECT notification_id, originator_id, originator_version, topic, state FROM events ORDER BY notification_id
"""
_COMMITS: Final = "SELECT number, position, previous_hash, hash FROM commits ORDER BY number"
_STREAM: Final = """
    SELECT topic, state, notification_id FROM events
    WHERE originator_id = %s AND originator_version <= %s ORDER BY originator_version
"""


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it was written; positions are those of the command that holds it."""

    first_position: int
    position: int
    what: str


class Verification(msgspec.Struct, kw_only=True):
    """What was read, and what was found wrong. `hash` is the head's, to compare with one noted before."""

    commands: int = 0
    events: int = 0
    commits: int = 0
    snapshots: int = 0
    position: int = 0
    hash: str = ""
    findings: list[Finding] = msgspec.field(default_factory=list)


class _LoggedCommand(msgspec.Struct, frozen=True):
    row: chain.ChainedCommand
    commit: int
    leaf: bytes


def verify(auditor_url: str, *, progress: Callable[[int, int], None]) -> Verification:
    """Verify the log as of one snapshot. `progress` hears the position reached and the head's."""
    with psycopg.connect(auditor_url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return _Verifier(connection, progress).run()


class _Rows:
    """Rows in the order of their first column, taken piece by piece."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def up_to(self, last: int) -> list[tuple[Any, ...]]:
        """The next rows whose first column is at most `last`."""
        found: list[tuple[Any, ...]] = []
        while self._next is not None and self._next[0] <= last:
            found.append(self._next)
            self._next = next(self._rows, None)
        return found

    def rest(self) -> Iterator[tuple[Any, ...]]:
        while self._next is not None:
            yield self._next
            self._next = next(self._rows, None)


class _Verifier:
    def __init__(self, connection: Connection[TupleRow], progress: Callable[[int, int], None]) -> None:
        self._connection = connection
        self._progress = progress
        self._found = Verification()
        self._versions: dict[str, int] = {}
        self._sequences: dict[str, int] = {}

    def run(self) -> Verification:
        found = self._found
        store: UUID = self._one("SELECT id FROM store")[0]
        head_position, head_commit, head_hash = self._one("SELECT position, commit, hash FROM head")
        commits = _Rows(self._rows("commits", _COMMITS))
        events = _Rows(self._rows("events", _EVENTS))
        number, previous, last = 0, chain.genesis(store), 0
        for number, commands in groupby(self._commands(), key=lambda command: command.commit):
            leaves: list[bytes] = []
            first = last + 1
            for command in commands:
                self._check_command(store, command, events, last)
                leaves.append(command.leaf)
                last = command.row.position
            found.commits += 1
            stored = commits.up_to(number)
            if stored != [(number, last, previous, chain.commit_hash(number, previous, leaves))]:
                self._report(first, last, f"commit {number} is not as it was written")
            # On with what is stored, so that one change is reported where it is and not all the way to the end.
            previous = stored[-1][3] if stored else chain.commit_hash(number, previous, leaves)
            self._progress(last, head_position)
        orphans = [row[0] for row in events.rest()]
        if orphans:
            self._report(orphans[0], orphans[-1], "events that no command owns")
        for row in commits.rest():
            self._report(last + 1, row[1], f"commit {row[0]} has no command")
        if (head_position, head_commit, head_hash) != (last, number, previous):
            self._report(
                last + 1,
                max(last + 1, head_position),
                "the head is not where the log ends: rows at its end are missing",
            )
        found.position, found.hash = last, previous.hex()
        self._check_tenant_heads()
        self._check_snapshots()
        return found

    def _check_command(self, store: UUID, command: _LoggedCommand, rows: "_Rows", last: int) -> None:
        row = command.row
        first, position = row.first_position, row.position
        if first > last + 1:
            self._report(last + 1, first - 1, "the command is missing")
            rows.up_to(first - 1)
        events = [chain.ChainedEvent(*event) for event in rows.up_to(position)]
        self._found.commands += 1
        self._found.events += len(events)
        if first <= last or [event.position for event in events] != list(range(first, position + 1)):
            self._report(first, position, "positions are missing or doubled")
        # No key and an empty one have the same record, and a key is never empty.
        if chain.leaf(store, row, events) != command.leaf or row.idempotency_key == "":
            self._report(first, position, "the command or one of its events is not as it was written")
        sequence = self._sequences.get(row.tenant, 0) + 1
        if row.tenant_sequence != sequence:
            self._report(first, position, f"sequence {sequence} of tenant {row.tenant} is missing")
        self._sequences[row.tenant] = row.tenant_sequence
        balance: dict[str, int] = {}
        for event in events:
            version = self._versions.get(event.stream, 0) + 1
            if event.version != version:
                self._report(first, position, f"version {version} of {event.stream} is missing")
            self._versions[event.stream] = event.version
            _add_to_balance(balance, event)
        if any(balance.values()):
            self._report(first, position, "debits do not equal credits")

    def _check_tenant_heads(self) -> None:
        """Commands cut off the log's end are missed here, even where the head was set back with them."""
        counted: dict[str, int] = dict(self._connection.execute("SELECT tenant, sequence FROM tenant_heads"))
        for tenant in sorted(counted.keys() | self._sequences.keys()):
            sequence, there = counted.get(tenant), self._sequences.get(tenant)
            if sequence != there:
                after = self._found.position + 1
                self._report(
                    after,
                    after,
                    f"tenant {tenant} has counted {sequence} commands, the log ends with {there}",
                )

    def _check_snapshots(self) -> None:
        rows = self._connection.execute(
            "SELECT originator_id, originator_version, position, state FROM snapshots WHERE format = %s",
            (snapshots.SNAPSHOT_FORMAT,),
        ).fetchall()
        for stream, version, position, stored in rows:
            try:
                genuine = self._refold(stream, version, position) == snapshots.decode_state(stream, stored)
            except (LookupError, AssertionError, msgspec.MsgspecError):
                genuine = False  # bytes that nothing folds or loads
            if not genuine:
                self._report(position, position, f"the snapshot of {stream} is not what its events fold to")
            self._found.snapshots += 1

    def _refold(self, stream: str, version: int, position: int) -> State | None:
        """The state of a stream at a version; None where that version has another position."""
        state, last = initial(stream), 0
        with self._connection.cursor("stream") as cursor:
            cursor.itersize = _PAGE
            for topic, event, last in cursor.execute(_STREAM, (stream, version)):  # noqa: B007  last is used below
                apply(stream, state, decode(topic, event))
        return state if (state.version, last) == (version, position) else None

    def _commands(self) -> Iterator[_LoggedCommand]:
        for row in self._rows("commands", _COMMANDS):
            chained = chain.ChainedCommand(
                position=row[0],
                first_position=row[1],
                id=row[2],
                tenant=row[3],
                tenant_sequence=row[4],
                client=row[5],
                idempotency_key=row[6],
                request_hash=row[7],
                command=row[8],
                actor=row[9],
                reason=row[10],
                correlation_id=row[11],
                response=row[12],
                recorded_at=row[13],
            )
            yield _LoggedCommand(chained, row[14], row[15])

    def _rows(self, name: str, query: LiteralString) -> Iterator[tuple[Any, ...]]:
        with self._connection.cursor(name) as cursor:
            cursor.itersize = _PAGE
            cursor.execute(query, binary=True)
            yield from cursor

    def _one(self, query: LiteralString) -> tuple[Any, ...]:
        row = self._connection.execute(query).fetchone()
        assert row is not None
        return row

    def _report(self, first: int, last: int, what: str) -> None:
        self._found.findings.append(Finding(first, last, what))


def _add_to_balance(balance: dict[str, int], event: chain.ChainedEvent) -> None:
    """Add a posting to the command's debits less credits, by currency."""
    if event.topic not in (AccountDebited.topic, AccountCredited.topic):
        return
    try:
        posted = decode(event.topic, event.state)
    except msgspec.DecodeError:
        return  # bytes that were changed; the leaf has told
    assert isinstance(posted, AccountDebited | AccountCredited)
    sign = 1 if isinstance(posted, AccountDebited) else -1
    balance[posted.currency] = balance.get(posted.currency, 0) + sign * posted.amount
