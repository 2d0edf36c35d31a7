"""Holds on wallets: what each set aside, and what became of it.

The end of a hold that expired is recorded by the next command on its wallet alone, so whoever reads says by the clock
whether a hold still counts.
"""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

import psycopg

from domain.wallet import HoldStatus, HoldView
from projections.engine.fold import Fold
from projections.engine.reading import Page, page, rows_of

_PLACED: Final = Fold("""
WITH placed AS (
    INSERT INTO wallet_holds (tenant, hold, account, amount, expires_at, currency, description, position)
    SELECT tenant, (event ->> 'hold')::uuid, event ->> 'account', (event ->> 'amount')::bigint,
        (event ->> 'expires_at')::timestamptz, event ->> 'currency', event ->> 'description', position
    FROM (
        SELECT split_part(originator_id, '/', 1) AS tenant, notification_id AS position,
            convert_from(state, 'UTF8')::jsonb AS event
        FROM events
        WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = 'bursar.wallet.held.v1'
        OFFSET 0
    ) AS stored
    RETURNING tenant, account
)
UPDATE wallet_accounts a SET holds = a.holds + s.placed
FROM (SELECT tenant, account, count(*) AS placed FROM placed GROUP BY tenant, account) AS s
WHERE a.tenant = s.tenant AND a.account = s.account
""")

# A hold ends once.
_ENDED: Final = Fold("""
WITH ended AS (
    UPDATE wallet_holds h
    SET status = s.status, captured = s.captured
    FROM (
        SELECT tenant, (event ->> 'hold')::uuid AS hold, status, coalesce((event ->> 'captured')::bigint, 0) AS captured
        FROM (
            SELECT split_part(originator_id, '/', 1) AS tenant, convert_from(state, 'UTF8')::jsonb AS event,
                CASE topic WHEN 'bursar.wallet.hold_captured.v1' THEN 'captured'
                    WHEN 'bursar.wallet.hold_released.v1' THEN 'released' ELSE 'expired' END AS status
            FROM events
            WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic IN (
                'bursar.wallet.hold_captured.v1', 'bursar.wallet.hold_released.v1', 'bursar.wallet.hold_expired.v1')
            OFFSET 0
        ) AS stored
    ) AS s
    WHERE h.tenant = s.tenant AND h.hold = s.hold
    RETURNING h.tenant, h.account
)
UPDATE wallet_accounts a SET holds = a.holds - s.ended
FROM (SELECT tenant, account, count(*) AS ended FROM ended GROUP BY tenant, account) AS s
WHERE a.tenant = s.tenant AND a.account = s.account
""")

TABLE: Final = "wallet_holds"
FOLDS: Final = (_PLACED, _ENDED)

HELD: Final = """
CROSS JOIN LATERAL (
    SELECT CASE a.holds WHEN 0 THEN 0 ELSE (
        SELECT coalesce(sum(amount), 0)::bigint FROM wallet_holds h
        WHERE h.tenant = a.tenant AND h.account = a.account AND h.status = 'active'
            AND h.expires_at > statement_timestamp()
    ) END AS held
) AS h
"""
"""Joins to each wallet `a` what holds set aside of it at this moment: few have holds whose end is not recorded."""

_COLUMNS: Final = """
SELECT hold::text AS id, account, amount, captured,
    CASE WHEN status = 'active' AND expires_at <= statement_timestamp() THEN 'expired' ELSE status END AS status,
    expires_at, currency, description
FROM wallet_holds
"""
_SELECT_BY_ID: Final = _COLUMNS + "WHERE hold = ANY (%(holds)s::uuid[])"
# A status that is asked for may stand under several recorded ones: each is read along the index, as far as the page goes.
_SELECT_PAGE: Final = f"""
SELECT f.* FROM unnest(%(recorded)s::text[]) AS r (recorded) CROSS JOIN LATERAL (
    {_COLUMNS} WHERE account = %(account)s AND status = r.recorded AND hold > %(after)s::uuid
        AND (status <> 'active' OR %(counts)s::boolean IS NULL
            OR (expires_at > statement_timestamp()) = %(counts)s::boolean)
    ORDER BY hold LIMIT %(limit)s
) AS f ORDER BY f.id LIMIT %(limit)s
"""  # noqa: S608  the columns above, nobody's input
_RECORDED: Final[dict[HoldStatus | None, tuple[list[HoldStatus], bool | None]]] = {
    None: (["active", "captured", "released", "expired"], None),
    "active": (["active"], True),
    "captured": (["captured"], None),
    "released": (["released"], None),
    "expired": (["expired", "active"], False),
}
"""Under which recorded statuses holds of a status stand, and whether those that are recorded as active must count now."""
_BEFORE_ALL: Final = str(UUID(int=0))


async def find(connection: psycopg.AsyncConnection[Any], hold_ids: Collection[str]) -> dict[str, HoldView]:
    """Those of the holds that there are, by id. The ids must be UUIDs."""
    rows = await rows_of(connection, HoldView, _SELECT_BY_ID, {"holds": list(hold_ids)})
    return {row.id: row for row in rows}


async def holds(
    connection: psycopg.AsyncConnection[Any],
    account: str,
    *,
    status: HoldStatus | None = None,
    limit: int,
    after: str | None = None,
) -> Page[HoldView, str]:
    """A wallet's holds in the order in which they were placed (their ids'), those that now have a status where given.

    `after` is the id of a hold; only those placed after it are listed.
    """
    recorded, counts = _RECORDED[status]
    parameters = {
        "account": account,
        "recorded": recorded,
        "counts": counts,
        "after": after or _BEFORE_ALL,
        "limit": limit + 1,
    }
    rows = await rows_of(connection, HoldView, _SELECT_PAGE, parameters)
    return page(rows, limit, lambda hold: hold.id)
