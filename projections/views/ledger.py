"""Ledger accounts: the chart with its totals, and every entry with its running balance."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final

import msgspec
import psycopg

from domain.chart import DEBIT_NORMAL
from domain.ids import AccountCode
from projections.engine.fold import Fold, Projection
from projections.engine.reading import DateKey, Page, page, rows_of
from projections.views import transactions

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

# Of an account's balance, its row's place finds it again at once, and its position (no other row's) sorts
# fastest; nobody else changes these rows. All of one transaction's debits say the same of it.
_POSTED: Final = Fold("""
WITH posted AS MATERIALIZED (
    SELECT b.ctid AS place, b.position AS since, b.debits - b.credits AS before, e.*
    FROM (
        SELECT split_part(originator_id, '/', 1) AS tenant, split_part(originator_id, '/', 3) AS code, position,
            CASE WHEN is_debit THEN bursar_number(event, 'amount') ELSE 0 END AS debit,
            CASE WHEN is_debit THEN 0 ELSE bursar_number(event, 'amount') END AS credit,
            CASE WHEN is_debit THEN bursar_member(event, 'transaction_id')::uuid END AS transaction_id,
            bursar_member(event, 'effective_date')::date AS effective_date,
            CASE WHEN is_debit THEN bursar_member(event, 'recorded_at')::timestamptz END AS recorded_at
        FROM (
            SELECT originator_id, notification_id AS position, convert_from(state, 'UTF8') AS event,
                topic = 'bursar.account.debited.v1' AS is_debit
            FROM events
            WHERE notification_id > %(after)s AND notification_id <= %(upto)s
                AND topic IN ('bursar.account.debited.v1', 'bursar.account.credited.v1')
            OFFSET 0
        ) AS stored
        OFFSET 0
    ) AS e
    LEFT JOIN ledger_balances b ON b.tenant = e.tenant AND b.code = e.code
), entered AS (
    INSERT INTO ledger_entries (tenant, code, position, effective_date, debit, credit, balance)
    SELECT tenant, code, position, effective_date, debit, credit,
        before + sum(debit - credit) OVER (PARTITION BY since ORDER BY position ROWS UNBOUNDED PRECEDING)
    FROM posted
), begun AS (
    INSERT INTO ledger_transactions (position, tenant, transaction_id, effective_date, recorded_at, last_position, action)
    SELECT t.position, t.tenant, t.transaction_id, t.effective_date, t.recorded_at, c.position,
        CASE c.command WHEN 'bulk.atomic' THEN 'wallet.transfer' ELSE c.command END
    FROM (
        SELECT min(position) AS position, tenant, transaction_id, effective_date, recorded_at
        FROM posted WHERE transaction_id IS NOT NULL
        GROUP BY transaction_id, tenant, effective_date, recorded_at
    ) AS t
    CROSS JOIN LATERAL (
        SELECT position, command FROM commands WHERE position >= t.position ORDER BY position LIMIT 1
    ) AS c
)
UPDATE ledger_balances b
SET debits = b.debits + s.debits, credits = b.credits + s.credits, position = s.position
FROM (
    SELECT place, sum(debit) AS debits, sum(credit) AS credits, max(position) AS position
    FROM posted GROUP BY place
) AS s
WHERE b.ctid = s.place
""")

# Of commands that commit together the log has one action; what each does is told by the kind of what it numbered, behind
# its postings. A transfer numbers nothing.
_DONE_TOGETHER: Final = Fold("""
UPDATE ledger_transactions t SET action = CASE n.event ->> 'kind'
    WHEN 'top_up' THEN 'wallet.top_up'
    WHEN 'charge' THEN 'wallet.charge'
    WHEN 'sale' THEN 'pos.checkout'
    WHEN 'refund' THEN 'pos.refund'
    WHEN 'settlement' THEN 'invoice.settle'
    WHEN 'reversal' THEN 'transaction.reverse'
    WHEN 'invoice' THEN
        CASE n.event ->> 'document' WHEN t.transaction_id::text THEN 'invoice.create' ELSE 'invoice.issue' END
