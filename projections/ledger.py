"""Ledger accounts: the chart with its totals, and every entry with its running balance."""

from datetime import date, datetime
from typing import Any, Final

import msgspec
import psycopg

from domain.chart import DEBIT_NORMAL
from projections.fold import Fold, Projection
from projections.reading import Page, after_position, page, rows_of

_ACCOUNTS_OPENED: Final = Fold("""
WITH opened AS (
    SELECT split_part(originator_id, '/', 1) AS tenant, notification_id AS position,
        convert_from(state, 'UTF8')::jsonb AS event
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = 'bursar.account.opened.v1'
), listed AS (
    INSERT INTO ledger_accounts (tenant, code, name, type, role, currency, opened_at, position)
    SELECT tenant, event ->> 'code', event ->> 'name', event ->> 'type', event ->> 'role', event ->> 'currency',
        (event ->> 'recorded_at')::timestamptz, position
    FROM opened
)
INSERT INTO ledger_balances (tenant, code, debits, credits, position)
SELECT tenant, event ->> 'code', 0, 0, position FROM opened
""")

_POSTED: Final = Fold("""
WITH posted AS MATERIALIZED (
    SELECT originator_id, split_part(originator_id, '/', 1) AS tenant, split_part(originator_id, '/', 3) AS code,
        position,
        CASE WHEN topic = 'bursar.account.debited.v1' THEN amount ELSE 0 END AS debit,
        CASE WHEN topic = 'bursar.account.credited.v1' THEN amount ELSE 0 END AS credit
    FROM (
        SELECT originator_id, notification_id AS position, topic,
            bursar_number(convert_from(state, 'UTF8'), 'amount') AS amount
        FROM events
        WHERE notification_id > %(after)s AND notification_id <= %(upto)s
            AND topic IN ('bursar.account.debited.v1', 'bursar.account.credited.v1')
        OFFSET 0
    ) AS event
), entered AS (
    INSERT INTO ledger_entries (tenant, code, position, debit, credit, balance)
    SELECT p.tenant, p.code, p.position, p.debit, p.credit,
        coalesce(b.debits - b.credits, 0)
        + sum(p.debit - p.credit) OVER (PARTITION BY p.originator_id ORDER BY p.position ROWS UNBOUNDED PRECEDING)
    FROM posted p LEFT JOIN ledger_balances b ON b.tenant = p.tenant AND b.code = p.code
)
UPDATE ledger_balances b
SET debits = b.debits + s.debits, credits = b.credits + s.credits, position = s.position
FROM (
    SELECT tenant, code, sum(debit) AS debits, sum(credit) AS credits, max(position) AS position
    FROM posted GROUP BY originator_id, tenant, code
) AS s
WHERE b.tenant = s.tenant AND b.code = s.code
""")

_TRANSACTIONS: Final = Fold("""
INSERT INTO ledger_transactions (position, tenant, transaction_id, command, effective_date, recorded_at)
SELECT c.position, c.tenant, c.id, c.command,
    bursar_member(convert_from(e.state, 'UTF8'), 'effective_date')::date, c.recorded_at
FROM commands c CROSS JOIN LATERAL (
    SELECT state FROM events
    WHERE notification_id >= c.first_position AND notification_id <= c.position
        AND topic = 'bursar.account.debited.v1'
    ORDER BY notification_id LIMIT 1
) AS e
WHERE c.position > %(after)s AND c.position <= %(upto)s
""")

PROJECTION: Final = Projection(
    name="ledger",
    tables=("ledger_accounts", "ledger_balances", "ledger_transactions", "ledger_entries"),
    folds=(_ACCOUNTS_OPENED, _POSTED, _TRANSACTIONS),
)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account of the chart. Amounts in minor units; `balance` is positive on the account's normal side."""

    code: str
    name: str
    type: str
    role: str
    currency: str
    debits: int
    credits: int
    balance: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One posting; `balance` is the account's afterwards in record order, positive on its normal side."""

    position: int
    transaction_id: str
    command: str
    effective_date: date
    recorded_at: datetime
    debit: int
    credit: int
    balance: int


_SELECT_ACCOUNTS: Final = """
SELECT a.code, a.name, a.type, a.role, a.currency, b.debits, b.credits,
    CASE WHEN a.type = ANY (%(debit_normal)s) THEN b.debits - b.credits ELSE b.credits - b.debits END AS balance
FROM ledger_accounts a JOIN ledger_balances b ON b.tenant = a.tenant AND b.code = a.code
WHERE %(code)s::text IS NULL OR a.code = %(code)s
ORDER BY a.code
"""

_SELECT_ENTRIES: Final = """
SELECT e.position, t.transaction_id::text, t.command, t.effective_date, t.recorded_at, e.debit, e.credit,
    CASE WHEN a.type = ANY (%(debit_normal)s) THEN e.balance ELSE - e.balance END AS balance
FROM ledger_accounts a
JOIN ledger_entries e ON e.tenant = a.tenant AND e.code = a.code
CROSS JOIN LATERAL (
    SELECT * FROM ledger_transactions t WHERE t.position >= e.position ORDER BY t.position LIMIT 1
) AS t
WHERE a.code = %(code)s AND e.position > %(after)s
ORDER BY e.position LIMIT %(limit)s
"""


async def accounts(connection: psycopg.AsyncConnection[Any]) -> list[Account]:
    """The tenant's whole chart, by code."""
    return await rows_of(
        connection, Account, _SELECT_ACCOUNTS, {"code": None, "debit_normal": sorted(DEBIT_NORMAL)}
    )


async def account(connection: psycopg.AsyncConnection[Any], code: str) -> Account | None:
    """One account as of now, or None where the chart has none of that code."""
    found = await rows_of(
        connection, Account, _SELECT_ACCOUNTS, {"code": code, "debit_normal": sorted(DEBIT_NORMAL)}
    )
    return found[0] if found else None


async def entries(
    connection: psycopg.AsyncConnection[Any], code: str, *, limit: int, cursor: str | None = None
) -> Page[Entry]:
    """The account's entries in record order. Raises `DomainError` (`invalid_request`) for a bad cursor."""
    found = await rows_of(
        connection,
        Entry,
        _SELECT_ENTRIES,
        {
            "code": code,
            "after": after_position(cursor),
            "limit": limit + 1,
            "debit_normal": sorted(DEBIT_NORMAL),
        },
    )
    return page(found, limit, lambda entry: str(entry.position))
