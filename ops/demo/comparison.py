"""The demo's day, its export, and whether all books agree afterwards."""

import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ops.demo.books import (
    Books,
    Check,
    Document,
    check_documents,
    check_ledger,
    check_quickbooks,
    check_statement,
    documents,
    read_books,
)
from ops.demo.day import Day
from ops.http_client import ApiClient

if TYPE_CHECKING:
    from ops.up.ready_file import QuickBooksInfo

STUCK_SECONDS: Final = 60.0
"""How long an export may stand still, however long it takes."""

_MORE_COMPARISONS = 2  # where somebody posted between an export and the reading of the ledger


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo shows at the end. `documents` is None where QuickBooks' address is not known."""

    currency: str
    batch: Any
    books: Books
    statement: Any
    documents: list[Document] | None
    checks: list[Check]

    @property
    def agrees(self) -> bool:
        return all(check.holds for check in self.checks)


def play(client: ApiClient, quickbooks: "QuickBooksInfo | None") -> tuple[Day, Outcome]:
    """Play a day, export it, and compare all books.

    Raises ApiError, UnreachableError, BooksMovedError, TimeoutError where the export stands still, and
    httpx.HTTPError where QuickBooks does not answer.
    """
    currency = client.get("ping").body["currency"]
    day = Day(client, currency)
    day.play()
    outcome = _compare(client, day, quickbooks, currency)
    for _ in range(_MORE_COMPARISONS):
        if outcome.agrees:
            break
        outcome = _compare(client, day, quickbooks, currency)
    return day, outcome


def _compare(client: ApiClient, day: Day, quickbooks: "QuickBooksInfo | None", currency: str) -> Outcome:
    batch = _export(client)
    books = read_books(client)
    shown = day.students[0]
    statement = client.get("statements", account=shown, limit=500).body
    checks = check_ledger(books, currency)
    checks += check_statement(statement, books.wallets[shown], currency)
    checks.append(Check(what="the export's status", left=batch["status"], right="completed"))
    found = None
    if quickbooks is not None:
        found = documents(quickbooks, day.numbers, day.began)
        checks += check_documents(found, day.numbers)
        checks += check_quickbooks(quickbooks, books, currency)
    return Outcome(
        currency=currency, batch=batch, books=books, statement=statement, documents=found, checks=checks
    )


def _export(client: ApiClient) -> Any:
    """Ask for an export, and wait until it has ended. Raises TimeoutError."""
    key = f"demo-export-{secrets.token_hex(8)}"
    batch = client.write("POST", "quickbooks/export", {}, key=key).body["batch_id"]
    seen: Any = None
    moved = time.monotonic()
    while time.monotonic() - moved < STUCK_SECONDS:
        answer = client.get(f"quickbooks/exports/{batch}").body
        if answer["status"] in ("completed", "needs_attention"):
            return answer
        if answer["documents"] != seen:
            seen, moved = answer["documents"], time.monotonic()
        time.sleep(0.2)
    raise TimeoutError(f"export {batch} has stood still for {STUCK_SECONDS:.0f} seconds: {seen}")
