"""Calls: stored before they are sent, open until it is known what became of each of their documents."""

from typing import Final

import msgspec

from adapters.quickbooks.mapping.document import DocumentKind


class StoredCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that was stored."""

    id: int


INSERT: Final = """
    INSERT INTO finance_export_calls (tenant, realm, request_id, job_ids, body)
    VALUES (%(tenant)s, %(realm)s, %(request_id)s, %(job_ids)s, %(body)s)
    RETURNING id
"""
"""Store a call, as `StoredCall`."""

MARK_SENT: Final = """
    UPDATE finance_export_jobs SET state = 'sent', call_id = %(call_id)s, attempts = attempts + 1
    WHERE id = ANY(%(job_ids)s) AND state = 'pending'
"""
"""Note that a call's documents go out with it."""


class OpenCallJob(msgspec.Struct, frozen=True, kw_only=True):
    """A document of an open call, beside its call, which last went out `sent_seconds_ago`."""

    call_id: int
    request_id: str
    call_body: bytes
    sent_seconds_ago: float
    job_id: int
    kind: DocumentKind
    number: str
    version: int
    customer: str | None
    job_body: bytes
    counted: int


SELECT_OPEN: Final = """
    SELECT c.id AS call_id, c.request_id, c.body AS call_body,
        coalesce((SELECT extract(epoch FROM clock_timestamp() - max(s.at)) FROM finance_export_sends s
                  WHERE s.realm = c.realm AND s.call_id = c.id), 'infinity')::float8 AS sent_seconds_ago,
        j.id AS job_id, j.kind, j.number, j.version, j.customer, j.body AS job_body,
        j.attempts - j.divisions AS counted
    FROM finance_export_calls c
    CROSS JOIN LATERAL unnest(c.job_ids) WITH ORDINALITY AS o (job_id, place)
    JOIN finance_export_jobs j ON j.id = o.job_id
    WHERE c.tenant = %(tenant)s AND c.state = 'open' ORDER BY c.id, o.place
"""
"""Read the calls that an earlier sender left without an outcome, as an `OpenCallJob` for each document."""

SETTLE_JOBS: Final = """
    UPDATE finance_export_jobs j SET state = r.state, quickbooks_id = r.quickbooks_id, sync_token = r.sync_token,
        reason = r.reason, last_error = r.error, call_id = NULL,
        divisions = divisions + CASE WHEN %(divided)s AND r.state = 'pending' THEN 1 ELSE 0 END,
        confirmed_at = CASE WHEN r.state = 'confirmed' THEN clock_timestamp() END
    FROM unnest(%(job_id)s::bigint[], %(state)s::text[], %(quickbooks_id)s::text[], %(sync_token)s::text[],
        %(reason)s::text[], %(error)s::text[]) AS r (id, state, quickbooks_id, sync_token, reason, error)
    WHERE j.id = r.id AND j.call_id = %(call_id)s
"""
"""Note what became of a call's documents, as `api.calls.Result` has it; a call that is `divided` counts against none."""

CLOSE: Final = """
    UPDATE finance_export_calls SET state = 'closed', closed_at = clock_timestamp() WHERE id = %(call_id)s
"""
"""Note that a call is over."""

MARK_UNKNOWN: Final = """
    UPDATE finance_export_jobs SET state = 'unknown', reason = 'answer_lost', last_error = %(error)s
    WHERE call_id = %(call_id)s AND state = 'sent'
"""
"""Note that a call's answer was lost."""
