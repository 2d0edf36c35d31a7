"""The registry itself: a row per document, and how each comes to be ready."""

from datetime import date
from typing import Final

import msgspec

from adapters.quickbooks.mapping.document import DocumentKind
from projections.views.export_reasons import ExportReason

# --- registering them


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it is registered; `template` is its canonical payload with references."""

    tenant: str
    realm: str
    kind: DocumentKind
    source_id: str
    version: int
    position: int
    number: str
    effective_date: date
    amount_minor: int
    currency: str
    customer: str | None
    invoice: str | None
    credit_memo: str | None
    template: bytes


INSERT: Final = """
    INSERT INTO finance_export_jobs (tenant, realm, kind, source_id, version, position, number, effective_date, amount,
        currency, customer, invoice, credit_memo, template)
    SELECT j.* FROM unnest(%(tenant)b::text[], %(realm)b::text[], %(kind)b::text[], %(source_id)b::text[],
        %(version)b::bigint[], %(position)b::bigint[], %(number)b::text[], %(effective_date)b::date[], %(amount_minor)b::bigint[],
        %(currency)b::text[], %(customer)b::text[], %(invoice)b::text[], %(credit_memo)b::text[],
        %(template)b::bytea[])
        AS j (tenant, realm, kind, source_id, version, position, number, effective_date, amount, currency, customer,
              invoice, credit_memo, template)
    ON CONFLICT (tenant, realm, kind, source_id, version) DO NOTHING
"""
"""Register `NewJob`s; one that is registered stays as it is. In binary, which is written and read faster than text."""

CONNECT: Final = """
    UPDATE finance_export_jobs SET realm = %(realm)s WHERE tenant = %(tenant)s AND realm = ''
"""
"""Give documents that were registered before a company was named their company."""

# --- from one turn to the next

RETRY_MAPPINGS: Final = """
    UPDATE finance_export_jobs SET state = 'blocked', body = NULL, fingerprint = NULL, reason = NULL,
        last_error = NULL
    WHERE tenant = %(tenant)s AND state = 'needs_mapping'
"""
"""Give what waits for a mapping another chance."""

MARK_SIGN_IN: Final = """
    UPDATE finance_export_jobs SET state = 'needs_sign_in', reason = 'sign_in', last_error = %(error)s
    WHERE tenant = %(tenant)s AND position <= %(last_position)s AND state IN ('pending', 'sent', 'unknown')
"""
"""The access token is not taken: what would go waits for another."""

LIFT_SIGN_IN: Final = """
    UPDATE finance_export_jobs SET reason = NULL,
        state = CASE WHEN call_id IS NULL THEN 'pending' ELSE 'sent' END
    WHERE tenant = %(tenant)s AND state = 'needs_sign_in'
"""
"""Send what waited for a sign-in."""

RELEASE_HELD: Final = """
    UPDATE finance_export_jobs SET state = CASE WHEN body IS NULL THEN 'blocked' ELSE 'pending' END,
        reason = NULL, last_error = NULL
    WHERE tenant = %(tenant)s AND state = 'held' AND position <= %(last_position)s
        AND (%(closed_until)s::date IS NULL OR effective_date > %(closed_until)s::date)
"""
"""Let go what was held and now lies after the closing date."""

HOLD_CLOSED: Final = """
    UPDATE finance_export_jobs SET state = 'held', reason = 'closed_period', last_error = %(error)s
    WHERE tenant = %(tenant)s AND state IN ('blocked', 'pending') AND position <= %(last_position)s
        AND effective_date <= %(closed_until)s::date
"""
"""Hold what lies on or before the closing date."""

# --- fixing their bytes

MARK_UNMAPPED_CUSTOMERS: Final = """
    WITH broken AS MATERIALIZED (
        SELECT key, reason, error FROM finance_export_map
        WHERE tenant = %(tenant)s AND realm = %(realm)s AND kind = 'Customer' AND error IS NOT NULL
    )
    UPDATE finance_export_jobs j SET state = 'needs_mapping', reason = broken.reason, last_error = broken.error
    FROM broken
    WHERE j.tenant = %(tenant)s AND j.state = 'blocked' AND j.position <= %(last_position)s
        AND j.customer = broken.key
