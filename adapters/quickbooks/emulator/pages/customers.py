"""A company's customers: what each owes, and its documents."""

from collections.abc import Iterable
from typing import Final

from adapters.quickbooks.emulator import reports
from adapters.quickbooks.emulator.books import RECEIVABLE
from adapters.quickbooks.emulator.pages import documents, layout, listing, queries
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
from adapters.quickbooks.emulator.pages.queries import CustomerRow, DocumentRow
from adapters.quickbooks.emulator.store import Company, Store

_LIST: Final = (Column("Customer"), Column("Last document", roomy=True), Column("Owes", numbers=True))
_DOCUMENTS: Final = (
    documents.DATE,
    documents.DOCUMENT,
    Column("Total", numbers=True, roomy=True),
    Column("Open", numbers=True, roomy=True),
    documents.DEBIT,
    documents.CREDIT,
)
BY_DEBT: Final = "debt"


def customers(store: Store, company: Company, at: listing.Place, order: str | None) -> Html:
    """All customers by name, or those that owe something by how much. Raises PageError."""
    everybody, debtors = layout.path(company, "customers"), layout.path(company, "customers", order=BY_DEBT)
    if order not in (None, BY_DEBT):
        raise layout.PageError(404, f"Customers have no order “{order}”.")
    found = listing.read(
        store, queries.CUSTOMERS if order is None else queries.CUSTOMERS_BY_DEBT, at, realm=company.realm
    )
    here = everybody if order is None else debtors
    return layout.company_page(
        company,
        "Customers",
        everybody,
        tag("h1", "Customers"),
        tag(
            "nav",
            *layout.choices(here, ("All, by name", everybody), ("Who owes, most first", debtors)),
            aria_label="Order of customers",
        ),
        tag(
            "section",
            facts((f"All together owe, {company.preferences.HomeCurrency}", money(_owed(store, company)))),
        ),
        tag(
            "section",
            customers_table(store, company, map(CustomerRow._make, found.rows)),
            layout.pager(found, here, layout.BY_ORDER),
        ),
    )


def _owed(store: Store, company: Company) -> int:
    """What all customers owe, in hundredths: the balance of the accounts of receivables."""
    accounts = reports.accounts(store, company.realm)
    return sum(account.balance_minor for account in accounts if account.type == RECEIVABLE)


def customers_table(store: Store, company: Company, rows: Iterable[CustomerRow]) -> Html:
    cells = [_cells(store, company, row) for row in rows]
    caption = f"What they owe, {company.preferences.HomeCurrency}; with a minus, what they have paid too much"
    return table(caption, _LIST, cells)


def _cells(store: Store, company: Company, row: CustomerRow) -> tuple[object, ...]:
    last = documents.row_of(store, company, row.last_document_id)
    return (
        joined(link(layout.customer_path(company, row.id), row.name), None if row.active else " (inactive)"),
        None if last is None else joined(last.date, " ", documents.linked(company, last)),
        money(row.owed_minor),
    )


def customer(store: Store, company: Company, at: listing.Place, customer_id: int) -> Html:
    """A customer with what it owes and its documents, newest first. Raises PageError."""
    rows = store.rows(queries.SELECT_CUSTOMER, realm=company.realm, id=customer_id)
    if not rows:
        raise layout.PageError(404, f"Customer {customer_id} does not exist.")
    row = CustomerRow._make(rows[0])
    found = listing.read(
        store, queries.DOCUMENTS_OF_CUSTOMER, at, realm=company.realm, customer_id=customer_id
    )
    lines = [(DocumentRow._make(line), owed_minor) for *line, owed_minor in found.rows]
    cells = [
        (
            document.date,
            documents.linked(company, document),
            money(document.total_minor),
            money(document.open_minor),
            *sides(owed_minor),
        )
        for document, owed_minor in lines
    ]
    caption = (
        "Newest first; debit is what the document adds to what the customer owes, credit what it takes off"
    )
    return layout.company_page(
        company,
        row.name,
        layout.path(company, "customers"),
        tag("h1", row.name),
        tag(
            "section",
            facts(
                (f"Owes, {company.preferences.HomeCurrency}", money(row.owed_minor)),
                ("Id", row.id),
                ("State", None if row.active else "inactive"),
            ),
        ),
        tag(
            "section",
            tag("h2", "Documents"),
            table(caption, _DOCUMENTS, cells),
            layout.pager(found, layout.customer_path(company, customer_id), layout.BY_AGE),
        ),
    )
