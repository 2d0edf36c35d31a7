"""Export batches that were asked for; what became of each is the exporter's own record."""

from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg

from projections.fold import Fold, Projection
from projections.reading import rows_of

_REQUESTED: Final = Fold("""
INSERT INTO export_requests (tenant, batch, channel, recorded_at, position)
SELECT tenant, (event ->> 'batch')::uuid, event ->> 'channel', (event ->> 'recorded_at')::timestamptz, position
FROM (
    SELECT split_part(originator_id, '/', 1) AS tenant, notification_id AS position,
        convert_from(state, 'UTF8')::jsonb AS event
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = 'bursar.export.requested.v1'
    OFFSET 0
) AS stored
""")

PROJECTION: Final = Projection(name="exports", tables=("export_requests",), folds=(_REQUESTED,))


class ExportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A batch covers what the tenant's log held at `position`."""

    batch: str
    channel: str
    position: int
    recorded_at: datetime


async def export_request(connection: psycopg.AsyncConnection[Any], batch: str) -> ExportRequest | None:
    """The request of a batch, or None. The id must be a UUID."""
    found = await rows_of(
        connection,
        ExportRequest,
        "SELECT batch::text, channel, position, recorded_at FROM export_requests WHERE batch = %(batch)s::uuid",
        {"batch": batch},
    )
    return found[0] if found else None
