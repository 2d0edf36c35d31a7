"""The register of receipts: which number stands for what, and what of it was given back."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final

import msgspec
import psycopg

from projections.engine.fold import Fold, Projection
from projections.engine.reading import DateKey, Page, page_of_examined, rows_of
from projections.views import transactions
from projections.views.sales import REFUNDS
from projections.views.transactions import TransactionView

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


class RegisteredReceipt(Receipt, frozen=True, kw_only=True):
    """A receipt as the register has it, with what it is of, where that is known."""

    effective_date: date
    position: int
    description: str
    sale: str | None
    invoice: str | None
    wallet: str | None


_COLUMNS: Final = """
SELECT r.number, r.kind, r.amount, r.refunded, r.currency, t.transaction_id::text, r.recorded_at, t.effective_date,
    t.position
"""
# A receipt is that of its transaction, which has the date; not all transactions have one.
_OF_TRANSACTIONS: Final = """
FROM (
    SELECT * FROM ledger_transactions
    WHERE (effective_date, position) < (%(before_date)s::date, %(before)s::bigint)
        AND effective_date >= %(from)s::date
    ORDER BY effective_date DESC, position DESC LIMIT %(limit)s
) AS t
LEFT JOIN LATERAL (SELECT * FROM finance_receipts WHERE transaction_id = t.transaction_id OFFSET 0) AS r ON true
ORDER BY t.effective_date DESC, t.position DESC
"""
_OF_NUMBER: Final = """
FROM finance_receipts r
CROSS JOIN LATERAL bursar_transactions(ARRAY[r.transaction_id]) AS t
WHERE r.number = %(number)s AND (t.effective_date, t.position) < (%(before_date)s::date, %(before)s::bigint)
    AND t.effective_date >= %(from)s::date
LIMIT %(limit)s
"""
_SELECT_ALL: Final = _COLUMNS + _OF_TRANSACTIONS
_SELECT_BY_NUMBER: Final = _COLUMNS + _OF_NUMBER
MAX_EXAMINED: Final = 1_000
"""So many transactions are looked at for one page of receipts."""


class _Examined(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction, and its receipt where it has one."""

    transaction_id: str
    effective_date: date
    position: int
    number: str | None
    kind: str | None
    amount: int | None
    refunded: int | None
    currency: str | None
    recorded_at: datetime | None

    def receipt(self, transaction: TransactionView) -> RegisteredReceipt:
        about = {document.kind: document.id for document in transaction.documents}
        return RegisteredReceipt(
            **msgspec.structs.asdict(self),
            description=transaction.description,
            sale=about.get("sale"),
            invoice=about.get("invoice"),
            wallet=transaction.wallet,
        )


async def receipts(
    connection: psycopg.AsyncConnection[Any],
    *,
    number: str | None = None,
    first: date | None = None,
    last: date | None = None,
    limit: int,
    after: DateKey | None = None,
) -> Page[RegisteredReceipt, DateKey]:
    """Receipts by effective date, then position, the newest first: the one of a number, those of effective dates `first` to
    `last`, both inclusive.

    A page looks at `MAX_EXAMINED` transactions; it may be short, or empty, and more follow.
    """
    before = DateKey.before_page(last=last, after=after)
    examined = await rows_of(
        connection,
        _Examined,
        _SELECT_ALL if number is None else _SELECT_BY_NUMBER,
        {
            "number": number,
            "from": first or date.min,
            "before_date": before.effective_date,
            "before": before.position,
            "limit": MAX_EXAMINED,
        },
    )
    found = page_of_examined(
        examined,
        [one for one in examined if one.number is not None],
        limit,
        lambda one: DateKey(one.effective_date, one.position),
        all_seen=len(examined) < MAX_EXAMINED,
    )
    told = await transactions.find(connection, [one.transaction_id for one in found.data])
    return Page(
        data=[one.receipt(told[one.transaction_id]) for one in found.data],
        next=found.next,
        has_more=found.has_more,
    )
