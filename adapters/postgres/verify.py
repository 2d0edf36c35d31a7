"""`bursar verify`: recompute the whole chain from the stored bytes, and refold every snapshot."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final, Generic, LiteralString, TypeVar
from uuid import UUID

import msgspec
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow, class_row
from psycopg.types.numeric import Int8

from application.audit import chain
from domain.aggregates import apply, decode, initial, kind_of
from domain.event import State
from domain.ledger_account import AccountCredited, AccountDebited
from projections.engine import snapshots

_PAGE_ROWS: Final = 2_000
MAX_KNOWN_STREAMS: Final = 200_000
"""Of so many streams the last version is kept in memory; of others it is looked up."""
_COMMANDS: Final = """
    SELECT position, first_position, id, tenant, tenant_sequence, client, idempotency_key, request_hash, command,
        actor, reason, correlation_id, response, recorded_at, commit, leaf
    FROM commands WHERE position > %(after)s AND position <= %(upto)s ORDER BY position LIMIT %(limit)s
"""
_EVENTS: Final = """
    SELECT notification_id AS position, originator_id AS stream, originator_version AS version, topic, state
    FROM events WHERE notification_id > %(after)s AND notification_id <= %(upto)s
    ORDER BY notification_id LIMIT %(limit)s
"""
_KEYS: Final = """
    SELECT tenant, client, idempotency_key FROM command_keys WHERE position = %(position)s ORDER BY ordinal
"""
_KEY_COUNT: Final = "SELECT count(*) FROM command_keys WHERE position <= %(upto)s"
_COMMITS: Final = """
    SELECT number, position, commands, previous_hash, hash FROM commits
    WHERE number > %(after)s AND number <= %(upto)s ORDER BY number LIMIT %(limit)s
"""
_BEFORE: Final = """
    SELECT max(originator_version) FROM events
    WHERE originator_id = %(stream)s AND originator_version < %(version)s AND notification_id < %(position)s
"""
_ENDS: Final = """
    SELECT coalesce((SELECT max(number) FROM commits), 0), coalesce((SELECT max(notification_id) FROM events), 0),
        coalesce((SELECT max(position) FROM commands), 0)
"""
_HEAD: Final = "SELECT position, commit, commands, hash, recorded_at FROM head"
_SNAPSHOTS: Final = """
    SELECT originator_id AS stream, originator_version AS version, position, format, state FROM snapshots
"""
_STREAM: Final = """
    SELECT originator_version, topic, state, notification_id FROM events
    WHERE originator_id = %(stream)s AND originator_version > %(after)s AND originator_version <= %(version)s
    ORDER BY originator_version LIMIT %(limit)s
