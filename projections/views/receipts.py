"""The register of receipts: which number stands for what, and what of it was given back."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg

from projections.engine.fold import Fold, Projection
from projections.engine.reading import rows_of
from projections.views.sales import REFUNDS

_ALLOCATED: Final = Fold("""
INSERT INTO finance_receipts (tenant, number, kind, amount, currency, transaction_id, recorded_at, position)
SELECT split_part(originator_id, '/', 1), bursar_member(event, 'number'), bursar_member(event, 'kind'),
    bursar_number(event, 'amount'), bursar_member(event, 'currency'), bursar_member(event, 'document')::uuid,
    bursar_member(event, 'recorded_at')::timestamptz, position
FROM (
    SELECT originator_id, notification_id AS position, convert_from(state, 'UTF8') AS event
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s
        AND topic = 'bursar.series.number_allocated.v1' AND split_part(originator_id, '/', 3) = 'receipt'
    OFFSET 0
) AS stored
""")

# A sale's id is its transaction's, so the receipt of the sale is the one of that transaction.
_REFUNDED: Final = Fold(f"""
UPDATE finance_receipts r
SET refunded = r.refunded + s.refunded
FROM {REFUNDS} AS s
WHERE r.tenant = s.tenant AND r.transaction_id = s.sale
""")  # noqa: S608  the query above, nobody's input

# What is reversed was given back whole: a top-up to who paid it, a charge to the wallet.
_REVERSED: Final = Fold("""
UPDATE finance_receipts r
SET refunded = r.amount
FROM (
    SELECT split_part(originator_id, '/', 1) AS tenant, split_part(originator_id, '/', 3)::uuid AS transaction_id
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = 'bursar.transaction.reversed.v1'
) AS s
WHERE r.tenant = s.tenant AND r.transaction_id = s.transaction_id
""")

PROJECTION: Final = Projection(
    name="receipts", tables=("finance_receipts",), folds=(_ALLOCATED, _REFUNDED, _REVERSED)
)


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt; amounts in minor units. `refunded` is what of it was given back since."""

    number: str
    kind: str
    amount: int
    refunded: int
    currency: str
    transaction_id: str
    recorded_at: datetime


_SELECT: Final = """
SELECT number, kind, amount, refunded, currency, transaction_id::text, recorded_at
FROM finance_receipts WHERE number = ANY (%(numbers)s)
"""


async def find(connection: psycopg.AsyncConnection[Any], numbers: Collection[str]) -> dict[str, Receipt]:
    """Those of the receipts that were given out, by number."""
    rows = await rows_of(connection, Receipt, _SELECT, {"numbers": list(numbers)})
    return {row.number: row for row in rows}
