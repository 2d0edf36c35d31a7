"""What the pages ask of the file. Each list reads about as many rows as it shows, whatever the file holds."""

from typing import NamedTuple

from adapters.quickbooks.emulator.pages.listing import Listing


class DocumentRow(NamedTuple):
    """A row of the view `document`. What is open is told of invoices and credit memos only."""

    id: int
    kind: str
    number: str | None
    date: str
    customer_id: int | None
    customer: str | None
    total_minor: int
    open_minor: int | None
    realm: str


class CustomerRow(NamedTuple):
    """A row of the view `customer`. Owed with a minus is what the customer has paid too much."""

    id: int
    name: str
    active: int
    owed_minor: int
    last_document_id: int | None
    realm: str


# Companies are never deleted, so their rows are numbered as they were made.
COMPANIES = Listing(
    select="SELECT rowid, realm FROM company WHERE TRUE", order=("rowid",), place=":at", descending=True
)

DOCUMENTS = Listing(
    select="SELECT * FROM document WHERE realm = :realm", order=("id",), place=":at", descending=True
)
DOCUMENTS_OF_KIND = Listing(
    select="SELECT * FROM document WHERE realm = :realm AND kind = :kind",
    order=("id",),
    place=":at",
    descending=True,
)
# Each with what it adds to what the customer owes, or with a minus takes off. The plus keeps SQLite from looking
# for the document by the bounds of the page where it has its id.
DOCUMENTS_OF_CUSTOMER = Listing(
    select="""
    SELECT document.*, line.owed_minor
    FROM customer_line AS line
    CROSS JOIN document ON document.realm = line.realm AND document.id = +line.document_id
    WHERE line.realm = :realm AND line.customer_id = :customer_id
    """,
    order=("line.document_id",),
    place=":at",
    descending=True,
)
# Each with what it debits, or with a minus credits, to the account. The index is named because by the primary
# key SQLite would read the postings of all accounts in the same order.
DOCUMENTS_OF_ACCOUNT = Listing(
    select="""
    SELECT document.*, line.debit_minor
    FROM posting AS line INDEXED BY posting_account
    CROSS JOIN document ON document.realm = line.realm AND document.id = +line.document_id
    WHERE line.realm = :realm AND line.account_id = :account_id
    """,
    order=("line.document_id",),
    place=":at",
    descending=True,
)
SELECT_DOCUMENT = "SELECT * FROM document WHERE realm = :realm AND id = :id"
SELECT_DOCUMENT_BODY = """
SELECT json, created_ms, updated_ms FROM entity WHERE realm = :realm AND kind = :kind AND id = :id
"""
# The numbers that begin so, in large and small letters alike: no character sorts behind the one at the end.
SELECT_DOCUMENTS_BY_NUMBER = """
SELECT * FROM document
WHERE realm = :realm
    AND number COLLATE NOCASE >= :text AND number COLLATE NOCASE < :text || char(1114111)
ORDER BY number COLLATE NOCASE, id LIMIT :rows
"""
SELECT_CUSTOMERS_OF_DOCUMENT = """
SELECT customer.id, customer.name
FROM customer_line AS line
CROSS JOIN customer ON customer.realm = line.realm AND customer.id = line.customer_id
WHERE line.realm = :realm AND line.document_id = :id ORDER BY line.customer_id LIMIT :rows
"""
SELECT_POSTINGS = """
SELECT posting.account_id, account.acct_num, account.name, posting.debit_minor
FROM posting
JOIN entity AS account ON account.realm = posting.realm AND account.kind = 'Account'
    AND account.id = posting.account_id
WHERE posting.realm = :realm AND posting.document_id = :id
ORDER BY posting.debit_minor < 0, account.acct_num IS NULL, account.acct_num, account.id
"""

CUSTOMERS = Listing(
    select="SELECT * FROM customer WHERE realm = :realm",
    order=("name", "id"),
    place="SELECT name, id FROM customer WHERE realm = :realm AND id = :at",
)
# Who owes most comes first, and who has paid too much last.
CUSTOMERS_BY_DEBT = Listing(
    select="""
    SELECT customer.*
    FROM customer_total AS total
    CROSS JOIN customer ON customer.realm = total.realm AND customer.id = total.customer_id
    WHERE total.realm = :realm AND total.owed_minor <> 0
    """,
    order=("total.owed_minor", "total.customer_id"),
    place="SELECT owed_minor, customer_id FROM customer_total WHERE realm = :realm AND customer_id = :at",
    descending=True,
)
SELECT_CUSTOMER = "SELECT * FROM customer WHERE realm = :realm AND id = :id"
SELECT_CUSTOMERS_BY_NAME = """
SELECT * FROM customer
WHERE realm = :realm AND name >= :text AND name < :text || char(1114111)
ORDER BY name, id LIMIT :rows
"""
