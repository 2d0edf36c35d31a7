"""Sales: what was sold over the counter, what paid for it, and how much of it was taken back."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, Final

import msgspec
import psycopg

from domain.ids import SaleId
from domain.sale import SaleLine, SaleView, TenderView
from projections.engine.fold import Fold, Projection
from projections.engine.reading import DateKey, Page, page, rows_of

_COMPLETED: Final = Fold("""
WITH completed AS MATERIALIZED (
    SELECT split_part(originator_id, '/', 1) AS tenant, notification_id AS position,
        convert_from(state, 'UTF8')::jsonb AS event
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = 'bursar.sale.completed.v1'
), paid AS (
    INSERT INTO finance_sale_wallets (tenant, account, effective_date, position, customer, sale)
    SELECT DISTINCT tenant, tender.value ->> 'account', (event ->> 'effective_date')::date, position,
        event ->> 'customer', (event ->> 'sale')::uuid
    FROM completed CROSS JOIN LATERAL jsonb_array_elements(event -> 'tenders') AS tender
    WHERE tender.value ->> 'type' = 'wallet'
)
INSERT INTO finance_sales (tenant, sale, receipt, customer, currency, total, lines, tenders, effective_date,
    recorded_at, position)
SELECT tenant, (event ->> 'sale')::uuid, event ->> 'receipt', event ->> 'customer', event ->> 'currency',
    (event ->> 'total')::bigint, event -> 'lines', event -> 'tenders', (event ->> 'effective_date')::date,
    (event ->> 'recorded_at')::timestamptz, position
FROM completed
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

PROJECTION: Final = Projection(
    name="sales", tables=("finance_sales", "finance_sale_wallets"), folds=(_COMPLETED, _REFUNDED)
)


class SaleRecord(SaleView, frozen=True, kw_only=True):
    """A sale as it stands on record: as its checkout answered it, and when it was."""

    effective_date: date
    recorded_at: datetime
    position: int


class StoredSale(msgspec.Struct, frozen=True, kw_only=True):
    """A sale's row: what its record is made of."""

    id: SaleId
    receipt: str
    customer: str | None
    currency: str
    total: int
    refunded: int
    lines: Sequence[SaleLine]
    tenders: Sequence[TenderView]
    effective_date: date
    recorded_at: datetime
    position: int

    def record(self) -> SaleRecord:
        view = SaleView.of_parts(
            id=self.id,
            receipt=self.receipt,
            customer=self.customer,
            currency=self.currency,
            total=self.total,
            refunded=self.refunded,
            lines=self.lines,
            tenders=self.tenders,
        )
        return SaleRecord(
            **msgspec.structs.asdict(view),
            effective_date=self.effective_date,
            recorded_at=self.recorded_at,
            position=self.position,
        )


class SaleOfReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """Which sale a receipt is of."""

    receipt: str
    sale: SaleId


_SELECT_SALES_OF_RECEIPTS: Final = """
SELECT receipt, sale::text FROM finance_sales WHERE receipt = ANY (%(receipts)s)
"""
_COLUMNS: Final = """
SELECT s.sale::text AS id, s.receipt, s.customer, s.currency, s.total, s.refunded, s.lines, s.tenders, s.effective_date,
    s.recorded_at, s.position
"""
_SELECT_BY_ID: Final = _COLUMNS + "FROM finance_sales s WHERE s.sale = ANY (%(sales)s::uuid[])"
_PAGE: Final = """
    AND (effective_date, position) < (%(before_date)s::date, %(before)s::bigint) AND effective_date >= %(from)s::date
ORDER BY effective_date DESC, position DESC LIMIT %(limit)s
"""
# A statement for each filter, so that each goes along its own index.
_SELECT_ALL: Final = _COLUMNS + "FROM finance_sales s WHERE true" + _PAGE
_SELECT_BY_CUSTOMER: Final = _COLUMNS + "FROM finance_sales s WHERE customer = %(customer)s" + _PAGE
_PAID_BY: Final = "FROM (SELECT sale FROM finance_sale_wallets WHERE account = %(wallet)s"
_THEIR_SALES: Final = """) AS w
CROSS JOIN LATERAL (SELECT * FROM finance_sales WHERE sale = w.sale OFFSET 0) AS s
ORDER BY s.effective_date DESC, s.position DESC
"""
_SELECT_BY_WALLET: Final = _COLUMNS + _PAID_BY + _PAGE + _THEIR_SALES
_SELECT_BY_BOTH: Final = _COLUMNS + _PAID_BY + " AND customer = %(customer)s" + _PAGE + _THEIR_SALES
# One sale has a receipt's number; whatever else is asked for, it fits or not.
_SELECT_BY_RECEIPT: Final = (
    _COLUMNS
    + """
FROM finance_sales s
WHERE receipt = %(receipt)s AND (%(customer)s::text IS NULL OR customer = %(customer)s) AND (
    %(wallet)s::text IS NULL OR EXISTS (
        SELECT FROM finance_sale_wallets w
        WHERE w.account = %(wallet)s AND w.effective_date = s.effective_date AND w.position = s.position
    ))"""
    + _PAGE
)


async def find(connection: psycopg.AsyncConnection[Any], sale_ids: Collection[str]) -> dict[str, SaleRecord]:
    """Those of the sales that there are, by id. The ids must be UUIDs."""
    rows = await rows_of(connection, StoredSale, _SELECT_BY_ID, {"sales": list(sale_ids)})
    return {row.id: row.record() for row in rows}


async def find_by_receipt(
    connection: psycopg.AsyncConnection[Any], receipts: Collection[str]
) -> dict[str, SaleOfReceipt]:
    """Those of the receipts that are of sales, by number."""
    wanted = {"receipts": list(receipts)}
    rows = await rows_of(connection, SaleOfReceipt, _SELECT_SALES_OF_RECEIPTS, wanted)
    return {row.receipt: row for row in rows}


async def sales(
    connection: psycopg.AsyncConnection[Any],
    *,
    receipt: str | None = None,
    customer: str | None = None,
    wallet: str | None = None,
    first: date | None = None,
    last: date | None = None,
    limit: int,
    after: DateKey | None = None,
) -> Page[SaleRecord, DateKey]:
    """Sales by effective date, then position, the newest first: those with a receipt's number, of a customer, that a
    wallet paid (a part of), with effective dates `first` to `last`, both inclusive.
    """
    before = DateKey.before_page(last=last, after=after)
    if receipt is not None:
        query = _SELECT_BY_RECEIPT
    elif wallet is not None:
        query = _SELECT_BY_WALLET if customer is None else _SELECT_BY_BOTH
    else:
        query = _SELECT_ALL if customer is None else _SELECT_BY_CUSTOMER
    rows = await rows_of(
        connection,
        StoredSale,
        query,
        {
            "receipt": receipt,
            "customer": customer,
            "wallet": wallet,
            "from": first or date.min,
            "before_date": before.effective_date,
            "before": before.position,
            "limit": limit + 1,
        },
    )
    return page(
        [row.record() for row in rows], limit, lambda sale: DateKey(sale.effective_date, sale.position)
    )
