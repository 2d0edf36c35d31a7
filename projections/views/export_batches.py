"""What became of export batches: reads of the exporter's own record, for the tenant of the connection."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg

from projections.engine.reading import Page, page, rows_of

_COUNTED: Final = """
    SELECT b.batch_id, b.status, b.reason, b.position, b.requested_at, b.finished_at, coalesce((
        SELECT jsonb_object_agg(counted.state, counted.n) FROM (
            SELECT j.state, count(*) AS n FROM finance_export_jobs j
            WHERE j.tenant = b.tenant AND j.position <= b.position
                AND (j.confirmed_at IS NULL OR j.confirmed_at > b.registered_at)
            GROUP BY j.state
        ) AS counted
    ), '{}'::jsonb) AS documents
    FROM finance_export_batches b
"""
_BATCHES: Final = f"{_COUNTED} WHERE b.batch_id = ANY (%(batches)s)"
_REQUESTED: Final = """
    SELECT batch::text AS batch_id, 'queued' AS status, NULL AS reason, position,
        recorded_at AS requested_at, NULL::timestamptz AS finished_at, '{}'::jsonb AS documents
    FROM export_requests WHERE batch = ANY (%(batches)s::uuid[])
"""
_PAGE: Final = f"""
    {_COUNTED}
    WHERE %(before)s::bigint IS NULL OR b.position < %(before)s
    ORDER BY b.position DESC LIMIT %(limit)s
"""


class ExportBatchView(msgspec.Struct, frozen=True, kw_only=True):
    """A batch, and how many documents that it covers are in which state.

    It covers what is posted up to `position` and was not confirmed when it was registered.
    """

    batch_id: str
    status: str
    reason: str | None
    position: int
    requested_at: datetime
    finished_at: datetime | None
    documents: dict[str, int]


async def find(
    connection: psycopg.AsyncConnection[Any], batch_ids: Collection[str]
) -> dict[str, ExportBatchView]:
    """Those of the batches that were asked for, by id; `queued` while the exporter has not come to the request."""
    ids = {"batches": list(batch_ids)}
    rows = [
        *await rows_of(connection, ExportBatchView, _REQUESTED, ids),
        *await rows_of(connection, ExportBatchView, _BATCHES, ids),
    ]
    return {row.batch_id: row for row in rows}


async def export_batches(
    connection: psycopg.AsyncConnection[Any], *, limit: int, after: int | None = None
) -> Page[ExportBatchView, int]:
    """The newest batches first, those that follow the one of a position where it is given."""
    rows = await rows_of(connection, ExportBatchView, _PAGE, {"before": after, "limit": limit + 1})
    return page(rows, limit, lambda row: row.position)
