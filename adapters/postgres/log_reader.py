"""Reading the log as whole commands, for the relay and the Postgres feed."""

from collections.abc import Iterator
from datetime import UTC
from itertools import takewhile
from typing import Any, Final

from psycopg import Connection

from application.feed.message import LoggedCommand

CHANNEL: Final = "bursar_log"
"""NOTIFY channel of the append function; the payload is the head's position."""

MAX_BYTES: Final = 8 * 1024 * 1024
"""Bytes of events that one read takes, unless a single command has more."""

_COMMANDS: Final = """
    SELECT first_position, position, id, tenant, tenant_sequence, command, recorded_at, actor,
        reason, correlation_id, trace_id
    FROM commands WHERE position > %s ORDER BY position LIMIT %s
"""

# Cut here and not by the client, so that a run of large commands never fills its memory.
_EVENTS: Final = """
    SELECT notification_id, originator_id, originator_version, topic, state
    FROM (
        SELECT *, sum(octet_length(state)) OVER (ORDER BY notification_id) AS bytes
        FROM events WHERE notification_id BETWEEN %(first)s AND %(last)s
    ) AS sized
    WHERE bytes <= %(max_bytes)s OR notification_id <= %(end_of_first_command)s
    ORDER BY notification_id
"""

_Event = tuple[int, str, int, str, bytes]


class LogDamagedError(Exception):
    """The log has a hole, or an event that no command owns: nobody may read on as if all were well."""


def read_commands(
    connection: Connection[Any], after: int, limit: int, *, max_bytes: int = MAX_BYTES
) -> list[LoggedCommand]:
    """Read the commands behind position `after`, in order of position, each whole.

    At most `limit`, and as many as have `max_bytes` of events together, but one at least. Raises
    `LogDamagedError` where positions are not contiguous.
    """
    # Binary: the states come as they are, neither escaped nor parsed.
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(_COMMANDS, (after, limit)).fetchall()
        if not rows:
            return []
        bounds = {
            "first": rows[0][0],
            "last": rows[-1][1],
            "end_of_first_command": rows[0][1],
            "max_bytes": max_bytes,
        }
        events: list[_Event] = cursor.execute(_EVENTS, bounds).fetchall()
    return list(_whole(rows, events, after))


def store_identity(connection: Connection[Any]) -> tuple[str, int]:
    """Return who this store is: its id, and the epoch, which a point-in-time restore changes."""
    row = connection.execute("SELECT id::text, epoch FROM store").fetchone()
    assert row is not None
    return row[0], row[1]


def _whole(rows: list[tuple[Any, ...]], events: list[_Event], after: int) -> Iterator[LoggedCommand]:
    end = events[-1][0] if events else after
    taken = 0
    for (
        first,
        position,
        id_,
        tenant,
        sequence,
        command,
        recorded_at,
        actor,
        reason,
        correlation,
        trace,
    ) in takewhile(lambda row: row[1] <= end, rows):
        count = position - first + 1
        own = events[taken : taken + count]
        if first != after + 1 or len(own) != count or own[0][0] != first or own[-1][0] != position:
            raise LogDamagedError(f"the log has a hole behind position {after}: next is {first}..{position}")
        taken += count
        after = position
        yield LoggedCommand(
            tenant=tenant,
            tenant_sequence=sequence,
            first_position=first,
            position=position,
            command=command,
            command_id=str(id_),
            recorded_at=recorded_at.astimezone(UTC),
            actor=actor,
            reason=reason,
            correlation_id=correlation,
            trace_id=trace,
            events=[event[1:] for event in own],
        )
    if taken == 0:
        raise LogDamagedError(f"the events of {rows[0][0]}..{rows[0][1]} are not all there")
