"""Wallets: their balances, and every movement for statements."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec
import psycopg

from domain.ids import WalletId
from domain.wallet import WalletView
from projections.engine.fold import Fold, Projection
from projections.engine.reading import Page, page, page_of_examined, rows_of
from projections.views import holds

_OPENED: Final = Fold("""
WITH opened AS (
    SELECT split_part(originator_id, '/', 1) AS tenant, notification_id AS position,
        convert_from(state, 'UTF8')::jsonb AS event
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = 'bursar.wallet.opened.v1'
), listed AS (
    INSERT INTO wallet_accounts (tenant, account, currency, payer, status, opened_at, position)
    SELECT tenant, event ->> 'account', event ->> 'currency', event ->> 'payer', 'open',
        (event ->> 'recorded_at')::timestamptz, position
    FROM opened
)
INSERT INTO wallet_balances (tenant, account, balance, position)
SELECT tenant, event ->> 'account', 0, position FROM opened
""")

# Of a wallet's balance, its row's place finds it again at once, and its position (no other row's) sorts
# fastest; nobody else changes these rows. Nor those of its days.
_MOVED: Final = Fold("""
WITH moved AS MATERIALIZED (
    SELECT b.ctid AS place, b.position AS since, b.balance AS before,
        d.ctid AS day_place, coalesce(d.net, 0) AS day_before, e.*
    FROM (
        SELECT split_part(originator_id, '/', 1) AS tenant, split_part(originator_id, '/', 3) AS account, position,
            CASE WHEN goes_out THEN - bursar_number(event, 'amount')
                 ELSE bursar_number(event, 'amount') END AS amount,
            bursar_member(event, 'transaction_id')::uuid AS transaction_id,
            bursar_member(event, 'effective_date')::date AS effective_date,
            bursar_member(event, 'recorded_at')::timestamptz AS recorded_at,
            bursar_words(event, 'description') AS description
        FROM (
            SELECT originator_id, notification_id AS position, convert_from(state, 'UTF8') AS event,
                topic IN ('bursar.wallet.charged.v1', 'bursar.wallet.transferred_out.v1',
                    'bursar.wallet.paid_out.v1', 'bursar.wallet.made_dormant.v1',
                    'bursar.wallet.top_up_reversed.v1') AS goes_out
            FROM events
            WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic IN (
                'bursar.wallet.topped_up.v1', 'bursar.wallet.charged.v1', 'bursar.wallet.refunded.v1',
                'bursar.wallet.transferred_out.v1', 'bursar.wallet.transferred_in.v1', 'bursar.wallet.adjusted.v1',
                'bursar.wallet.paid_out.v1', 'bursar.wallet.made_dormant.v1', 'bursar.wallet.top_up_reversed.v1',
                'bursar.wallet.charge_reversed.v1')
            OFFSET 0
        ) AS stored
        OFFSET 0
    ) AS e
    LEFT JOIN wallet_balances b ON b.tenant = e.tenant AND b.account = e.account
    LEFT JOIN wallet_days d ON d.tenant = e.tenant AND d.account = e.account AND d.day = e.effective_date
), entered AS (
    INSERT INTO wallet_transactions (tenant, account, position, transaction_id, amount, balance, day_balance,
        description, effective_date, recorded_at)
    SELECT tenant, account, position, transaction_id, amount,
        before + sum(amount) OVER (PARTITION BY since ORDER BY position ROWS UNBOUNDED PRECEDING),
        day_before + sum(amount) OVER (
            PARTITION BY since, effective_date ORDER BY position ROWS UNBOUNDED PRECEDING),
        description, effective_date, recorded_at
    FROM moved
), days AS (
    SELECT day_place, tenant, account, effective_date AS day, sum(amount) AS net FROM moved GROUP BY 1, 2, 3, 4
), went_on AS (
    UPDATE wallet_days d SET net = d.net + s.net FROM days s WHERE d.ctid = s.day_place
), began AS (
    INSERT INTO wallet_days (tenant, account, day, net)
    SELECT tenant, account, day, net FROM days WHERE day_place IS NULL
)
UPDATE wallet_balances b
SET balance = b.balance + s.amount, position = s.position
FROM (SELECT place, sum(amount) AS amount, max(position) AS position FROM moved GROUP BY place) AS s
WHERE b.ctid = s.place
""")

# Each event says the status that its wallet has from then on, so the last one of the range decides.
_STATUS_CHANGED: Final = Fold("""
UPDATE wallet_accounts a
SET status = s.status
FROM (
    SELECT DISTINCT ON (tenant, account) tenant, account, bursar_member(event, 'status') AS status
    FROM (
        SELECT split_part(originator_id, '/', 1) AS tenant, split_part(originator_id, '/', 3) AS account,
            notification_id AS position, convert_from(state, 'UTF8') AS event
        FROM events
        WHERE notification_id > %(after)s AND notification_id <= %(upto)s
            AND topic IN ('bursar.wallet.frozen.v1', 'bursar.wallet.unfrozen.v1', 'bursar.wallet.closed.v1')
        OFFSET 0
    ) AS stored
    ORDER BY tenant, account, position DESC
) AS s
WHERE a.tenant = s.tenant AND a.account = s.account
""")

_OVERDRAFT_GRANTED: Final = Fold("""
UPDATE wallet_accounts a
SET overdraft_limit = s.overdraft_limit
FROM (
    SELECT DISTINCT ON (tenant, account) tenant, account, bursar_number(event, 'limit') AS overdraft_limit
    FROM (
        SELECT split_part(originator_id, '/', 1) AS tenant, split_part(originator_id, '/', 3) AS account,
            notification_id AS position, convert_from(state, 'UTF8') AS event
        FROM events
        WHERE notification_id > %(after)s AND notification_id <= %(upto)s
            AND topic = 'bursar.wallet.overdraft_granted.v1'
        OFFSET 0
    ) AS stored
    ORDER BY tenant, account, position DESC
) AS s
WHERE a.tenant = s.tenant AND a.account = s.account
""")

PROJECTION: Final = Projection(
    name="wallets",
    tables=("wallet_accounts", "wallet_balances", "wallet_days", "wallet_transactions", holds.TABLE),
    folds=(_OPENED, _MOVED, _STATUS_CHANGED, _OVERDRAFT_GRANTED, *holds.FOLDS),
)


class StatementKey(NamedTuple):
    """A statement's lines are in this order."""

    effective_date: date
    position: int


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One movement: `amount` is signed, `balance` runs by effective date, then position."""

    position: int
    transaction_id: str
    recorded_at: datetime
    effective_date: date
    description: str
    amount: int
    balance: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a wallet's statement. Opening and closing balance are those of the whole range.

    `order` is that of the lines, in which the balance runs: by effective date, then position.
    """

    account: WalletId
    currency: str
    order: Literal["effective"] = "effective"
    opening_balance: int
    closing_balance: int
    lines: list[StatementLine]
    next: StatementKey | None
    has_more: bool


