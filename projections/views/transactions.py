"""Transactions: what each posted, which documents it made or was about, and who gave the command and why."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final

import msgspec
import psycopg

from domain.ids import AccountCode
from domain.journal import Side
from projections.engine.fold import Fold, Projection
from projections.engine.reading import DateKey, Page, page, rows_of

_TOLD: Final = """(
    SELECT position, event, topic = 'bursar.account.debited.v1' AS is_debit,
        CASE WHEN topic IN ('bursar.account.debited.v1', 'bursar.account.credited.v1') THEN
            '{"code":"' || bursar_member(event, 'code') || '","role":"' || bursar_member(event, 'role')
            || CASE topic WHEN 'bursar.account.debited.v1' THEN '","side":"debit","amount":'
                          ELSE '","side":"credit","amount":' END
            || bursar_number(event, 'amount') || ',"currency":"' || bursar_member(event, 'currency') || '"}'
        END AS posting,
        CASE topic
            WHEN 'bursar.invoice.payment_applied.v1' THEN jsonb_build_object(
                'kind', 'invoice', 'id', bursar_member(event, 'invoice'), 'number', bursar_member(event, 'number'))
            WHEN 'bursar.sale.refunded.v1' THEN jsonb_build_object(
                'kind', 'sale', 'id', bursar_member(event, 'sale'), 'number', NULL)
        END AS about,
        CASE WHEN is_number THEN bursar_member(event, 'kind') END AS kind,
        CASE WHEN is_number THEN bursar_member(event, 'document') END AS document,
        CASE WHEN is_number THEN bursar_member(event, 'number') END AS number,
        CASE WHEN is_number THEN bursar_member(event, 'series') END AS series,
        CASE WHEN moves_wallet THEN bursar_member(event, 'account') END AS wallet,
        CASE WHEN moves_wallet THEN bursar_words(event, 'description') END AS words
    FROM (
        SELECT notification_id AS position, topic, convert_from(state, 'UTF8') AS event,
            topic = 'bursar.series.number_allocated.v1' AS is_number,
            topic IN ('bursar.wallet.topped_up.v1', 'bursar.wallet.charged.v1', 'bursar.wallet.refunded.v1')
                AS moves_wallet
        FROM events
        WHERE notification_id >= c.first_position AND notification_id <= c.position AND topic IN (
            'bursar.account.debited.v1', 'bursar.account.credited.v1', 'bursar.series.number_allocated.v1',
            'bursar.invoice.payment_applied.v1', 'bursar.sale.refunded.v1', 'bursar.wallet.topped_up.v1',
            'bursar.wallet.charged.v1', 'bursar.wallet.refunded.v1')
        OFFSET 0
    ) AS stored
)"""
"""What the events of a command `c` tell of its transactions; each member is looked for once. The postings are text, since
codes, roles and currencies need no escape.
"""

_MEMBERS: Final = """
    SELECT position, is_debit, posting, about, kind, document, number, series, wallet, words,
        CASE WHEN is_debit THEN bursar_member(event, 'transaction_id') END AS transaction_id,
        CASE WHEN is_debit THEN bursar_member(event, 'effective_date') END AS effective_date,
        CASE WHEN is_debit THEN bursar_member(event, 'recorded_at') END AS recorded_at
"""
_TOGETHER: Final = """
    max(transaction_id) AS transaction_id, max(effective_date) AS effective_date, max(recorded_at) AS recorded_at,
    '[' || string_agg(posting, ',' ORDER BY position) || ']' AS postings,
    jsonb_agg(jsonb_build_object('kind', kind, 'id', document, 'number', number) ORDER BY position)
        FILTER (WHERE kind IS NOT NULL) AS made,
    jsonb_agg(DISTINCT about) FILTER (WHERE about IS NOT NULL) AS about,
    max(kind) AS kind, max(document) AS document, max(number) AS number,
    max(number) FILTER (WHERE series = 'receipt') AS receipt, max(about ->> 'number') AS settled,
    (array_agg(words ORDER BY position) FILTER (WHERE wallet IS NOT NULL))[1] AS words,
    min(wallet) AS wallet, max(wallet) AS last_wallet
"""
_ROW: Final = """
INSERT INTO finance_transactions (tenant, transaction_id, action, effective_date, recorded_at, position, last_position,
    actor, reason, description, receipt, wallet, postings, documents)