END
FROM (
    SELECT e.event, b.position
    FROM commands c
    CROSS JOIN LATERAL (
        SELECT notification_id AS position, convert_from(state, 'UTF8')::jsonb AS event FROM events
        WHERE notification_id >= c.first_position AND notification_id <= c.position
            AND topic = 'bursar.series.number_allocated.v1'
        OFFSET 0
    ) AS e
    CROSS JOIN LATERAL (
        SELECT position FROM ledger_transactions
        WHERE position >= c.first_position AND position <= e.position ORDER BY position DESC LIMIT 1
    ) AS b
    WHERE c.position > %(after)s AND c.position <= %(upto)s AND c.command = 'bulk.atomic'
) AS n
WHERE t.position = n.position
""")

PROJECTION: Final = Projection(
    name="ledger",
    tables=("ledger_accounts", "ledger_balances", "ledger_transactions", "ledger_entries"),
    folds=(_ACCOUNTS_OPENED, _POSTED, _DONE_TOGETHER),
)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account of the chart. Amounts in minor units; `balance` is positive on the account's normal side."""

    code: AccountCode
    name: str
    type: str
    role: str
    currency: str
    debits: int
    credits: int
    balance: int


class _StoredEntry(msgspec.Struct, frozen=True, kw_only=True):
    position: int
    transaction_id: str
    effective_date: date
    recorded_at: datetime
    debit: int
    credit: int
    balance: int


class Entry(_StoredEntry, frozen=True, kw_only=True):
    """One posting; `balance` is the account's afterwards in record order, positive on its normal side.

    `description` and `receipt`, which is a number, are its transaction's.
    """

    description: str
    receipt: str | None


_SELECT_ACCOUNTS: Final = """
SELECT a.code, a.name, a.type, a.role, a.currency, b.debits, b.credits,
    CASE WHEN a.type = ANY (%(debit_normal)s) THEN b.debits - b.credits ELSE b.credits - b.debits END AS balance
FROM ledger_accounts a JOIN ledger_balances b ON b.tenant = a.tenant AND b.code = a.code
WHERE %(codes)s::text[] IS NULL OR a.code = ANY (%(codes)s)
ORDER BY a.code
"""

_COLUMNS: Final = """
SELECT e.position, t.transaction_id::text, e.effective_date, t.recorded_at, e.debit, e.credit,
    CASE WHEN a.type = ANY (%(debit_normal)s) THEN e.balance ELSE - e.balance END AS balance
FROM ledger_accounts a
JOIN ledger_entries e ON e.tenant = a.tenant AND e.code = a.code
CROSS JOIN LATERAL (
    SELECT * FROM ledger_transactions t WHERE t.position <= e.position ORDER BY t.position DESC LIMIT 1
) AS t
WHERE a.code = %(code)s
"""
_SELECT_ENTRIES: Final = _COLUMNS + " AND e.position > %(after)s ORDER BY e.position LIMIT %(limit)s"
_SELECT_ENTRIES_OF_DAYS: Final = (
    _COLUMNS
    + """
    AND (e.effective_date, e.position) > (%(after_date)s::date, %(after)s) AND e.effective_date <= %(to)s::date
ORDER BY e.effective_date, e.position LIMIT %(limit)s
"""
)


async def accounts(connection: psycopg.AsyncConnection[Any]) -> list[Account]:
    """The tenant's whole chart, by code."""
    return await rows_of(
        connection, Account, _SELECT_ACCOUNTS, {"codes": None, "debit_normal": sorted(DEBIT_NORMAL)}
    )


async def find(connection: psycopg.AsyncConnection[Any], codes: Collection[str]) -> dict[str, Account]:
    """Those of the accounts that the chart has, as of now, by code."""
    rows = await rows_of(
        connection, Account, _SELECT_ACCOUNTS, {"codes": list(codes), "debit_normal": sorted(DEBIT_NORMAL)}
    )
    return {row.code: row for row in rows}


async def entries(
    connection: psycopg.AsyncConnection[Any],
    code: str,
    *,
    first: date | None = None,
    last: date | None = None,
    limit: int,
    after: DateKey | None = None,
) -> Page[Entry, DateKey]:
    """The account's entries in record order; those with effective dates `first` to `last`, both inclusive, by date, then
    position, where either is given.
    """
    begin = DateKey(first or date.min, 0)
    begin = begin if after is None else after
    rows = await rows_of(
        connection,
        _StoredEntry,
        _SELECT_ENTRIES if first is None and last is None else _SELECT_ENTRIES_OF_DAYS,
        {
            "code": code,
            "after_date": begin.effective_date,
            "after": begin.position,
            "to": last or date.max,
            "limit": limit + 1,
            "debit_normal": sorted(DEBIT_NORMAL),
        },
    )
    stored = page(rows, limit, lambda entry: DateKey(entry.effective_date, entry.position))
    told = await transactions.find(connection, {entry.transaction_id for entry in stored.data})
    return Page(
        data=[
            Entry(
                **msgspec.structs.asdict(entry),
                description=told[entry.transaction_id].description,
                receipt=told[entry.transaction_id].receipt,
            )
            for entry in stored.data
        ],
        next=stored.next,
        has_more=stored.has_more,
    )
