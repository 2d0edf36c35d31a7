"""The documents of an export batch: reads of the exporter's own record, for the tenant of the connection."""

import re
from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg

from projections.engine.reading import Page, page, rows_of
from projections.views.export_reasons import ExportReason

_SCOPE: Final = """
    SELECT position, registered_at, covers_after FROM finance_export_batches WHERE batch_id = %(batch)s
"""
_REQUESTED: Final = "SELECT position FROM export_requests WHERE batch = %(batch)s::uuid"

_COVERED: Final = """
    SELECT j.id, j.kind, j.number, j.source_id, j.state, j.reason, j.last_error, j.quickbooks_id, j.amount,
        j.attempts, j.position, w.kind AS awaited_kind, w.number AS awaited_number, w.state AS awaited_state
    FROM finance_export_jobs j
    LEFT JOIN LATERAL (
        SELECT o.kind, o.number, o.state FROM finance_export_jobs o
        WHERE j.state = 'blocked' AND o.tenant = j.tenant AND o.realm = j.realm AND o.state <> 'confirmed' AND (
            (o.kind = 'Invoice' AND o.number = j.invoice) OR (o.kind = 'CreditMemo' AND o.number = j.credit_memo)
            OR (o.kind = j.kind AND o.number = j.number AND o.version = j.version - 1))
        ORDER BY o.id LIMIT 1
    ) AS w ON true
    WHERE (j.position, j.id) > (%(after_position)s, %(after_id)s) AND j.position <= %(position)s
"""
"""With the document that a blocked one waits for."""
_ORDER: Final = "ORDER BY j.position, j.id LIMIT %(limit)s"
_ALL: Final = f"""
    {_COVERED} AND (j.confirmed_at IS NULL OR j.confirmed_at > %(registered_at)s) {_ORDER}
"""
_CONFIRMED: Final = f"""
    {_COVERED} AND j.state = 'confirmed' AND j.confirmed_at > %(registered_at)s {_ORDER}
"""
_IN_STATE: Final = f"""
    {_COVERED} AND j.state = %(state)s AND j.state <> 'confirmed' {_ORDER}
"""

_REASONS: Final = {str(reason): reason for reason in ExportReason}

MAX_REASON_CHARACTERS: Final = 200
_PERSONAL: Final = re.compile(
    r"(?<!\w)'[^']*'(?!\w)|\"[^\"]*\"|“[^”]*”"
    r"|[^\s:=<>()]+@[^\s:=<>()]+"
    r"|\+\d[\d ()-]{7,}\d|\b\d{9,}\b|\b\d{3,4} \d{3} \d{3,4}\b|\(\d{3}\) ?\d{3}-\d{4}"
)
"""What may be a person's in the words of QuickBooks: what it quotes, e-mail addresses, numbers as of telephones."""


class DocumentSource(msgspec.Struct, frozen=True, kw_only=True):
    """What in the ledger a document is of: a transaction, and which leg of it."""

    transaction_id: str
    leg: int


class ExportDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document of a batch; `amount` in minor units. `attempts` counts the calls that it was in.

    `code` and `reason` say why it is not in QuickBooks, where something is in its way, and `remedy` what to do.
    """

    id: int
    kind: str
    number: str
    source: DocumentSource
    state: str
    code: str | None
    reason: str | None
    remedy: str | None
    quickbooks_id: str | None
    amount: int
    attempts: int


class DocumentKey(msgspec.Struct, frozen=True, array_like=True):
    """A document's place in the order of the log."""

    position: int
    id: int


class _Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which documents a batch covers: those of positions up to its own that were not confirmed at its registration."""

    position: int
    registered_at: datetime
    covers_after: int


class _Requested(msgspec.Struct, frozen=True, kw_only=True):
    position: int


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it is stored, and the one that it waits for."""

    id: int
    kind: str
    number: str
    source_id: str
    state: str
    reason: str | None
    last_error: str | None
    quickbooks_id: str | None
    amount: int
    attempts: int
    position: int
    awaited_kind: str | None
    awaited_number: str | None
    awaited_state: str | None


async def export_documents(
    connection: psycopg.AsyncConnection[Any],
    batch_id: str,
    *,
    state: str | None = None,
    limit: int,
    after: DocumentKey | None = None,
) -> Page[ExportDocument, DocumentKey] | None:
    """The documents that a batch covers, in the order of the log; None if nobody asked for the batch.

    There is none while the exporter has not come to its request.
    """
    batch = {"batch": batch_id}
    scopes = await rows_of(connection, _Scope, _SCOPE, batch)
    if not scopes:
        requested = await rows_of(connection, _Requested, _REQUESTED, batch)
        return Page(data=[], next=None, has_more=False) if requested else None
    (scope,) = scopes
    begin = after or DocumentKey(scope.covers_after + 1, -1)
    query = _ALL if state is None else _CONFIRMED if state == "confirmed" else _IN_STATE
    rows = await rows_of(
        connection,
        _Row,
        query,
        {
            "position": scope.position,
            "registered_at": scope.registered_at,
            "after_position": begin.position,
            "after_id": begin.id,
            "state": state,
            "limit": limit + 1,
        },
    )
    listed = page(rows, limit, lambda row: DocumentKey(row.position, row.id))
    documents = [_document(row) for row in listed.data]
    return Page(data=documents, next=listed.next, has_more=listed.has_more)


def _document(row: _Row) -> ExportDocument:
    transaction_id, _, leg = row.source_id.rpartition("/")
    code, reason = _why(row)
    return ExportDocument(
        id=row.id,
        kind=row.kind,
        number=row.number,
        source=DocumentSource(transaction_id=transaction_id, leg=int(leg)),
        state=row.state,
        code=code,
        reason=reason,
        remedy=None if code is None else code.remedy,
        quickbooks_id=row.quickbooks_id,
        amount=row.amount,
        attempts=row.attempts,
    )


def _why(row: _Row) -> tuple[ExportReason | None, str | None]:
    if row.awaited_number is not None:
        waits = f"It waits for {row.awaited_kind} {row.awaited_number}, which is {row.awaited_state}."
        return ExportReason.WAITS_FOR_DOCUMENT, waits
    if row.reason is None:
        return None, None
    return _REASONS[row.reason], None if row.last_error is None else safe(row.last_error)


def safe(words: str) -> str:
    """QuickBooks' words without what may be a person's, printable and short: who may export may not see names."""
    masked = _PERSONAL.sub("…", words)
    printable = "".join(letter if letter.isprintable() else " " for letter in masked)
    if len(printable) <= MAX_REASON_CHARACTERS:
        return printable
    return printable[: MAX_REASON_CHARACTERS - 1] + "…"
