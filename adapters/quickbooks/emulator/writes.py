"""Create, update, delete and void: the rules applied, links and postings kept true."""

from decimal import Decimal

import msgspec

from adapters.quickbooks.emulator import refusals, statements, values
from adapters.quickbooks.emulator.books import DOCUMENTS, Books, Record
from adapters.quickbooks.emulator.refusals import Body
from adapters.quickbooks.emulator.rules import LINKABLE, check_open_period, check_properties, settled

VOIDABLE = ("Invoice", "Payment", "SalesReceipt")
# What the server sets; a client's own value of it is ignored.
_SERVER_SET = ("Id", "SyncToken", "MetaData", "domain", "sparse", "status")
_NUMBERED = ("Invoice", "SalesReceipt", "CreditMemo", "RefundReceipt", "JournalEntry")
# The number that a company numbering by itself gives its first document, less 1.
_OWN_NUMBERS_FROM = 1000


def _given(kind: str, body: Body) -> Body:
    check_properties(kind, body)
    return {key: value for key, value in body.items() if key not in _SERVER_SET and value not in (None, "")}


def create(books: Books, kind: str, body: Body) -> Body:
    """A new entity. Raises Refusal."""
    number = books.take_id()
    given = _given(kind, body)
    if kind in _NUMBERED and not books.company.preferences.CustomTxnNumbers:
        given.setdefault("DocNumber", str(_OWN_NUMBERS_FROM + number))
    new = settled(kind, books, given, None)
    made = Record(kind=kind, id=number, sync_token=0, deleted=False, created_ms=books.at_ms, body=new)
    return _store(books, made).body


def update(books: Books, kind: str, body: Body) -> Body:
    """A full update, or with `sparse` one of the given properties only. Raises Refusal."""
    before = _current(books, kind, body)
    if kind in DOCUMENTS:
        check_open_period(books, before.body["TxnDate"])
    given = _given(kind, body)
    if body.get("sparse") is True:
        kept = {
            key: value for key, value in before.body.items() if key not in _SERVER_SET and key not in body
        }
        given = kept | given
    _release(books, before)
    new = settled(kind, books, given, before)
    return _store(books, _next(before, new)).body


def void(books: Books, kind: str, body: Body) -> Body:
    """The document with every amount 0 and nothing linked to it. Raises Refusal."""
    if kind not in VOIDABLE:
        raise refusals.unsupported(f"Operation void is not supported for {kind}")
    before = _current(books, kind, body)
    check_open_period(books, before.body["TxnDate"])
    before = _detach(books, before)
    note = f"Voided - {before.body['PrivateNote']}" if before.body.get("PrivateNote") else "Voided"
    zeroed: Body = {"TotalAmt": values.ZERO, "PrivateNote": note}
    if kind == "Payment":
        zeroed |= {"UnappliedAmt": values.ZERO, "Line": []}
    else:
        lines = [_zero_line(line) for line in before.body["Line"]]
        zeroed |= {"Balance": values.ZERO, "Line": lines, "LinkedTxn": []}
    after = before.body | zeroed
    after.pop("TxnTaxDetail", None)
    return _store(books, _next(before, after)).body


def _zero_line(line: Body) -> Body:
    detail = dict(line.get("SalesItemLineDetail") or {})
    if "Qty" in detail:
        detail["Qty"] = 0
    zeroed = {"Amount": values.ZERO} if "Amount" in line else {}
    return {**line, **zeroed, **({"SalesItemLineDetail": detail} if detail else {})}


def delete(books: Books, kind: str, body: Body) -> Body:
    """The document gone; only its id, and that it was deleted, can still be seen. Raises Refusal."""
    if kind not in DOCUMENTS:
        raise refusals.unsupported(f"{kind} can't be deleted; update it with Active false")
    before = _current(books, kind, body)
    check_open_period(books, before.body["TxnDate"])
    before = _detach(books, before)
    gone = msgspec.structs.replace(_next(before, {"domain": "QBO", "status": "Deleted"}), deleted=True)
    books.book(books.put(gone))
    return {"domain": "QBO", "status": "Deleted", "Id": str(before.id)}


def _current(books: Books, kind: str, body: Body) -> Record:
    """The entity that the request wants to change, if the request has seen its last state."""
    identifier, token = body.get("Id"), body.get("SyncToken")
    if identifier in (None, ""):
        raise refusals.missing("Id")
    if token in (None, ""):
        raise refusals.missing("SyncToken")
    record = books.find(kind, str(identifier))
    if record is None or record.deleted:
        raise refusals.not_found(f"{kind} {identifier} does not exist or has been deleted")
    if str(record.sync_token) != str(token):
        raise refusals.stale()
    return record


def _next(before: Record, body: Body) -> Record:
    return msgspec.structs.replace(before, sync_token=before.sync_token + 1, body=body)


