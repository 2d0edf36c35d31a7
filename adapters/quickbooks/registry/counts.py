"""How many documents of a batch are in which state: counted when it is registered, then moved by trigger."""

from typing import Final

COUNT: Final = """
    INSERT INTO finance_export_counts (tenant, position, state, documents)
    SELECT tenant, %(position)s, state, count(*) FROM finance_export_jobs
    WHERE tenant = %(tenant)s AND state <> 'confirmed' AND position <= %(position)s AND position > coalesce(
        (SELECT max(position) FROM finance_export_batches WHERE tenant = %(tenant)s AND position < %(position)s), 0)
    GROUP BY tenant, state
"""
"""Count a new batch's own documents: those that no earlier batch covers. Whatever registers them comes first."""

SET_COVERED: Final = """
    UPDATE finance_export_batches SET covered = coalesce((
        SELECT sum(documents) FROM finance_export_counts
        WHERE tenant = %(tenant)s AND position <= %(position)s), 0)
    WHERE batch_id = %(batch_id)s
"""
"""Note how many documents a new batch covers: its own, and those that earlier batches left."""

FORGET_EMPTY: Final = """
    DELETE FROM finance_export_counts WHERE tenant = %(tenant)s AND documents = 0
"""
"""Leave out what counts nothing any more."""