SELECT tenant, transaction_id::uuid, action, effective_date::date, recorded_at::timestamptz, position, last_position,
    actor, reason, coalesce(words, CASE kind
        WHEN 'sale' THEN 'Sale ' || receipt
        WHEN 'refund' THEN 'Refund ' || receipt
        WHEN 'settlement' THEN 'Payment of invoice ' || settled
        WHEN 'invoice' THEN 'Invoice ' || number
    END, ''), receipt, CASE wallet WHEN last_wallet THEN wallet END, postings::jsonb,
    coalesce(made, '[]') || coalesce(about, '[]')
"""

# Most commands are one transaction, or none: nothing is sorted for them.
_POSTED: Final = Fold(f"""{_ROW}
FROM (
    SELECT c.tenant, c.command AS action, c.position AS last_position, c.actor, c.reason, e.*
    FROM commands c CROSS JOIN LATERAL (
        SELECT min(position) FILTER (WHERE is_debit) AS position, {_TOGETHER}
        FROM ({_MEMBERS} FROM {_TOLD} AS told OFFSET 0) AS members
    ) AS e
    WHERE c.position > %(after)s AND c.position <= %(upto)s AND c.command <> 'bulk.atomic' AND e.position IS NOT NULL
    OFFSET 0
) AS posted
""")  # noqa: S608  the query above, nobody's input

# Of commands that commit together a transaction begins at a debit behind anything else, since a journal's debits come
# first; what follows up to the next belongs to it. What it does is told by the kind of what was numbered.
_POSTED_TOGETHER: Final = Fold(f"""{_ROW}
FROM (
    SELECT began AS position, any_value(tenant) AS tenant, any_value(last_position) AS last_position,
        any_value(actor) AS actor, any_value(reason) AS reason, {_TOGETHER},
        CASE max(kind)
            WHEN 'top_up' THEN 'wallet.top_up'
            WHEN 'charge' THEN 'wallet.charge'
            WHEN 'sale' THEN 'pos.checkout'
            WHEN 'refund' THEN 'pos.refund'
            WHEN 'settlement' THEN 'invoice.settle'
            WHEN 'reversal' THEN 'transaction.reverse'
            WHEN 'invoice' THEN CASE max(document) WHEN max(transaction_id) THEN 'invoice.create' ELSE 'invoice.issue' END
            ELSE 'wallet.transfer'
        END AS action
    FROM (
        SELECT *, max(position) FILTER (WHERE begins) OVER (PARTITION BY last_position ORDER BY position) AS began
        FROM (
            SELECT c.tenant, c.position AS last_position, c.actor, c.reason, e.*,
                is_debit AND NOT lag(is_debit, 1, false) OVER (PARTITION BY c.position ORDER BY e.position) AS begins
            FROM commands c CROSS JOIN LATERAL ({_MEMBERS} FROM {_TOLD} AS told OFFSET 0) AS e
            WHERE c.position > %(after)s AND c.position <= %(upto)s AND c.command = 'bulk.atomic'
        ) AS numbered
    ) AS parted
    WHERE began IS NOT NULL
    GROUP BY began
) AS posted
""")  # noqa: S608  the query above, nobody's input

PROJECTION: Final = Projection(
    name="transactions", tables=("finance_transactions",), folds=(_POSTED, _POSTED_TOGETHER)
)


class TransactionPosting(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction posted to one account, on one side: minor units."""

    code: AccountCode
    role: str
    side: Side
    amount: int
    currency: str


class TransactionDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that a transaction made, or was about."""

    kind: str
    id: str
    number: str | None


class TransactionView(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction: what one command posted, and who gave it.

    `position` is that of its first posting. What reverses what is told by `reverses` and `reversed_by`.
    """

    transaction_id: str
    action: str
    effective_date: date
    recorded_at: datetime
    position: int
    actor: str
    reason: str
    description: str
    metadata: dict[str, str] = {}
    postings: list[TransactionPosting]
    documents: list[TransactionDocument]
    reverses: str | None = None
    reversed_by: str | None = None


