"""Whether the books agree: the ledger in itself, with wallets and invoices, and with QuickBooks."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec

from domain.money import format_minor, parse_decimal
from ops.http_client import ApiClient

if TYPE_CHECKING:
    from ops.up.ready_file import QuickBooksInfo

DOCUMENT_KINDS: Final = (
    "SalesReceipt",
    "RefundReceipt",
    "Invoice",
    "Payment",
    "CreditMemo",
    "JournalEntry",
)
_OPEN_STATUSES = ("issued", "partially_paid")
_SETTLING_SECONDS = 30.0
_decoder: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder(
    float_hook=Decimal
)  # amounts are JSON numbers; none becomes a float


class BooksMovedError(Exception):
    """Others kept posting while the books were read, so that no two reads showed the same moment."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger account; amounts in minor units, `balance` positive on the account's normal side."""

    code: str
    name: str
    type: str
    role: str
    debits: int
    credits: int
    balance: int


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger, every wallet's balance by account, and what all invoices owe together, at one position."""

    position: int
    accounts: Sequence[Account]
    wallets: Mapping[str, int]
    open_invoices: int

    def role(self, role: str) -> int:
        """The balance of the account that has this role."""
        return next(account.balance for account in self.accounts if account.role == role)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Two figures that have to be equal."""

    what: str
    left: str
    right: str

    @property
    def holds(self) -> bool:
        return self.left == self.right


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A QuickBooks document, as the demo shows it. `total` is empty where QuickBooks tells none."""

    kind: str
    number: str
    customer: str
    date: str
    total: str


def show_money(minor: int, currency: str) -> str:
    """Minor units for people: 150000 of KES is `1,500.00`."""
    return f"{Decimal(format_minor(minor, currency)):,}"


# --- the ledger


def read_books(client: ApiClient) -> Books:
    """Read until every answer shows the same position. Raises BooksMovedError after half a minute."""
    deadline = time.monotonic() + _SETTLING_SECONDS
    while time.monotonic() < deadline:
        accounts = client.get("accounts")
        wallets, wallet_positions = _everything(client, "wallets")
        invoices: list[Any] = []
        positions = {accounts.position} | wallet_positions
        for status in _OPEN_STATUSES:
            found, invoice_positions = _everything(client, "invoices", status=status)
            invoices += found
            positions |= invoice_positions
        if len(positions) == 1:
            return Books(
                position=accounts.position,
                accounts=msgspec.convert(accounts.body["data"], list[Account]),
                wallets={wallet["account"]: wallet["balance"] for wallet in wallets},
                open_invoices=sum(invoice["open"] for invoice in invoices),
            )
    raise BooksMovedError("others keep posting: run the demo on a service that is otherwise at rest")


def _everything(client: ApiClient, path: str, **params: str) -> tuple[list[Any], set[int]]:
    """A list, page by page, and the positions that its pages reflect."""
    found: list[Any] = []
    positions: set[int] = set()
    more: dict[str, str] = {}
    while True:
        answer = client.get(path, limit=500, **params, **more)
        found += answer.body["data"]
        positions.add(answer.position)
        if not answer.body["has_more"]:
            return found, positions
        more = {"cursor": answer.body["next"]}


def check_ledger(books: Books, currency: str) -> list[Check]:
    """The ledger in itself, and against what its control accounts control."""
    figures = [
        (
            "trial balance: debits = credits",
            sum(account.debits for account in books.accounts),
            sum(account.credits for account in books.accounts),
        ),
        ("wallets = their control account", sum(books.wallets.values()), books.role("wallet_liability")),
        ("open invoices = receivables", books.open_invoices, books.role("receivables")),
    ]
    return [
        Check(what=what, left=show_money(left, currency), right=show_money(right, currency))
        for what, left, right in figures
    ]


