"""Invoices with their lines, and what was paid on them."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

import psycopg

from domain.invoice import InvoiceView
from projections.engine.fold import Fold, Projection
from projections.engine.reading import Page, page, rows_of

_DRAFTED: Final = Fold("""
WITH drafted AS MATERIALIZED (
    SELECT split_part(originator_id, '/', 1) AS tenant, notification_id AS position,
        convert_from(state, 'UTF8')::jsonb AS event
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = 'bursar.invoice.drafted.v1'
), listed AS (
    INSERT INTO finance_invoices (tenant, invoice, number, status, payer, currency, total, open, due_date,
        recorded_at, position)
    SELECT tenant, (event ->> 'invoice')::uuid, '', 'draft', event ->> 'payer', event ->> 'currency',
        (event ->> 'total')::bigint, 0, (event ->> 'due_date')::date, (event ->> 'recorded_at')::timestamptz,
        position
    FROM drafted
)
INSERT INTO finance_invoice_items (tenant, invoice, line, description, quantity, discount, net, tax, total,
    income, tax_code)
SELECT tenant, (event ->> 'invoice')::uuid, item.ordinality, item.value ->> 'description',
    (item.value ->> 'quantity')::bigint, (item.value ->> 'discount')::bigint, (item.value ->> 'net')::bigint,
    (item.value ->> 'tax')::bigint, (item.value ->> 'total')::bigint, item.value ->> 'income',
    item.value ->> 'tax_code'
FROM drafted CROSS JOIN LATERAL jsonb_array_elements(event -> 'lines') WITH ORDINALITY AS item
""")

# A payment that is taken back is a row of its own, with what it takes back as a negative amount.
_PAID: Final = Fold("""
INSERT INTO finance_payments (tenant, invoice, position, transaction_id, leg, tender, amount, account,
    reference, receipt, effective_date, recorded_at)
SELECT tenant, bursar_member(event, 'invoice')::uuid, position, bursar_member(event, 'transaction_id')::uuid,
    bursar_number(event, 'leg'), bursar_member(event, 'tender'),
    CASE WHEN is_reversal THEN - bursar_number(event, 'amount') ELSE bursar_number(event, 'amount') END,
    nullif(bursar_member(event, 'account'), ''), nullif(bursar_member(event, 'reference'), ''),
    bursar_member(event, 'receipt'), bursar_member(event, 'effective_date')::date,
    bursar_member(event, 'recorded_at')::timestamptz
FROM (
    SELECT split_part(originator_id, '/', 1) AS tenant, notification_id AS position,
        convert_from(state, 'UTF8') AS event, topic = 'bursar.invoice.payment_reversed.v1' AS is_reversal
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s
        AND topic IN ('bursar.invoice.payment_applied.v1', 'bursar.invoice.payment_reversed.v1')
    OFFSET 0
) AS stored
""")

# Each event says what its invoice's status and open balance are from then on, so the last one of the range
# decides, whatever the topics and their order. No line of an invoice has a member of the names searched for.
_CHANGED: Final = Fold("""
UPDATE finance_invoices i
SET status = s.status, open = s.open, number = s.number, position = s.position,
    effective_date = coalesce(s.issued_on, i.effective_date)
FROM (
    SELECT tenant, invoice, max(position) AS position,
        (array_agg(event ORDER BY position DESC))[1] AS last,
        max(bursar_member(event, 'effective_date')) FILTER (WHERE is_issue) AS issued_on
    FROM (
        SELECT split_part(originator_id, '/', 1) AS tenant, split_part(originator_id, '/', 3)::uuid AS invoice,
            notification_id AS position, convert_from(state, 'UTF8') AS event,
            topic = 'bursar.invoice.issued.v1' AS is_issue
        FROM events
        WHERE notification_id > %(after)s AND notification_id <= %(upto)s
            AND topic IN ('bursar.invoice.issued.v1', 'bursar.invoice.payment_applied.v1',
                'bursar.invoice.payment_reversed.v1')
        OFFSET 0
    ) AS stored
    GROUP BY tenant, invoice
) AS changed
CROSS JOIN LATERAL (
    SELECT bursar_member(last, 'status') AS status, bursar_number(last, 'open') AS open,
        bursar_member(last, 'number') AS number, changed.position, issued_on::date AS issued_on
) AS s
WHERE i.tenant = changed.tenant AND i.invoice = changed.invoice
""")

PROJECTION: Final = Projection(
    name="invoices",
    tables=("finance_invoices", "finance_invoice_items", "finance_payments"),
    folds=(_DRAFTED, _PAID, _CHANGED),
)


_COLUMNS: Final = """
SELECT i.invoice::text AS id, nullif(i.number, '') AS number, i.status, i.payer, i.currency, i.total, i.open, i.due_date, ARRAY(
        SELECT jsonb_build_object('description', l.description, 'quantity', l.quantity, 'discount', l.discount,
            'net', l.net, 'tax', l.tax, 'total', l.total, 'income', l.income, 'tax_code', l.tax_code)
        FROM finance_invoice_items l WHERE l.tenant = i.tenant AND l.invoice = i.invoice ORDER BY l.line
    ) AS lines
FROM finance_invoices i
"""
_BEFORE_ALL: Final = str(UUID(int=0))
_SELECT_BY_ID: Final = _COLUMNS + "WHERE i.invoice = ANY (%(invoices)s::uuid[])"
_PAGE: Final = " AND i.invoice > %(after)s::uuid ORDER BY i.invoice LIMIT %(limit)s"
# A statement for each filter, so that each is planned along its own index.
_SELECT_ALL: Final = _COLUMNS + "WHERE true" + _PAGE
_SELECT_BY_PAYER: Final = _COLUMNS + "WHERE i.payer = %(payer)s" + _PAGE
_SELECT_BY_STATUS: Final = _COLUMNS + "WHERE i.status = %(status)s" + _PAGE
_SELECT_BY_BOTH: Final = _COLUMNS + "WHERE i.payer = %(payer)s AND i.status = %(status)s" + _PAGE


async def find(
    connection: psycopg.AsyncConnection[Any], invoice_ids: Collection[str]
) -> dict[str, InvoiceView]:
    """Those of the invoices that there are, with their lines, by id. The ids must be UUIDs."""
    rows = await rows_of(connection, InvoiceView, _SELECT_BY_ID, {"invoices": list(invoice_ids)})
    return {row.id: row for row in rows}


async def invoices(
    connection: psycopg.AsyncConnection[Any],
    *,
    limit: int,
    payer: str | None = None,
    status: str | None = None,
    after: str | None = None,
) -> Page[InvoiceView, str]:
    """The tenant's invoices in order of creation (their ids'), of a payer or a status where given.

    `after` is the id of an invoice; only what was created after it is listed.
    """
    match payer, status:
        case None, None:
            query = _SELECT_ALL
        case _, None:
            query = _SELECT_BY_PAYER
        case None, _:
            query = _SELECT_BY_STATUS
        case _:
            query = _SELECT_BY_BOTH
    rows = await rows_of(
        connection,
        InvoiceView,
        query,
        {"payer": payer, "status": status, "after": after or _BEFORE_ALL, "limit": limit + 1},
    )
    return page(rows, limit, lambda invoice: invoice.id)
