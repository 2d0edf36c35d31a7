"""A company's accounts with their debits and credits, and each by itself with what is booked to it."""

from typing import Final

from adapters.quickbooks.emulator import reports
from adapters.quickbooks.emulator.pages import documents, layout, listing, queries
from adapters.quickbooks.emulator.pages.documents import account_name
from adapters.quickbooks.emulator.pages.markup import (
    Column,
    Html,
    facts,
    link,
    money,
    side,
    sides,
    table,
    tag,
)
from adapters.quickbooks.emulator.pages.queries import DocumentRow
from adapters.quickbooks.emulator.store import Company, Store

_LIST: Final = (
    Column("Account"),
    Column("Type", roomy=True),
    Column("Debits", numbers=True, roomy=True),
    Column("Credits", numbers=True, roomy=True),
    Column("Balance", numbers=True),
)
_DOCUMENTS: Final = (
    documents.DATE,
    documents.DOCUMENT,
    documents.CUSTOMER,
    documents.DEBIT,
    documents.CREDIT,
)


def accounts_table(store: Store, company: Company) -> Html:
    accounts = reports.accounts(store, company.realm)
    rows = [
        (
            link(layout.account_path(company, account.id), account_name(account.number, account.name)),
            account.type,
            side(account.debit_minor),
            side(account.credit_minor),
            money(account.balance_minor),
        )
        for account in accounts
    ]
    foot = (
        "Total",
        None,
        money(sum(account.debit_minor for account in accounts)),
        money(sum(account.credit_minor for account in accounts)),
        money(sum(account.balance_minor for account in accounts)),
    )
    return table(f"Balances are debits less credits, {company.preferences.HomeCurrency}", _LIST, rows, foot)


def account(store: Store, company: Company, at: listing.Place, account_id: int) -> Html:
    """An account with the documents that book to it, newest first. Raises PageError."""
    known = next((row for row in reports.accounts(store, company.realm) if row.id == account_id), None)
    if known is None:
        raise layout.PageError(404, f"Account {account_id} does not exist.")
    found = listing.read(store, queries.DOCUMENTS_OF_ACCOUNT, at, realm=company.realm, account_id=account_id)
    lines = [(DocumentRow._make(line), debit_minor) for *line, debit_minor in found.rows]
    cells = [
        (
            document.date,
            documents.linked(company, document),
            documents.customer_of(company, document),
            *sides(debit_minor),
        )
        for document, debit_minor in lines
    ]
    currency = company.preferences.HomeCurrency
    title = account_name(known.number, known.name)
    return layout.company_page(
        company,
        title,
        layout.path(company),
        tag("h1", title),
        tag(
            "section",
            facts(
                ("Type", known.type),
                (f"Debits, {currency}", money(known.debit_minor)),
                (f"Credits, {currency}", money(known.credit_minor)),
                (f"Balance, {currency}", money(known.balance_minor)),
                ("Id", known.id),
            ),
        ),
        tag(
            "section",
            tag("h2", "What is booked to it"),
            table("Newest first", _DOCUMENTS, cells),
            layout.pager(found, layout.account_path(company, account_id), layout.BY_AGE),
        ),
    )
