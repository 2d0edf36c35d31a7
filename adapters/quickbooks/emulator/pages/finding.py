"""Finding a document by its number or a customer by its name, or by how these begin."""

from fastapi.responses import RedirectResponse, Response

from adapters.quickbooks.emulator.pages import customers, documents, layout, queries
from adapters.quickbooks.emulator.pages.markup import Html, tag
from adapters.quickbooks.emulator.pages.queries import CustomerRow, DocumentRow
from adapters.quickbooks.emulator.store import Company, Store

MAX_FOUND = 50


def find(store: Store, company: Company, text: str) -> Html | Response:
    """What bears that number or name, or where there is just one the way to its page. Raises PageError."""
    text = text.strip()
    if not text:
        raise layout.PageError(400, "Write a document's number or a customer's name, or how it begins.")
    rows = store.rows(queries.SELECT_DOCUMENTS_BY_NUMBER, realm=company.realm, text=text, rows=MAX_FOUND + 1)
    numbered = [DocumentRow._make(row) for row in rows]
    rows = store.rows(queries.SELECT_CUSTOMERS_BY_NAME, realm=company.realm, text=text, rows=MAX_FOUND + 1)
    named = [CustomerRow._make(row) for row in rows]
    if (len(numbered), len(named)) == (1, 0):
        return _to(layout.document_path(company, numbered[0].id))
    if (len(numbered), len(named)) == (0, 1):
        return _to(layout.customer_path(company, named[0].id))
    return layout.company_page(
        company,
        f"Found for {text}",
        layout.path(company, "find"),
        tag("h1", f"Found for “{text}”"),
        tag(
            "section",
            tag("h2", "Documents"),
            documents.documents_table(company, numbered[:MAX_FOUND], "by number"),
            _more(len(numbered)),
        ),
        tag(
            "section",
            tag("h2", "Customers"),
            customers.customers_table(store, company, named[:MAX_FOUND]),
            _more(len(named)),
        ),
    )


def _to(path: str) -> Response:
    return RedirectResponse(path, status_code=303, headers=layout.HEADERS)


def _more(rows: int) -> Html | None:
    text = f"These are the first {MAX_FOUND}: write more of the number or name to see fewer."
    return tag("p", text) if rows > MAX_FOUND else None
