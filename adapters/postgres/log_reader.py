"""Reading the log as whole commands, for the relay and the Postgres feed."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, Final

import msgspec
from psycopg import Connection
from psycopg.rows import class_row

from application.feed.message import LoggedCommand

CHANNEL: Final = "bursar_log"
"""NOTIFY channel of the append function; the payload is the head's position."""

MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
"""The most that the events of one read have together, unless a single command has more."""

_COMMANDS: Final = """
    SELECT first_position, position, id::text AS command_id, tenant, tenant_sequence, command, recorded_at,
        actor, reason, correlation_id, trace_id
    FROM commands WHERE position > %(after)s ORDER BY position LIMIT %(limit)s
"""

# Cut here and not by the client, so that a run of large commands never fills its memory.
_EVENTS: Final = """
    SELECT notification_id AS position, originator_id AS stream, originator_version AS version, topic, state
    FROM (
        SELECT *, sum(octet_length(state)) OVER (ORDER BY notification_id) AS bytes
        FROM events WHERE notification_id BETWEEN %(first)s AND %(last)s
    ) AS sized
    WHERE bytes <= %(max_bytes)s OR notification_id <= %(end_of_first_command)s
    ORDER BY notification_id
"""


class _CommandRow(msgspec.Struct, frozen=True, kw_only=True):
    first_position: int
    position: int
    command_id: str
    tenant: str
    tenant_sequence: int
    command: str
    recorded_at: datetime
    actor: str
    reason: str
    correlation_id: str
    trace_id: str


class _EventRow(msgspec.Struct, frozen=True, kw_only=True):
    position: int
    stream: str
    version: int
    topic: str
    state: bytes


class LogDamagedError(Exception):
    """The log has a hole, or an event that no command owns: nobody may read on as if all were well."""


def read_commands(
    connection: Connection[Any], after: int, limit: int, *, max_bytes: int = MAX_EVENT_BYTES
) -> list[LoggedCommand]:
    """Read the commands behind position `after`, in order of position, each whole.

    At most `limit`, and as many as have `max_bytes` of events together, but one at least. Raises
    `LogDamagedError` where positions are not contiguous.
    """
    # Binary: the states come as they are, neither escaped nor parsed.
    with (
        connection.cursor(binary=True, row_factory=class_row(_CommandRow)) as commands,
        connection.cursor(binary=True, row_factory=class_row(_EventRow)) as events,
    ):
        rows = commands.execute(_COMMANDS, {"after": after, "limit": limit}).fetchall()
        if not rows:
            return []
        bounds = {
            "first": rows[0].first_position,
            "last": rows[-1].position,
            "end_of_first_command": rows[0].position,
            "max_bytes": max_bytes,
        }
        return list(_whole(rows, events.execute(_EVENTS, bounds).fetchall(), after))


def store_identity(connection: Connection[Any]) -> tuple[str, int]:
    """Return who this store is: its id, and the epoch, which a point-in-time restore changes."""
    row = connection.execute("SELECT id::text, epoch FROM store").fetchone()
    assert row is not None
    return row[0], row[1]


def _whole(rows: Sequence[_CommandRow], events: Sequence[_EventRow], after: int) -> Iterator[LoggedCommand]:
    """Yield those commands whose events are all here."""
    end = events[-1].position if events else after
    taken = 0
    for row in takewhile(lambda row: row.position <= end, rows):
        count = row.position - row.first_position + 1
        own = events[taken : taken + count]
        if (
            row.first_position != after + 1
            or len(own) != count
            or own[0].position != row.first_position
            or own[-1].position != row.position
        ):
            raise LogDamagedError(
                f"the log has a hole behind position {after}: next is {row.first_position}..{row.position}"
            )
        taken += count
        after = row.position
        yield LoggedCommand(
            tenant=row.tenant,
            tenant_sequence=row.tenant_sequence,
            first_position=row.first_position,
            position=row.position,
            command=row.command,
            command_id=row.command_id,
            recorded_at=row.recorded_at.astimezone(UTC),
            actor=row.actor,
            reason=row.reason,
            correlation_id=row.correlation_id,
            trace_id=row.trace_id,
            events=[(event.stream, event.version, event.topic, event.state) for event in own],
        )
    if taken == 0:
        raise LogDamagedError(
            f"the events of {rows[0].first_position}..{rows[0].position} are not all in the log"
        )
