"""Imports of files: of each what was recorded last, and when it began."""

from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg

from projections.engine.fold import Fold, Projection
from projections.engine.reading import Page, page, rows_of

_RECORDED: Final = """(
    SELECT DISTINCT ON (originator_id) split_part(originator_id, '/', 1) AS tenant,
        split_part(originator_id, '/', 3)::uuid AS import, notification_id AS position,
        convert_from(state, 'UTF8')::jsonb AS event
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = 'bursar.import.recorded.v1'
        AND {which}
    ORDER BY originator_id, notification_id DESC
)"""
"""The last events in the range of those imports that `which` tells."""

_READINGS: Final = "ARRAY(SELECT jsonb_array_elements_text(coalesce(event -> 'readings', '[]'::jsonb)))"
_BEGUN: Final = Fold(f"""
INSERT INTO finance_imports (tenant, import, source, name, sha256, read, posted, already_there, rejected, sketch,
    finished, recorded_at, client, options, readings, position)
SELECT tenant, import, event ->> 'source', event ->> 'name', event ->> 'sha256', (event ->> 'read')::bigint,
    (event ->> 'posted')::bigint, (event ->> 'already_there')::bigint, (event ->> 'rejected')::bigint,
    ARRAY(SELECT jsonb_array_elements_text(event -> 'sketch')), (event ->> 'finished')::boolean,
    (event ->> 'recorded_at')::timestamptz, event ->> 'client', event ->> 'options', {_READINGS}, position
FROM {_RECORDED.format(which="originator_version = 1")} AS s
""")  # noqa: S608  the query above, nobody's input
_GONE_ON: Final = Fold(f"""
UPDATE finance_imports f
SET read = (event ->> 'read')::bigint, posted = (event ->> 'posted')::bigint,
    already_there = (event ->> 'already_there')::bigint, rejected = (event ->> 'rejected')::bigint,
    sketch = ARRAY(SELECT jsonb_array_elements_text(event -> 'sketch')),
    finished = (event ->> 'finished')::boolean, client = event ->> 'client', options = event ->> 'options',
    readings = {_READINGS}
FROM {_RECORDED.format(which="originator_version > 1")} AS s
WHERE f.tenant = s.tenant AND f.import = s.import
""")  # noqa: S608  the query above, nobody's input

PROJECTION: Final = Projection(name="imports", tables=("finance_imports",), folds=(_BEGUN, _GONE_ON))

_PAGE: Final = """
SELECT import::text AS id, source, name, sha256, read, posted, already_there, rejected, finished,
    recorded_at AS at, CASE WHEN %(sketch)s THEN sketch END AS sketch,
    CASE WHEN %(sketch)s THEN readings END AS readings, client, options, position
FROM finance_imports
WHERE position < coalesce(%(before)s::bigint, 9223372036854775807)
ORDER BY position DESC LIMIT %(limit)s
"""


class ImportView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An import: of which file, and what became of its rows. `sketch` and `readings` are there where they are asked for.

    Of one recorded before they were, `client` and `options` are not known.
    """

    id: str
    source: str
    name: str
    sha256: str
    read: int
    posted: int
    already_there: int
    rejected: int
    finished: bool
    at: datetime
    position: int
    client: str | None = None
    options: str | None = None
    sketch: tuple[str, ...] | None = None
    readings: tuple[str, ...] | None = None


async def imports(
    connection: psycopg.AsyncConnection[Any], *, sketch: bool, limit: int, after: int | None = None
) -> Page[ImportView, int]:
    """The newest imports first, those that follow the one of a position where it is given."""
    parameters = {"sketch": sketch, "before": after, "limit": limit + 1}
    rows = await rows_of(connection, ImportView, _PAGE, parameters)
    return page(rows, limit, lambda row: row.position)
