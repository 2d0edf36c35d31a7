"""Sales: what was sold over the counter, what paid for it, and how much of it was taken back."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
import psycopg

from domain.ids import SaleId
from domain.sale import SaleLine, SaleView, TenderView
from projections.engine.fold import Fold, Projection
from projections.engine.reading import rows_of

_COMPLETED: Final = Fold("""
INSERT INTO finance_sales (tenant, sale, receipt, customer, currency, total, lines, tenders, effective_date,
    recorded_at, position)
SELECT tenant, (event ->> 'sale')::uuid, event ->> 'receipt', event ->> 'customer', event ->> 'currency',
    (event ->> 'total')::bigint, event -> 'lines', event -> 'tenders', (event ->> 'effective_date')::date,
    (event ->> 'recorded_at')::timestamptz, position
FROM (
    SELECT split_part(originator_id, '/', 1) AS tenant, notification_id AS position,
        convert_from(state, 'UTF8')::jsonb AS event
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = 'bursar.sale.completed.v1'
    OFFSET 0
) AS stored
""")

REFUNDS: Final = """(
    SELECT split_part(originator_id, '/', 1) AS tenant, split_part(originator_id, '/', 3)::uuid AS sale,
        sum((convert_from(state, 'UTF8')::jsonb ->> 'total')::bigint) AS refunded
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = 'bursar.sale.refunded.v1'
    GROUP BY 1, 2
)"""
"""What was taken back of each sale in the range of a fold."""

_REFUNDED: Final = Fold(f"""
UPDATE finance_sales f
SET refunded = f.refunded + s.refunded
FROM {REFUNDS} AS s
WHERE f.tenant = s.tenant AND f.sale = s.sale
""")  # noqa: S608  the query above, nobody's input

PROJECTION: Final = Projection(name="sales", tables=("finance_sales",), folds=(_COMPLETED, _REFUNDED))

_SELECT: Final = """
SELECT sale::text AS id, receipt, customer, currency, total, refunded, lines, tenders
FROM finance_sales WHERE sale = ANY (%(sales)s::uuid[])
"""


class StoredSale(msgspec.Struct, frozen=True, kw_only=True):
    """A sale's row: what `SaleView` is made of."""

    id: SaleId
    receipt: str
    customer: str | None
    currency: str
    total: int
    refunded: int
    lines: Sequence[SaleLine]
    tenders: Sequence[TenderView]

    def view(self) -> SaleView:
        return SaleView.of_parts(**msgspec.structs.asdict(self))


async def find(connection: psycopg.AsyncConnection[Any], sale_ids: Collection[str]) -> dict[str, SaleView]:
    """Those of the sales that there are, by id. The ids must be UUIDs."""
    rows = await rows_of(connection, StoredSale, _SELECT, {"sales": list(sale_ids)})
    return {row.id: row.view() for row in rows}
