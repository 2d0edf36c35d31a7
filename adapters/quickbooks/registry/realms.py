"""QuickBooks companies: one sender each, and how much each may be asked for."""

from typing import Final

import msgspec

TRY_LOCK: Final = "SELECT pg_try_advisory_lock(hashtext('bursar export'), hashtext(%(realm)s))"
"""Take a company for this connection alone. False if another has it."""

UNLOCK: Final = "SELECT pg_advisory_unlock(hashtext('bursar export'), hashtext(%(realm)s))"
"""Leave a company to others."""

INSERT: Final = """
    INSERT INTO finance_export_realms (realm, batches_per_minute, items_per_minute, in_flight)
    VALUES (%(realm)s, %(batches_per_minute)s, %(items_per_minute)s, %(in_flight)s)
    ON CONFLICT (realm) DO NOTHING
"""
"""Give a company the limits of the settings, where it has none of its own."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a company may be asked for: None is no limit. It is left alone for `quiet_seconds` from now."""

    batches_per_minute: int | None
    items_per_minute: int | None
    in_flight: int
    quiet_seconds: float


SELECT_LIMITS: Final = """
    SELECT batches_per_minute, items_per_minute, in_flight,
        CASE WHEN quiet_until > clock_timestamp()
            THEN extract(epoch FROM quiet_until - clock_timestamp())::float8 ELSE 0::float8 END AS quiet_seconds
    FROM finance_export_realms WHERE realm = %(realm)s
"""
"""Read a company's `Limits`."""


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What went out in the last minute; its first is a minute old in `seconds`."""

    batches: int
    items: int
    seconds: float


# No company is asked as often as the limit in a minute; it keeps the plan to the newest end of the index.
SELECT_SPENT: Final = """
    SELECT count(*) AS batches, coalesce(sum(items), 0)::bigint AS items,
        coalesce(extract(epoch FROM min(at) + interval '60 s' - clock_timestamp()), 0)::float8 AS seconds
    FROM (
        SELECT at, items FROM finance_export_sends
        WHERE realm = %(realm)s AND at > (SELECT clock_timestamp()) - interval '60 s'
        ORDER BY at DESC LIMIT 1000
    ) AS sends
"""
"""Read what a company was asked for as `Spent`."""

BE_QUIET: Final = """
    UPDATE finance_export_realms
    SET quiet_until = greatest(quiet_until, clock_timestamp() + make_interval(secs => %(seconds)s))
    WHERE realm = %(realm)s
"""
"""Leave a company alone for so long."""


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went out."""

    id: int


INSERT_SEND: Final = """
    INSERT INTO finance_export_sends (realm, call_id, items) VALUES (%(realm)s, %(call_id)s, %(items)s)
    RETURNING id
"""
"""Note a batch as sent, as `Send`."""

ANSWER_SEND: Final = """
    UPDATE finance_export_sends SET answered_at = clock_timestamp(), outcome = %(outcome)s WHERE id = %(id)s
"""
"""Note what came back."""