class _StatementRow(msgspec.Struct, frozen=True, kw_only=True):
    account: WalletId
    currency: str
    opening_balance: int
    closing_balance: int
    position: int | None
    transaction_id: str | None
    recorded_at: datetime | None
    effective_date: date | None
    description: str | None
    amount: int | None
    balance: int | None


_COLUMNS: Final = """
SELECT a.account, a.currency, a.payer, b.balance, h.held, b.balance - h.held + a.overdraft_limit AS available,
    a.overdraft_limit, a.status
"""
# Each balance is looked up by its key: without statistics a join goes over all balances of the tenant for each wallet.
_BALANCES: Final = f"""
CROSS JOIN LATERAL (
    SELECT balance FROM wallet_balances b WHERE b.tenant = a.tenant AND b.account = a.account OFFSET 0
) AS b
{holds.HELD}
"""  # noqa: S608  the join of another view, nobody's input
_NAMED: Final = """
FROM unnest(%(accounts)s::text[]) AS w (account) CROSS JOIN LATERAL (
    SELECT * FROM wallet_accounts WHERE account = w.account OFFSET 0
) AS a
"""
_SELECT_BY_ACCOUNT: Final = _COLUMNS + _NAMED + _BALANCES
_LISTED: Final = _COLUMNS + "FROM wallet_accounts a" + _BALANCES + "WHERE a.account > %(after)s"
_IN_ORDER: Final = " ORDER BY a.account LIMIT %(limit)s"
# A statement for each filter, so that each is planned along its own index.
_SELECT_WALLETS: Final = _LISTED + _IN_ORDER
_SELECT_BY_PAYER: Final = _LISTED + " AND a.payer = %(payer)s" + _IN_ORDER
_SELECT_BY_STATUS: Final = _LISTED + " AND a.status = %(status)s" + _IN_ORDER
_SELECT_BY_BOTH: Final = _LISTED + " AND a.payer = %(payer)s AND a.status = %(status)s" + _IN_ORDER
MAX_EXAMINED: Final = 2_000
"""So many wallets are looked at for one page of those with a balance: it changes too often for an index."""