"""

_T = TypeVar("_T")


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


class _Command(chain.ChainedCommand, frozen=True, kw_only=True):
    commit: int
    leaf: bytes


class _Commit(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    position: int
    commands: int
    previous_hash: bytes
    hash: bytes


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    position: int
    commit: int
    commands: int
    hash: bytes
    recorded_at: datetime


def verify(auditor_url: str, *, progress: Callable[[int, int], None]) -> Verification:
    """Verify the log as of now. `progress` hears the position reached and the head's.

    Only where it ends is read in a snapshot: what is in the log never changes, so the rest is read in ranges, and
    however long that takes nobody's old rows are kept for it.
    """
    with psycopg.connect(auditor_url, autocommit=True) as connection:
        return _Verifier(connection, progress).run()


class _Rows(Generic[_T]):
    """Rows in ascending order of a number of theirs, taken piece by piece."""

    def __init__(self, rows: Iterator[_T], number: Callable[[_T], int]) -> None:
        self._rows = rows
        self._number = number
        self._next = next(rows, None)

    def up_to(self, last: int) -> list[_T]:
        """Take the next rows whose number is at most `last`."""
        taken: list[_T] = []
        while self._next is not None and self._number(self._next) <= last:
            taken.append(self._next)
            self._next = next(self._rows, None)
        return taken

    def rest(self) -> Iterator[_T]:
        """Take all that are not yet taken."""
        while self._next is not None:
            yield self._next
            self._next = next(self._rows, None)


class _Verifier:
    def __init__(self, connection: Connection[TupleRow], progress: Callable[[int, int], None]) -> None:
        self._connection = connection
        self._progress = progress
        self._found = Verification()
        self._versions: OrderedDict[str, int] = OrderedDict()
        self._sequences: dict[str, int] = {}
        self._keys = 0

    def run(self) -> Verification:
        found = self._found
        store: UUID = self._connection.execute("SELECT id FROM store").fetchall()[0][0]
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            [head] = self._all(_Head, _HEAD, {})
            [ends] = self._connection.execute(_ENDS).fetchall()
            tenant_heads = dict[str, int](
                self._connection.execute("SELECT tenant, sequence FROM tenant_heads")
            )
        commits = _Rows(self._rows(_Commit, _COMMITS, ends[0], _number), _number)
        events = _Rows(self._rows(chain.ChainedEvent, _EVENTS, ends[1], _position), _position)
        commands = self._rows(_Command, _COMMANDS, ends[2], _position)
        number, last, counted, previous = 0, 0, 0, chain.genesis(store)
        recorded_at = datetime(1970, 1, 1, tzinfo=UTC)
        for number, group in groupby(commands, key=lambda command: command.commit):
            leaves: list[bytes] = []
            first = last + 1
            for command in group:
                self._check_command(store, command, events, last)
                leaves.append(command.leaf)
                last, recorded_at = command.position, command.recorded_at
            found.commits += 1
            counted += len(leaves)
            expected = _Commit(
                number=number,
                position=last,
                commands=counted,
                previous_hash=previous,
                hash=chain.commit_hash(number, previous, leaves),
            )
            stored = commits.up_to(number)
            self._check_commit(stored, expected, first)
            # On with what is stored, so that one change is reported where it is and not all the way to the end.
            newest = stored[-1] if stored else expected
            counted, previous = newest.commands, newest.hash
            self._progress(last, head.position)
        orphans = [event.position for event in events.rest()]
        if orphans:
            self._report(orphans[0], orphans[-1], "events that no command owns")
        for commit in commits.rest():
            self._report(last + 1, commit.position, f"commit {commit.number} has no command")
        ended = _Head(position=last, commit=number, commands=counted, hash=previous, recorded_at=recorded_at)
        if head != ended:
            self._report(
                last + 1,
                max(last + 1, head.position),
                "the head is not where the log ends: rows at its end are missing, or the head was changed",
            )
        found.position, found.hash = last, previous.hex()
        self._check_tenant_heads(tenant_heads)
        keys: int = self._connection.execute(_KEY_COUNT, {"upto": ends[2]}).fetchall()[0][0]
        if keys != self._keys:
            self._report(
                last + 1, last + 1, f"there are {keys} keys of atomic bulks, the log has {self._keys}"
            )
        self._check_snapshots()
        return found

    def _check_commit(self, stored: Sequence[_Commit], expected: _Commit, first: int) -> None:
        """Compare the stored rows up to a commit with the only one that is expected there."""
        # The count may go on from a wrong one, which has been reported, or be what it was before that.
        counts = (expected.commands, self._found.commands)
        if stored and stored[-1].commands not in counts:
            self._report(
                first,
                expected.position,
                f"commit {expected.number} counts commands up to {stored[-1].commands}, the log has {counts[1]} up to there",
            )
        if [msgspec.structs.replace(commit, commands=expected.commands) for commit in stored] != [expected]:
            self._report(first, expected.position, f"commit {expected.number} is not as it was written")

    def _check_command(
        self, store: UUID, command: _Command, rows: "_Rows[chain.ChainedEvent]", last: int
    ) -> None:
        first, position = command.first_position, command.position
        if first > last + 1:
            self._report(last + 1, first - 1, "the command is missing")
            rows.up_to(first - 1)
        events = rows.up_to(position)
        self._found.commands += 1
        self._found.events += len(events)
        if first <= last or [event.position for event in events] != list(range(first, position + 1)):
            self._report(first, position, "positions are missing or doubled")
        # No key and an empty one have the same record, and a key is never empty.
        if chain.leaf(store, command, events) != command.leaf or command.idempotency_key == "":
            self._report(first, position, "the command or one of its events is not as it was written")
        if (command.idempotency_key or "").startswith(chain.SEVERAL_KEYS):
            self._check_keys(command)
        sequence = self._sequences.get(command.tenant, 0) + 1
        if command.tenant_sequence != sequence:
            self._report(first, position, f"sequence {sequence} of tenant {command.tenant} is missing")
        self._sequences[command.tenant] = command.tenant_sequence
        balance: dict[str, int] = {}
        for event in events:
            self._check_version(event, first, position)
            _add_to_balance(balance, event)
        if any(balance.values()):
            self._report(first, position, "debits do not equal credits")

    def _check_keys(self, command: _Command) -> None:
        """The keys of a command that is many are those of which its row has the digest."""
        rows = self._connection.execute(_KEYS, {"position": command.position}, prepare=True).fetchall()
        self._keys += len(rows)
        keys = [key for tenant, client, key in rows if (tenant, client) == (command.tenant, command.client)]
        if len(keys) < len(rows) or chain.chained_key(keys) != command.idempotency_key:
            self._report(
                command.first_position, command.position, "the command's keys are not as they were written"
            )

    def _check_version(self, event: chain.ChainedEvent, first: int, position: int) -> None:
        """A stream's versions have no gap. The last ones seen are kept, as far as there is room."""
        before = self._versions.pop(event.stream, None)
        if before is None and event.version > 1:
            place = {"stream": event.stream, "version": event.version, "position": event.position}
            before = self._connection.execute(_BEFORE, place, prepare=True).fetchall()[0][0]
        version = (before or 0) + 1
        if event.version != version:
            self._report(first, position, f"version {version} of {event.stream} is missing")
        self._versions[event.stream] = event.version
        if len(self._versions) > MAX_KNOWN_STREAMS:
            self._versions.popitem(last=False)

    def _check_tenant_heads(self, counted: Mapping[str, int]) -> None:
        """Commands cut off the log's end are missed here, even where the head was set back with them."""
        for tenant in sorted(counted.keys() | self._sequences.keys()):
            sequence, logged = counted.get(tenant), self._sequences.get(tenant)
            if sequence != logged:
                after = self._found.position + 1
                self._report(
                    after,
                    after,
                    f"tenant {tenant} has counted commands up to {sequence}, the log ends with {logged}",
                )

    def _check_snapshots(self) -> None:
        for row in self._all(snapshots.Snapshot, _SNAPSHOTS, {}):
            try:
                if row.format != snapshots.FORMATS[kind_of(row.stream)]:
                    continue
                genuine = self._refold(row) == snapshots.decode_state(row.stream, row.state)
            except (LookupError, AssertionError, msgspec.MsgspecError):
                genuine = False  # bytes that nothing folds or loads
            if not genuine:
                self._report(
                    row.position, row.position, f"the snapshot of {row.stream} is not what its events fold to"
                )
            self._found.snapshots += 1

    def _refold(self, row: snapshots.Snapshot) -> State | None:
        """The state of a snapshot's stream at its version; None where that version has another position."""
        state, after, last = initial(row.stream), 0, 0
        page = {"stream": row.stream, "version": row.version, "limit": _PAGE_ROWS}
        while rows := self._connection.execute(_STREAM, {**page, "after": after}, prepare=True).fetchall():
            for after, topic, event, last in rows:  # noqa: B007  the last ones are used below
                apply(state, decode(topic, event))
        return state if (state.version, last) == (row.version, row.position) else None

    def _all(self, row: type[_T], query: LiteralString, parameters: Mapping[str, Any]) -> list[_T]:
        with self._connection.cursor(row_factory=class_row(row)) as cursor:
            return cursor.execute(query, parameters).fetchall()

    def _rows(
        self, row: type[_T], query: LiteralString, upto: int, number: Callable[[_T], int]
    ) -> Iterator[_T]:
        """Read a table of the log up to a number, page by page: it does not fit into memory."""
        after = -1
        with self._connection.cursor(row_factory=class_row(row), binary=True) as cursor:
            while True:
                page = {"after": Int8(after), "upto": Int8(upto), "limit": _PAGE_ROWS}
                rows = cursor.execute(query, page, prepare=True).fetchall()
                yield from rows
                if len(rows) < _PAGE_ROWS:
                    return
                after = number(rows[-1])

    def _report(self, first: int, last: int, what: str) -> None:
        self._found.findings.append(Finding(first, last, what))


def _number(commit: _Commit) -> int:
    return commit.number


def _position(placed: chain.ChainedEvent | _Command) -> int:
    return placed.position


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
