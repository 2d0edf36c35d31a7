"""Export batches that were asked for; what became of each is the exporter's own record."""

from typing import Final

from projections.engine.fold import Fold, Projection

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