# One statement, so that sums and lines are of one moment. Days are added up, and of movements those of the page alone
# are read: they have one lower bound, since an index is entered at the one of two that happens to come last.
_SELECT_STATEMENT: Final = """
WITH lines AS (
    SELECT position, transaction_id::text, recorded_at, effective_date, description, amount, day_balance
    FROM wallet_transactions
    WHERE account = %(account)s AND (effective_date, position) > (%(after_date)s::date, %(after)s)
        AND effective_date <= %(to)s::date
    ORDER BY effective_date, position LIMIT %(limit)s
), first AS (
    SELECT effective_date, day_balance - amount AS before FROM lines ORDER BY effective_date, position LIMIT 1
), sums AS (
    SELECT
        coalesce(sum(net) FILTER (WHERE day < %(from)s::date), 0) AS opening_balance,
        coalesce(sum(net), 0) AS closing_balance,
        coalesce(sum(net) FILTER (WHERE day < (SELECT effective_date FROM first)), 0)
            + (SELECT before FROM first) AS before_page
    FROM wallet_days
    WHERE account = %(account)s AND day <= %(to)s::date
)
SELECT a.account, a.currency, s.opening_balance, s.closing_balance,
    l.position, l.transaction_id, l.recorded_at, l.effective_date, l.description, l.amount,
    s.before_page + sum(l.amount) OVER (ORDER BY l.effective_date, l.position ROWS UNBOUNDED PRECEDING) AS balance
FROM wallet_accounts a CROSS JOIN sums s LEFT JOIN lines l ON true
WHERE a.account = %(account)s
ORDER BY l.effective_date, l.position
"""


async def find(connection: psycopg.AsyncConnection[Any], accounts: Collection[str]) -> dict[str, WalletView]:
    """Those of the wallets that there are, by account."""
    rows = await rows_of(connection, WalletView, _SELECT_BY_ACCOUNT, {"accounts": list(accounts)})
    return {row.account: row for row in rows}


async def wallets(
    connection: psycopg.AsyncConnection[Any],
    *,
    payer: str | None = None,
    status: str | None = None,
    min_balance: int | None = None,
    max_balance: int | None = None,
    limit: int,
    after: str | None = None,
) -> Page[WalletView, str]:
    """The tenant's wallets by account: of a payer, of a status, with a balance (minor units, both ends inclusive).

    Where a balance is asked for, a page looks at `MAX_EXAMINED` wallets; it may be short, or empty, and more follow.
    """
    any_balance = min_balance is None and max_balance is None
    wanted = {
        "payer": payer,
        "status": status,
        "after": after or "",
        "limit": limit + 1 if any_balance else MAX_EXAMINED,
    }
    if payer is not None:
        query = _SELECT_BY_PAYER if status is None else _SELECT_BY_BOTH
    else:
        query = _SELECT_WALLETS if status is None else _SELECT_BY_STATUS
    examined = await rows_of(connection, WalletView, query, wanted)
    fitting = [
        wallet
        for wallet in examined
        if (min_balance is None or wallet.balance >= min_balance)
        and (max_balance is None or wallet.balance <= max_balance)
    ]
    all_seen = any_balance or len(examined) < MAX_EXAMINED
    return page_of_examined(examined, fitting, limit, lambda wallet: wallet.account, all_seen=all_seen)


async def statement(
    connection: psycopg.AsyncConnection[Any],
    account: str,
    *,
    first: date | None = None,
    last: date | None = None,
    limit: int,
    after: StatementKey | None = None,
) -> Statement | None:
    """A wallet's movements with effective dates `first` to `last`, both inclusive and both optional.

    None where there is no such wallet.
    """
    begin = StatementKey(first or date.min, 0)
    begin = begin if after is None else max(begin, after)
    rows = await rows_of(
        connection,
        _StatementRow,
        _SELECT_STATEMENT,
        {
            "account": account,
            "from": first or date.min,
            "to": last or date.max,
            "after_date": begin.effective_date,
            "after": begin.position,
            "limit": limit + 1,
        },
    )
    if not rows:
        return None
    lines = page([_line(row) for row in rows if row.position is not None], limit, _key_of)
    return Statement(
        account=rows[0].account,
        currency=rows[0].currency,
        opening_balance=rows[0].opening_balance,
        closing_balance=rows[0].closing_balance,
        lines=lines.data,
        next=lines.next,
        has_more=lines.has_more,
    )


def _line(row: _StatementRow) -> StatementLine:
    fields = {name: getattr(row, name) for name in StatementLine.__struct_fields__}
    return StatementLine(**fields)


def _key_of(line: StatementLine) -> StatementKey:
    return StatementKey(line.effective_date, line.position)
