"""A company's documents: the list, and each by itself with its lines, what it is linked to, and what it books."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from adapters.quickbooks.emulator import values
from adapters.quickbooks.emulator.books import JOURNAL_LINE, SALES_LINE, total_tax
from adapters.quickbooks.emulator.pages import layout, listing, queries
from adapters.quickbooks.emulator.pages.markup import (
    Column,
    Html,
    facts,
    joined,
    link,
    money,
    sides,
    table,
    tag,
)
from adapters.quickbooks.emulator.pages.queries import DocumentRow
from adapters.quickbooks.emulator.refusals import Body
from adapters.quickbooks.emulator.store import Company, Store, decode

# All payments of an invoice are among its customer's documents; its own page shows the first of them.
MAX_LINKS = 100
MAX_LINKS_BESIDE = 3
MAX_CUSTOMERS_NAMED = 20

NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "Invoice": ("Invoice", "Invoices"),
    "Payment": ("Payment", "Payments"),
    "CreditMemo": ("Credit memo", "Credit memos"),
    "SalesReceipt": ("Sales receipt", "Sales receipts"),
    "RefundReceipt": ("Refund receipt", "Refund receipts"),
    "JournalEntry": ("Journal entry", "Journal entries"),
}
"""What people call a document of each kind, and several of them."""

DATE: Final = Column("Date", whole=True)
DOCUMENT: Final = Column("Document")
CUSTOMER: Final = Column("Customer", roomy=True)
DEBIT: Final = Column("Debit", numbers=True)
CREDIT: Final = Column("Credit", numbers=True)
_LIST: Final = (DATE, DOCUMENT, CUSTOMER, Column("Total", numbers=True), Column("Open", numbers=True))
_SOLD: Final = (
    Column("Item"),
    Column("Description"),
    Column("Quantity", numbers=True, roomy=True),
    Column("Price", numbers=True, roomy=True),
    Column("Amount", numbers=True),
)
_POSTED: Final = (Column("Account"), Column("Description"), DEBIT, CREDIT)
_BOOKED: Final = (Column("Account"), DEBIT, CREDIT)
_APPLIED: Final = (DATE, DOCUMENT, Column("Together with", roomy=True), Column("Applied", numbers=True))
_PAID: Final = (DATE, DOCUMENT, Column("Pays", numbers=True), Column("Uses credit", numbers=True))


# Lists


def documents(store: Store, company: Company, at: listing.Place, kind: str | None) -> Html:
    """All documents, or those of one kind, newest first. Raises PageError."""
    if kind is None:
        found = listing.read(store, queries.DOCUMENTS, at, realm=company.realm)
    elif kind in NAMES:
        found = listing.read(store, queries.DOCUMENTS_OF_KIND, at, realm=company.realm, kind=kind)
    else:
        raise layout.PageError(404, f"There are no documents of the kind “{kind}”.")
    everything = layout.path(company, "documents")
    of_kind = {name: layout.path(company, "documents", kind=name) for name in NAMES}
    here = everything if kind is None else of_kind[kind]
    kinds = layout.choices(here, ("All", everything), *((NAMES[name][1], to) for name, to in of_kind.items()))
    title = "Documents" if kind is None else NAMES[kind][1]
    return layout.company_page(
        company,
        title,
        everything,
        tag("h1", title),
        tag("nav", *kinds, aria_label="Kinds of documents"),
        tag(
            "section",
            documents_table(company, map(DocumentRow._make, found.rows)),
            layout.pager(found, here, layout.BY_AGE),
        ),
    )


def documents_table(company: Company, rows: Iterable[DocumentRow], order: str = "newest first") -> Html:
    cells = [
        (
            row.date,
            linked(company, row),
            customer_of(company, row),
            money(row.total_minor),
            money(row.open_minor),
        )
        for row in rows
    ]
    return table(f"{company.preferences.HomeCurrency}, {order}", _LIST, cells)


def row_of(store: Store, company: Company, document_id: int | None) -> DocumentRow | None:
    """The document of that id as lists show it, or None where it does not exist or was deleted."""
    rows = store.rows(queries.SELECT_DOCUMENT, realm=company.realm, id=document_id)
    return DocumentRow._make(rows[0]) if rows else None


def named(row: DocumentRow) -> str:
    """The kind, and the number or where it has none the id."""
    return f"{NAMES[row.kind][0]} {_number(row)}"


def _number(row: DocumentRow) -> str:
    return row.number or f"(id {row.id})"


def linked(company: Company, row: DocumentRow) -> Html:
    number = tag("span", _number(row), class_="k")
    return link(layout.document_path(company, row.id), joined(NAMES[row.kind][0], " ", number))


def customer_of(company: Company, row: DocumentRow) -> Html | None:
    if row.customer_id is None:
        return None
    return link(layout.customer_path(company, row.customer_id), row.customer)


# One document


def document(store: Store, company: Company, document_id: int) -> Html:
    """A document by itself. Raises PageError."""
    row = row_of(store, company, document_id)
    if row is None:
        raise layout.PageError(404, f"Document {document_id} does not exist or was deleted.")
    body, created_ms, updated_ms = _stored(store, row)
    title = named(row)
    return layout.company_page(
        company,
        title,
        layout.path(company, "documents"),
        tag("h1", title),
        tag(
            "section",
            facts(
                ("Customer", _customers(store, company, row)),
                ("Date", row.date),
                ("Due", body.get("DueDate")),
                (f"Total, {company.preferences.HomeCurrency}", money(row.total_minor)),
                ("Open", money(row.open_minor)),
                ("Not applied to an invoice", _decimal(body.get("UnappliedAmt") or None)),
                ("Deposited to", _deposit(company, body)),
                ("Note", body.get("PrivateNote")),
                ("Id", row.id),
                ("Made", _moment(created_ms)),
                ("Changed", _moment(updated_ms) if updated_ms != created_ms else None),
            ),
        ),
        *_parts(store, company, row, body),
    )


def _stored(store: Store, row: DocumentRow) -> tuple[Body, int, int]:
    """The document as the API answers it, and when it was made and last changed, in milliseconds since 1970."""
    [(text, created_ms, updated_ms)] = store.rows(
        queries.SELECT_DOCUMENT_BODY, realm=row.realm, kind=row.kind, id=row.id
    )
    return decode(text), created_ms, updated_ms


def _parts(store: Store, company: Company, row: DocumentRow, body: Body) -> list[Html]:
    match row.kind:
        case "JournalEntry":
            return [_journal(company, body)]
        case "Payment":
            return [_paid(store, company, body), _books(store, company, row)]
        case "Invoice" | "CreditMemo":
            parts = (_sold(company, body), _payments(store, company, row, body))
            return [*parts, _books(store, company, row)]
        case _:
            return [_sold(company, body), _books(store, company, row)]


def _customers(store: Store, company: Company, row: DocumentRow) -> Html | None:
    customers = store.rows(
        queries.SELECT_CUSTOMERS_OF_DOCUMENT, realm=company.realm, id=row.id, rows=MAX_CUSTOMERS_NAMED
    )
    return _listed([link(layout.customer_path(company, own), name) for own, name in customers])


def _listed(parts: Sequence[object]) -> Html | None:
    """The parts with commas between them, or None where there are none."""
    return joined(parts[0], *(joined(", ", part) for part in parts[1:])) if parts else None


def _deposit(company: Company, body: Body) -> Html | None:
    account = body.get("DepositToAccountRef")
    return None if account is None else _account(company, account)


def _account(company: Company, reference: Body) -> Html:
    return link(layout.account_path(company, int(reference["value"])), reference["name"])


def _sold(company: Company, body: Body) -> Html:
    rows: list[Sequence[object]] = []
    for line in values.lines(body):
        if line["DetailType"] == "SubTotalLineDetail":
            continue
        detail = line[SALES_LINE] if line["DetailType"] == SALES_LINE else {}
        rows.append(
            (
                detail["ItemRef"]["name"] if detail else None,
                line.get("Description"),
                _plain(detail.get("Qty")),
                _plain(detail.get("UnitPrice")),
                _decimal(line.get("Amount")),
            )
        )
    tax = total_tax(body)
    if tax:
        rows.append(("Sales tax", None, None, None, _decimal(tax)))
    foot = ("Total", None, None, None, _decimal(body["TotalAmt"]))
    return _section("Lines", table(f"In {company.preferences.HomeCurrency}", _SOLD, rows, foot))


def _journal(company: Company, body: Body) -> Html:
    rows: list[Sequence[object]] = []
    total_minor = 0
    for line in values.lines(body):
        if line["DetailType"] != JOURNAL_LINE:
            rows.append((None, line.get("Description"), None, None))
            continue
        detail, minor = line[JOURNAL_LINE], values.minor(line["Amount"])
        is_debit = detail["PostingType"] == "Debit"
        total_minor += minor if is_debit else 0
        amounts = (money(minor), None) if is_debit else (None, money(minor))
        rows.append((_account(company, detail["AccountRef"]), line.get("Description"), *amounts))
    # A journal was taken only if its credits are its debits.
    foot = ("Total", None, money(total_minor), money(total_minor))
    return _section("Lines", table(f"In {company.preferences.HomeCurrency}", _POSTED, rows, foot))


def _books(store: Store, company: Company, row: DocumentRow) -> Html:
    postings = store.rows(queries.SELECT_POSTINGS, realm=company.realm, id=row.id)
    if not postings:
        return _section("What it books", tag("p", "Nothing: its amounts are 0."))
    rows = [
        (link(layout.account_path(company, account_id), account_name(number, name)), *sides(minor))
        for account_id, number, name, minor in postings
    ]
    debits = money(sum(max(minor, 0) for *_, minor in postings))
    credits_ = money(sum(max(-minor, 0) for *_, minor in postings))
    caption = f"In {company.preferences.HomeCurrency}"
    return _section("What it books", table(caption, _BOOKED, rows, ("Total", debits, credits_)))


def account_name(number: str | None, name: str) -> str:
    return f"{number} {name}" if number else name


# Links


def _payments(store: Store, company: Company, row: DocumentRow, body: Body) -> Html:
    """The payments that take up an invoice or a credit memo, each with what it takes of it."""
    payment_ids = [int(reference["TxnId"]) for reference in body["LinkedTxn"]]
    rows: list[Sequence[object]] = []
    for payment_id in payment_ids[:MAX_LINKS]:
        payment = row_of(store, company, payment_id)
        assert payment is not None, "a linked payment exists"
        stored, *_ = _stored(store, payment)
        lines = _payment_lines(stored)
        applied_minor = sum(minor for _, target_id, minor in lines if target_id == row.id)
        beside = dict.fromkeys(target_id for _, target_id, _ in lines if target_id != row.id)
        rows.append(
            (
                payment.date,
                linked(company, payment),
                _beside(store, company, list(beside)),
                money(applied_minor),
            )
        )
    applied = money(row.total_minor - (row.open_minor or 0))
    caption = _counted("What paid it" if row.kind == "Invoice" else "What applies it", len(payment_ids))
    return _section("Payments", table(caption, _APPLIED, rows, ("Total", None, None, applied)))


def _beside(store: Store, company: Company, document_ids: Sequence[int]) -> Html | None:
    """The other documents that a payment links."""
    rows = [row_of(store, company, document_id) for document_id in document_ids[:MAX_LINKS_BESIDE]]
    parts: list[object] = [linked(company, row) for row in rows if row is not None]
    if len(document_ids) > MAX_LINKS_BESIDE:
        parts.append(f"{len(document_ids) - MAX_LINKS_BESIDE:,} more")
    return _listed(parts)


def _paid(store: Store, company: Company, body: Body) -> Html:
    """What a payment pays, and the credit that it uses for it."""
    lines = _payment_lines(body)
    rows: list[Sequence[object]] = []
    for kind, target_id, minor in lines[:MAX_LINKS]:
        target = row_of(store, company, target_id)
        assert target is not None, "a payment links documents that exist"
        amounts = (money(minor), None) if kind == "Invoice" else (None, money(minor))
        rows.append((target.date, linked(company, target), *amounts))
    sums = [
        money(sum(minor for kind, _, minor in lines if kind == name)) for name in ("Invoice", "CreditMemo")
    ]
    caption = _counted(f"In {company.preferences.HomeCurrency}", len(lines))
    return _section("What it pays", table(caption, _PAID, rows, ("Total", None, *sums)))


def _payment_lines(body: Body) -> list[tuple[str, int, int]]:
    """Each line of a payment as kind and id of what it links, and the amount in hundredths."""
    return [
        (line["LinkedTxn"][0]["TxnType"], int(line["LinkedTxn"][0]["TxnId"]), values.minor(line["Amount"]))
        for line in values.lines(body)
    ]


def _counted(caption: str, links: int) -> str:
    return caption if links <= MAX_LINKS else f"{caption}: the first {MAX_LINKS:,} of {links:,}"


# Values


def _section(title: str, *content: object) -> Html:
    return tag("section", tag("h2", title), *content)


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else money(values.minor(value))


def _plain(value: Any) -> str | None:
    """A number as its client gave it: a text, or a JSON number of any precision."""
    if value is None:
        return None
    return f"{value:,}" if isinstance(value, Decimal | int) else str(value)


def _moment(milliseconds: int) -> str:
    return values.moment(milliseconds)[:19].replace("T", " ") + " UTC"