def _store(books: Books, record: Record) -> Record:
    if record.kind == "Payment":
        _link(books, record, sign=1)
    written = books.put(record)
    if record.kind in DOCUMENTS:
        books.book(written)
    if record.kind == "CreditMemo" and record.sync_token == 0 and books.company.preferences.AutoApplyCredit:
        return _apply_credit(books, written)
    return written


def _link(books: Books, payment: Record, *, sign: int) -> None:
    """Takes a payment's lines off the balances of what they link (sign 1), or gives them back (sign -1)."""
    for line in values.lines(payment.body):
        link = line["LinkedTxn"][0]
        target = books.load(link["TxnType"], int(link["TxnId"]))
        assert target is not None, "a settled line links a document that exists"
        balance = target.body["Balance"] - sign * line["Amount"]
        if balance < 0:
            raise refusals.cannot_link(f"{target.kind} {target.id} has only {target.body['Balance']} open")
        own = {"TxnId": str(payment.id), "TxnType": "Payment"}
        others = [known for known in target.body["LinkedTxn"] if known != own]
        changed: Body = {"Balance": balance, "LinkedTxn": [*others, own] if sign > 0 else others}
        if target.kind == "CreditMemo":
            changed["RemainingCredit"] = balance
        # Applying a payment moves the token of the document it pays, as integrators of the real one report.
        books.put(_next(target, target.body | changed))


def _release(books: Books, before: Record) -> None:
    if before.kind == "Payment":
        _link(books, before, sign=-1)


def _detach(books: Books, document: Record) -> Record:
    """Before a document goes: its own links are given back, and payments let go of it."""
    _release(books, document)
    if document.kind not in LINKABLE:
        return document
    for link in document.body.get("LinkedTxn", []):
        payment = books.load("Payment", int(link["TxnId"]))
        assert payment is not None, "a linked payment exists"
        _link(books, payment, sign=-1)
        lines = [line for line in payment.body["Line"] if line["LinkedTxn"][0] != _link_to(document)]
        lines = _without_excess_credit(lines)
        paid, credited = _sum(lines, "Invoice"), _sum(lines, "CreditMemo")
        unapplied = payment.body["TotalAmt"] + credited - paid
        if unapplied < 0:
            lines, unapplied = [], payment.body["TotalAmt"]
        changed = _next(payment, payment.body | {"Line": lines, "UnappliedAmt": unapplied})
        _link(books, changed, sign=1)
        books.put(changed)
    detached = books.load(document.kind, document.id)
    assert detached is not None
    return detached


def _link_to(document: Record) -> Body:
    return {"TxnId": str(document.id), "TxnType": document.kind}


def _sum(lines: list[Body], kind: str) -> Decimal:
    return sum((line["Amount"] for line in lines if line["LinkedTxn"][0]["TxnType"] == kind), values.ZERO)


def _without_excess_credit(lines: list[Body]) -> list[Body]:
    """Credits may not exceed the invoices they are applied to: what exceeds is given back, the last first."""
    excess = _sum(lines, "CreditMemo") - _sum(lines, "Invoice")
    kept: list[Body] = []
    for line in reversed(lines):
        taken = (
            min(excess, line["Amount"]) if line["LinkedTxn"][0]["TxnType"] == "CreditMemo" else values.ZERO
        )
        taken = max(taken, values.ZERO)
        excess -= taken
        if line["Amount"] > taken:
            kept.append({**line, "Amount": line["Amount"] - taken})
    return kept[::-1]


def _apply_credit(books: Books, memo: Record) -> Record:
    """What the preference AutoApplyCredit does: a new credit memo is used up on the oldest open invoices."""
    customer, left = values.reference(memo.body, "CustomerRef"), memo.body["Balance"]
    lines: list[Body] = []
    for number, open_minor in books.store.rows(
        statements.SELECT_OPEN_INVOICES, books.company.realm, customer
    ):
        taken = min(left, values.from_minor(open_minor))
        if taken > 0:
            lines.append({"Amount": taken, "LinkedTxn": [{"TxnId": str(number), "TxnType": "Invoice"}]})
            left -= taken
    used = memo.body["Balance"] - left
    if not used:
        return memo
    lines.append({"Amount": used, "LinkedTxn": [_link_to(memo)]})
    body: Body = {
        "CustomerRef": memo.body["CustomerRef"],
        "TotalAmt": values.ZERO,
        "UnappliedAmt": values.ZERO,
        "TxnDate": memo.body["TxnDate"],
        "Line": lines,
        "PrivateNote": "Created by QuickBooks Online to link credits to charges.",
    }
    number = books.take_id()
    made = Record(kind="Payment", id=number, sync_token=0, deleted=False, created_ms=books.at_ms, body=body)
    _store(books, made)
    applied = books.load("CreditMemo", memo.id)
    assert applied is not None
    return applied