"""
"""Set aside the documents whose customer could not be made."""


class BindableJob(msgspec.Struct, frozen=True, kw_only=True):
    """A document whose customer, invoice and credit memo have their ids in QuickBooks; and so has what it changes."""

    id: int
    kind: DocumentKind
    number: str
    template: bytes
    changed_id: str | None
    sync_token: str | None
    customer: str | None
    customer_id: str | None
    invoice: str | None
    invoice_id: str | None
    credit_memo: str | None
    credit_memo_id: str | None


SELECT_BINDABLE: Final = """
    SELECT j.id, j.kind, j.number, j.template, j.customer, c.quickbooks_id AS customer_id, j.invoice,
        i.quickbooks_id AS invoice_id, j.credit_memo, m.quickbooks_id AS credit_memo_id,
        p.quickbooks_id AS changed_id, p.sync_token
    FROM finance_export_jobs j
    LEFT JOIN LATERAL (
        SELECT quickbooks_id FROM finance_export_map
        WHERE tenant = j.tenant AND realm = j.realm AND kind = 'Customer' AND key = j.customer LIMIT 1
    ) AS c ON true
    LEFT JOIN LATERAL (
        SELECT quickbooks_id FROM finance_export_jobs
        WHERE tenant = j.tenant AND realm = j.realm AND kind = 'Invoice' AND number = j.invoice LIMIT 1
    ) AS i ON true
    LEFT JOIN LATERAL (
        SELECT quickbooks_id FROM finance_export_jobs
        WHERE tenant = j.tenant AND realm = j.realm AND kind = 'CreditMemo' AND number = j.credit_memo LIMIT 1
    ) AS m ON true
    LEFT JOIN LATERAL (
        SELECT quickbooks_id, sync_token FROM finance_export_jobs
        WHERE j.version > 1 AND tenant = j.tenant AND realm = j.realm AND kind = j.kind
            AND source_id = j.source_id AND version = j.version - 1 LIMIT 1
    ) AS p ON true
    WHERE j.tenant = %(tenant)s AND j.state = 'blocked' AND j.position <= %(last_position)s
        AND (j.version = 1 OR p.quickbooks_id IS NOT NULL)
        AND (j.customer IS NULL OR c.quickbooks_id IS NOT NULL)
        AND (j.invoice IS NULL OR i.quickbooks_id IS NOT NULL)
        AND (j.credit_memo IS NULL OR m.quickbooks_id IS NOT NULL)
    ORDER BY j.position, j.id LIMIT %(rows)s
"""
"""Read the next documents that can be bound as `BindableJob`."""


class BoundJob(msgspec.Struct, frozen=True, kw_only=True):
    """A document's exact bytes."""

    id: int
    body: bytes
    fingerprint: bytes


BIND: Final = """
    UPDATE finance_export_jobs j SET state = 'pending', body = b.body, fingerprint = b.fingerprint
    FROM unnest(%(id)s::bigint[], %(body)s::bytea[], %(fingerprint)s::bytea[]) AS b (id, body, fingerprint)
    WHERE j.id = b.id AND j.state = 'blocked'
"""
"""Fix the bytes of `BoundJob`s."""


class UnmappedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A document that refers to what QuickBooks does not have."""

    id: int
    reason: ExportReason
    error: str


MARK_NEEDS_MAPPING: Final = """
    UPDATE finance_export_jobs j SET state = 'needs_mapping', reason = u.reason, last_error = u.error
    FROM unnest(%(id)s::bigint[], %(reason)s::text[], %(error)s::text[]) AS u (id, reason, error)
    WHERE j.id = u.id
"""
"""Set `UnmappedJob`s aside until the next batch."""


class PendingJob(msgspec.Struct, frozen=True, kw_only=True):
    """A document that can be sent. `attempts` counts the calls that it was in, `counted` those of them that were not
    refused over another document.
    """

    id: int
    kind: DocumentKind
    number: str
    version: int
    customer: str | None
    body: bytes
    attempts: int
    counted: int
    fingerprint: bytes


SELECT_PENDING: Final = """
    SELECT id, kind, number, version, customer, body, attempts, attempts - divisions AS counted, fingerprint
    FROM finance_export_jobs
    WHERE tenant = %(tenant)s AND state = 'pending' AND position <= %(last_position)s AND id <> ALL(%(apart)s)
    ORDER BY position, id LIMIT %(rows)s
"""
"""Read the next documents to be sent as `PendingJob`, without those that go `apart`."""

SELECT_APART: Final = """
    SELECT id, kind, number, version, customer, body, attempts, attempts - divisions AS counted, fingerprint
    FROM finance_export_jobs
    WHERE id = ANY(%(ids)s) AND state = 'pending' ORDER BY position, id
"""
"""Read those of some documents that are to be sent as `PendingJob`."""