_COLUMNS: Final = """
SELECT t.transaction_id::text, t.action, t.effective_date, t.recorded_at, t.position, t.actor, t.reason, t.description,
    t.postings, t.documents
"""
_FROM: Final = "FROM finance_transactions t WHERE "
_PAGE: Final = """
    AND (effective_date, position) < (%(before_date)s::date, %(before)s::bigint) AND effective_date >= %(from)s::date
ORDER BY effective_date DESC, position DESC LIMIT %(limit)s
"""
_SELECT_BY_ID: Final = _COLUMNS + _FROM + "transaction_id = ANY (%(transactions)s::uuid[])"
_SELECT_ALL: Final = _COLUMNS + _FROM + "true" + _PAGE
_SELECT_BY_ACTION: Final = _COLUMNS + _FROM + "action = %(action)s" + _PAGE

# Movements of a wallet, or entries of an account, the transactions that they are of, and whether those are asked for.
_MOVED: Final = "WITH moved AS MATERIALIZED (SELECT effective_date, position FROM "
_EXAMINED: Final = """
)
SELECT DISTINCT ON (t.effective_date, t.position) t.transaction_id::text, t.effective_date, t.position,
    (%(action)s::text IS NULL OR t.action = %(action)s) AND (%(code)s::text IS NULL
        OR t.postings @> jsonb_build_array(jsonb_build_object('code', %(code)s::text))) AS fits,
    (SELECT count(*) FROM moved) AS moved
FROM moved m CROSS JOIN LATERAL (
    SELECT * FROM finance_transactions
    WHERE effective_date = m.effective_date AND position <= m.position ORDER BY position DESC LIMIT 1
) AS t
WHERE m.position <= t.last_position
ORDER BY t.effective_date DESC, t.position DESC
"""
_SELECT_OF_WALLET: Final = _MOVED + "wallet_transactions WHERE account = %(wallet)s" + _PAGE + _EXAMINED
_SELECT_OF_ACCOUNT: Final = _MOVED + "ledger_entries WHERE code = %(code)s" + _PAGE + _EXAMINED
MAX_EXAMINED: Final = 2_000
"""So many movements are looked at for one page, where not all of them are asked for."""


class _Examined(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that `moved` movements led to with others, and whether it `fits` all that is asked for."""

    transaction_id: str
    effective_date: date
    position: int
    fits: bool
    moved: int


def _key_of(transaction: TransactionView | _Examined) -> DateKey:
    return DateKey(transaction.effective_date, transaction.position)


async def find(
    connection: psycopg.AsyncConnection[Any], transaction_ids: Collection[str]
) -> dict[str, TransactionView]:
    """Those of the transactions that there are, by id. The ids must be UUIDs."""
    wanted = {"transactions": list(transaction_ids)}
    rows = await rows_of(connection, TransactionView, _SELECT_BY_ID, wanted)
    return {row.transaction_id: row for row in rows}


async def transactions(
    connection: psycopg.AsyncConnection[Any],
    *,
    account: str | None = None,
    wallet: str | None = None,
    action: str | None = None,
    first: date | None = None,
    last: date | None = None,
    limit: int,
    after: DateKey | None = None,
) -> Page[TransactionView, DateKey]:
    """Transactions by effective date, then position, the newest first: those that posted to a ledger account, moved a
    wallet, were of an action, have effective dates `first` to `last`, both inclusive.

    Of an account's or a wallet's only `MAX_EXAMINED` movements are looked at for those that fit the other filters, so
    that a page may be short, or empty, and more follow.
    """
    before = DateKey.before_page(last=last, after=after)
    wanted = {
        "code": account,
        "wallet": wallet,
        "action": action,
        "from": first or date.min,
        "before_date": before.effective_date,
        "before": before.position,
        "limit": limit + 1,
    }
    if account is None and wallet is None:
        query = _SELECT_ALL if action is None else _SELECT_BY_ACTION
        return page(await rows_of(connection, TransactionView, query, wanted), limit, _key_of)
    if action is not None or (account is not None and wallet is not None):
        wanted["limit"] = MAX_EXAMINED
    query = _SELECT_OF_ACCOUNT if wallet is None else _SELECT_OF_WALLET
    examined = await rows_of(connection, _Examined, query, wanted)
    fitting = page([one for one in examined if one.fits], limit, _key_of)
    following = fitting.next
    if following is None and examined and examined[0].moved == wanted["limit"]:
        following = _key_of(examined[-1])
    found = await find(connection, [one.transaction_id for one in fitting.data])
    return Page(
        data=[found[one.transaction_id] for one in fitting.data],
        next=following,
        has_more=following is not None,
    )
