"""What became of export batches: reads of the exporter's own record, for the tenant of the connection."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg

from projections.engine.reading import Page, page, rows_of

_COLUMNS: Final = """
    batch_id, status, reason, position, requested_at, finished_at, covered FROM finance_export_batches
"""
_BATCHES: Final = f"SELECT {_COLUMNS} WHERE batch_id = ANY (%(batches)s)"
_REQUESTED: Final = """
    SELECT batch::text AS batch_id, 'queued' AS status, NULL AS reason, position,
        recorded_at AS requested_at, NULL::timestamptz AS finished_at, 0 AS covered
    FROM export_requests WHERE batch = ANY (%(batches)s::uuid[])
"""
_PAGE: Final = f"""
    SELECT {_COLUMNS}
    WHERE %(before)s::bigint IS NULL OR position < %(before)s
    ORDER BY position DESC LIMIT %(limit)s
"""
_COUNTS: Final = """
    SELECT position, state, documents FROM finance_export_counts WHERE position <= %(position)s ORDER BY position
"""
"""What is not confirmed, by the first batch that covers it."""


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


class _BatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it is stored. `covered` is how many documents it covers."""

    batch_id: str
    status: str
    reason: str | None
    position: int
    requested_at: datetime
    finished_at: datetime | None
    covered: int


class _Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many documents in a state the batch of a position is the first to cover."""

    position: int
    state: str
    documents: int


async def find(
    connection: psycopg.AsyncConnection[Any], batch_ids: Collection[str]
) -> dict[str, ExportBatchView]:
    """Those of the batches that were asked for, by id; `queued` while the exporter has not come to the request."""
    ids = {"batches": list(batch_ids)}
    rows = {
        row.batch_id: row
        for query in (_REQUESTED, _BATCHES)
        for row in await rows_of(connection, _BatchRow, query, ids)
    }
    newest_first = sorted(rows.values(), key=lambda row: -row.position)
    return {view.batch_id: view for view in await _counted(connection, newest_first)}


async def export_batches(
    connection: psycopg.AsyncConnection[Any], *, limit: int, after: int | None = None
) -> Page[ExportBatchView, int]:
    """The newest batches first, those that follow the one of a position where it is given."""
    rows = await rows_of(connection, _BatchRow, _PAGE, {"before": after, "limit": limit + 1})
    return page(await _counted(connection, rows), limit, lambda row: row.position)


async def _counted(
    connection: psycopg.AsyncConnection[Any], batches: Sequence[_BatchRow]
) -> list[ExportBatchView]:
    """The batches, the newest first, with their documents by state."""
    if not batches:
        return []
    counts = await rows_of(connection, _Count, _COUNTS, {"position": batches[0].position})
    return list(_with_documents(batches, counts))[::-1]


def _with_documents(batches: Sequence[_BatchRow], counts: Sequence[_Count]) -> Iterator[ExportBatchView]:
    """The oldest first: each covers what those before it left, and what came since."""
    left: Counter[str] = Counter()
    following = 0
    for batch in reversed(batches):
        while following < len(counts) and counts[following].position <= batch.position:
            left[counts[following].state] += counts[following].documents
            following += 1
        documents = {"confirmed": batch.covered - left.total(), **left}
        yield ExportBatchView(
            batch_id=batch.batch_id,
            status=batch.status,
            reason=batch.reason,
            position=batch.position,
            requested_at=batch.requested_at,
            finished_at=batch.finished_at,
            documents={state: number for state, number in documents.items() if number > 0},
        )