def check_statement(statement: Mapping[str, Any], balance: int, currency: str) -> list[Check]:
    """Opening balance and lines against closing balance, and that against the wallet."""
    account, closing = statement["account"], show_money(statement["closing_balance"], currency)
    summed = statement["opening_balance"] + sum(line["amount"] for line in statement["lines"])
    return [
        Check(what=f"statement {account}: lines add up", left=show_money(summed, currency), right=closing),
        Check(
            what=f"statement {account}: ends at the wallet's balance",
            left=closing,
            right=show_money(balance, currency),
        ),
    ]


# --- QuickBooks


def check_quickbooks(quickbooks: "QuickBooksInfo", books: Books, currency: str) -> list[Check]:
    """Every account of the ledger against the account of that number in QuickBooks, debits less credits."""
    found = {row["AcctNum"]: row["balance"] for row in _balances(quickbooks) if row["AcctNum"]}
    checks: list[Check] = []
    for account in books.accounts:
        there = show_money(parse_decimal(found.get(account.code, "0"), currency), currency)
        here = show_money(account.debits - account.credits, currency)
        if account.debits or account.credits or here != there:
            checks.append(
                Check(what=f"{account.code} {account.name}: ledger = QuickBooks", left=here, right=there)
            )
    return checks


def _balances(quickbooks: "QuickBooksInfo") -> list[dict[str, Any]]:
    response = httpx.get(f"{quickbooks.url}/emulator/companies/{quickbooks.realm}/balances", timeout=30)
    response.raise_for_status()
    return msgspec.json.decode(response.content, type=list[dict[str, Any]])


def documents(quickbooks: "QuickBooksInfo", numbers: Sequence[str], since: str) -> list[Document]:
    """QuickBooks' documents that bear one of `numbers`, alone or with a leg behind, written since a time."""
    wanted = re.compile(rf"({'|'.join(map(re.escape, numbers))})(?!\d).*")
    found: list[Document] = []
    for kind in DOCUMENT_KINDS:
        for body in _query(quickbooks, kind, since):
            number = body.get("DocNumber") or body.get("PaymentRefNum") or ""
            if wanted.fullmatch(number):
                found.append(
                    Document(
                        kind=kind,
                        number=number,
                        customer=(body.get("CustomerRef") or {}).get("name", ""),
                        date=body["TxnDate"],
                        total=_total(kind, body),
                    )
                )
    return found


def _total(kind: str, body: Mapping[str, Any]) -> str:
    # A journal entry's TotalAmt always reads 0.
    return "" if kind == "JournalEntry" else f"{body['TotalAmt']:,.2f}"


def check_documents(found: Sequence[Document], numbers: Sequence[str]) -> list[Check]:
    """Whether each receipt and invoice of the day has a document there, and no document stands twice."""
    missing = [
        number
        for number in numbers
        if not any(re.match(rf"{re.escape(number)}(?!\d)", document.number) for document in found)
    ]
    distinct = {(document.kind, document.number) for document in found}
    return [
        Check(
            what="receipts and invoices without a document", left=", ".join(missing) or "none", right="none"
        ),
        Check(
            what="documents, and how many of them are distinct",
            left=str(len(found)),
            right=str(len(distinct)),
        ),
    ]


def _query(quickbooks: "QuickBooksInfo", kind: str, since: str) -> Iterator[dict[str, Any]]:
    """Every entity of a kind that was written since a time, 1,000 at a time, which is QuickBooks' most."""
    start = 1
    while True:
        response = httpx.get(
            f"{quickbooks.url}/v3/company/{quickbooks.realm}/query",
            params={
                "query": f"SELECT * FROM {kind} WHERE MetaData.LastUpdatedTime >= '{since}' "  # noqa: S608 - its own language
                f"ORDERBY Id STARTPOSITION {start} MAXRESULTS 1000"
            },
            headers={"Authorization": f"Bearer {quickbooks.access_token}", "Accept": "application/json"},
            timeout=30,
        )
        response.raise_for_status()
        page = _decoder.decode(response.content)["QueryResponse"].get(kind, [])
        yield from page
        if len(page) < 1000:
            return
        start += 1000
