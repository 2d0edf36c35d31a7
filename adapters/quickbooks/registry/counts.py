"""How many documents of a batch are in which state: counted when it is registered, then moved by trigger."""

from typing import Final

COUNT: Final = """
    INSERT INTO finance_export_counts (tenant, position, state, documents)
    SELECT tenant, %(position)s, state, count(*) FROM finance_export_jobs
    WHERE tenant = %(tenant)s AND state <> 'confirmed' AND position <= %(position)s AND position > coalesce(
        (SELECT max(position) FROM finance_export_batches WHERE tenant = %(tenant)s AND position < %(position)s), 0)
    GROUP BY tenant, state
    ON CONFLICT DO NOTHING
"""
"""Count a new batch's own documents: those that no earlier batch covers. Whatever registers them comes first.

Where one message asks for several batches, the first counts for all.
"""

SET_COVERED: Final = """
    UPDATE finance_export_batches b SET covered = found.documents, covers_after = coalesce((
        SELECT max(position) FROM finance_export_batches WHERE tenant = %(tenant)s AND position < found.first), 0)
    FROM (
        SELECT coalesce(sum(documents), 0) AS documents, coalesce(min(position), %(position)s) AS first
        FROM finance_export_counts WHERE tenant = %(tenant)s AND position <= %(position)s AND documents > 0
    ) AS found
    WHERE b.batch_id = %(batch_id)s
"""
"""Note how many documents a new batch covers, its own and those that earlier batches left, and where they begin."""

FORGET_EMPTY: Final = """
    DELETE FROM finance_export_counts WHERE tenant = %(tenant)s AND documents = 0
"""
"""Leave out what counts nothing any more."""
