"""What is seen first: the companies, each with its accounts, debtors and newest documents; then calls and faults."""

from typing import Final

from adapters.quickbooks.emulator import injection, reports
from adapters.quickbooks.emulator.pages import accounts, customers, documents, layout, listing, queries
from adapters.quickbooks.emulator.pages.markup import Column, Html, joined, link, table, tag
from adapters.quickbooks.emulator.pages.queries import CustomerRow, DocumentRow
from adapters.quickbooks.emulator.store import Company, Store, load_company

MAX_COMPANIES = 5
MAX_RECENT = 10
MAX_REQUESTS = 25

_COMPANIES: Final = ("Newest companies", "Newer companies", "Older companies", "Oldest companies")
_REQUESTS: Final = (
    Column("No.", numbers=True),
    Column("At, UTC", whole=True),
    Column("Call", roomy=True),
    Column("Operation"),
    Column("Request id", roomy=True),
    Column("Status", numbers=True),
)
_FAULTS: Final = (Column("Fault"), Column("Entity"), Column("Left", numbers=True))


def front(store: Store, at: listing.Place) -> Html:
    """The companies, the newest first, the last calls, and what is armed."""
    found = listing.read(store, queries.COMPANIES, at, MAX_COMPANIES)
    companies = [load_company(store, realm) for _, realm in found.rows]
    shown = [_company(store, company) for company in companies if company is not None]
    return layout.page(
        "QuickBooks emulator",
        *(shown or [tag("section", tag("p", "No company yet."))]),
        layout.pager(found, "/", _COMPANIES),
        _requests(store),
        _faults(store),
    )


def overview(store: Store, company: Company) -> Html:
    return layout.page(company.name, _company(store, company))


def _company(store: Store, company: Company) -> Html:
    debtors = listing.read(
        store, queries.CUSTOMERS_BY_DEBT, listing.Place(), MAX_RECENT, realm=company.realm
    ).rows
    newest = listing.read(store, queries.DOCUMENTS, listing.Place(), MAX_RECENT, realm=company.realm).rows
    closed = company.preferences.BookCloseDate
    return joined(
        tag("h1", company.name),
        tag(
            "p",
            f"Company {company.realm}, {company.country}, {company.preferences.HomeCurrency}",
            None if closed is None else f", books closed up to {closed}",
        ),
        layout.navigation(company, layout.path(company)),
        tag("section", tag("h2", "Accounts"), accounts.accounts_table(store, company)),
        tag(
            "section",
            tag("h2", "Newest documents"),
            documents.documents_table(company, map(DocumentRow._make, newest)),
            tag("p", link(layout.path(company, "documents"), "All documents →")),
        ),
        tag(
            "section",
            tag("h2", "Who owes most"),
            customers.customers_table(store, company, map(CustomerRow._make, debtors)),
            tag("p", link(layout.path(company, "customers"), "All customers →")),
        ),
    )


def _requests(store: Store) -> Html:
    rows = [
        (
            line["n"],
            str(line["at"]).replace("T", " ").removesuffix("Z"),
            f"{line['method']} {line['path']}",
            joined(line["operation"], " ", line["entity"], ", replayed" if line["replayed"] else None),
            line["request_id"],
            tag("span", line["status"], class_="bad" if line["status"] >= 400 else None),
        )
        for line in reports.recent_requests(store, MAX_REQUESTS)
    ]
    everything = link("/emulator/requests", "/emulator/requests")
    caption = joined(f"The last {MAX_REQUESTS} calls to the API, newest first; more of them at ", everything)
    return tag(
        "section",
        tag("h2", "Requests"),
        table(caption, _REQUESTS, rows),
        id="requests",
    )


def _faults(store: Store) -> Html:
    rows = [(fault["fault"], fault["entity"], f"{fault['count']:,}") for fault in injection.armed(store)]
    return tag(
        "section", tag("h2", "Faults"), table("Armed, in the order of arming", _FAULTS, rows), id="faults"
    )
