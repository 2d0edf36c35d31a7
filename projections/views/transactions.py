"""Transactions: what each posted, which documents it made or was about, and who gave the command and why.

The ledger's projection says which there are; what one says is told from its events when it is asked for
(`bursar_transactions`, in the migration of the ledger's columns).
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final

import msgspec
import psycopg

from domain.ids import AccountCode
from domain.journal import Side
from projections.engine.reading import DateKey, Page, page, page_of_examined, rows_of


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

    `position` is that of its first posting. What reverses what is told by `reverses` and `reversed_by`. `wallet` is the
    one that it moved, where it moved no other.
    """

    transaction_id: str
    action: str
    effective_date: date
    recorded_at: datetime
    position: int
    actor: str
    reason: str
    description: str
    receipt: str | None
    wallet: str | None
    metadata: dict[str, str]
    postings: list[TransactionPosting]
    documents: list[TransactionDocument]
    reverses: str | None
    reversed_by: str | None


_SELECT_BY_ID: Final = """
SELECT transaction_id::text, action, effective_date, recorded_at, position, actor, reason, description, receipt, wallet,
    metadata, postings, documents, reverses, reversed_by
FROM bursar_transactions(%(transactions)s::uuid[])
"""
_PAGE: Final = """
    AND (effective_date, position) < (%(before_date)s::date, %(before)s::bigint) AND effective_date >= %(from)s::date
ORDER BY effective_date DESC, position DESC LIMIT %(limit)s
"""
_KEYS: Final = "SELECT transaction_id::text, effective_date, position FROM ledger_transactions WHERE "
_SELECT_ALL: Final = _KEYS + "true" + _PAGE
_SELECT_BY_ACTION: Final = _KEYS + "action = %(action)s" + _PAGE

# Movements of a wallet, or entries of an account, the transactions that they are of, and whether those are asked for.
_MOVED: Final = "WITH moved AS MATERIALIZED (SELECT effective_date, position FROM "
_EXAMINED: Final = """
)
SELECT DISTINCT ON (t.effective_date, t.position) t.transaction_id::text, t.effective_date, t.position,
    (%(action)s::text IS NULL OR t.action = %(action)s) AND (%(code)s::text IS NULL OR EXISTS (
        SELECT FROM ledger_entries e WHERE e.code = %(code)s AND e.position >= t.position AND e.position <= coalesce(
            (SELECT min(n.position) - 1 FROM ledger_transactions n
            WHERE n.position > t.position AND n.position <= t.last_position), t.last_position)
    )) AS fits,
    (SELECT count(*) FROM moved) AS moved
FROM moved m CROSS JOIN LATERAL (
    SELECT * FROM ledger_transactions
    WHERE effective_date = m.effective_date AND position <= m.position ORDER BY position DESC LIMIT 1
) AS t
WHERE m.position <= t.last_position
ORDER BY t.effective_date DESC, t.position DESC
"""
_SELECT_OF_WALLET: Final = _MOVED + "wallet_transactions WHERE account = %(wallet)s" + _PAGE + _EXAMINED
_SELECT_OF_ACCOUNT: Final = _MOVED + "ledger_entries WHERE code = %(code)s" + _PAGE + _EXAMINED
MAX_EXAMINED: Final = 2_000
"""So many movements are looked at for one page, where not all of them are asked for."""


class _Key(msgspec.Struct, frozen=True, kw_only=True):
    """Where a transaction stands in the lists."""

    transaction_id: str
    effective_date: date
    position: int


class _Examined(_Key, frozen=True, kw_only=True):
    """A transaction that `moved` movements led to with others, and whether it `fits` all that is asked for."""

    fits: bool
    moved: int


def _key_of(transaction: _Key) -> DateKey:
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
    keys: Page[_Key, DateKey]
    if account is None and wallet is None:
        query = _SELECT_ALL if action is None else _SELECT_BY_ACTION
        keys = page(await rows_of(connection, _Key, query, wanted), limit, _key_of)
    else:
        is_filtered = action is not None or (account is not None and wallet is not None)
        examine = MAX_EXAMINED if is_filtered else limit + 1
        query = _SELECT_OF_ACCOUNT if wallet is None else _SELECT_OF_WALLET
        examined = await rows_of(connection, _Examined, query, {**wanted, "limit": examine})
        all_seen = not examined or examined[0].moved < examine
        keys = page_of_examined(
            examined, [one for one in examined if one.fits], limit, _key_of, all_seen=all_seen
        )
    found = await find(connection, [key.transaction_id for key in keys.data])
    return Page(data=[found[key.transaction_id] for key in keys.data], next=keys.next, has_more=keys.has_more)
