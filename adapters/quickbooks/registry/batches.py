"""The export batches: which were asked for, and what became of each."""

from typing import Final

INSERT: Final = """
    INSERT INTO finance_export_batches (batch_id, tenant, position, requested_at)
    VALUES (%(batch_id)s, %(tenant)s, %(position)s, %(requested_at)s) ON CONFLICT (batch_id) DO NOTHING
"""
"""Queue a batch: it covers what is registered up to its position."""

NOTIFY: Final = "SELECT pg_notify('bursar_export', %(tenant)s)"
"""Wake the senders, once what was registered is committed."""

LISTEN: Final = "LISTEN bursar_export"
"""Be woken by `NOTIFY`."""

START: Final = """
    UPDATE finance_export_batches SET status = 'running'
    WHERE tenant = %(tenant)s AND position <= %(last_position)s AND status = 'queued'
"""
"""Take up what is queued. The number of rows tells whether anything is new."""

RESUME: Final = """
    UPDATE finance_export_batches SET status = 'running', reason = NULL, finished_at = NULL
    WHERE tenant = %(tenant)s AND status = 'needs_attention'
"""
"""A pause is over: what it had ended goes on, whatever its position, as `CALL_ALL_FOR_ATTENTION` ended it."""

COMPLETE: Final = """
    UPDATE finance_export_batches b SET status = 'completed', reason = NULL, finished_at = clock_timestamp()
    WHERE b.tenant = %(tenant)s AND b.status <> 'completed' AND NOT EXISTS (
        SELECT FROM finance_export_counts c
        WHERE c.tenant = b.tenant AND c.position <= b.position AND c.documents > 0)
"""
"""Complete every batch of which all that it covers is confirmed."""

CALL_FOR_ATTENTION: Final = """
    UPDATE finance_export_batches
    SET status = 'needs_attention', reason = %(reason)s, finished_at = clock_timestamp()
    WHERE tenant = %(tenant)s AND position <= %(last_position)s AND status IN ('queued', 'running')
"""
"""All that could be sent is sent: a person must look at what is not confirmed."""

CALL_ALL_FOR_ATTENTION: Final = """
    UPDATE finance_export_batches
    SET status = 'needs_attention', reason = %(reason)s, finished_at = clock_timestamp()
    WHERE tenant = %(tenant)s AND status IN ('queued', 'running')
"""
"""A pause holds up every open batch, also one that was requested since the turn began."""
