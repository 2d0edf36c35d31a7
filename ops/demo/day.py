"""`bursar demo`: plays a school day against a running service, and shows that all books agree afterwards."""

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import httpx
import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ops.cli.connection import Data, Key, Url, find_target
from ops.demo.books import (
    Books,
    BooksMovedError,
    Check,
    Document,
    check_documents,
    check_ledger,
    check_quickbooks,
    check_statement,
    documents,
    read_books,
    show_money,
)
from ops.http_client import ApiClient, ApiError, UnreachableError

if TYPE_CHECKING:
    from ops.up.plan import QuickBooksInfo

STUCK_SECONDS: Final = 60.0
"""How long an export may stand still, however long it takes."""

_MORE_COMPARISONS = 2  # where somebody posted between an export and the reading of the ledger
_STUDENTS = ("AMINA", "BRIAN", "CHEBET", "DAVID")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened: what, how much (minor units, None for nothing), and its receipt or number."""

    what: str
    amount: int | None
    number: str


class Day:
    """One day at school. Every name and reference carries the run, so that days do not meet."""

    def __init__(self, client: ApiClient, currency: str) -> None:
        self._client = client
        self._currency = currency
        self._keys = 0
        self._last: tuple[str, str, object, str] = ("", "", None, "")
        # The emulator's clock may be another machine's.
        self.began = (datetime.now(UTC) - timedelta(minutes=10)).isoformat(timespec="seconds")
        self.run = secrets.token_hex(3).upper()
        self.steps: list[Step] = []

    def student(self, name: str) -> str:
        return f"{name}-{self.run}"

    @property
    def students(self) -> list[str]:
        return [self.student(name) for name in _STUDENTS]

    @property
    def numbers(self) -> list[str]:
        """The receipts and invoices of the day."""
        return list(dict.fromkeys(step.number for step in self.steps if step.number))

    def play(self) -> None:
        """Everything that happens, in order. Raises ApiError, UnreachableError."""
        for name in _STUDENTS:
            self._write("POST", "wallets", {"account": self.student(name), "currency": self._currency})
            self._note(f"{name.title()}'s wallet is opened", None, "")
        self._money_comes_in()
        self._canteen()
        self._office()

    def _money_comes_in(self) -> None:
        for name, amount in (("AMINA", 150_000), ("BRIAN", 80_000), ("CHEBET", 30_000)):
            self._top_up(name, amount, "mpesa")
        self._send_again()
        self._top_up("DAVID", 20_000, "cash")

    def _canteen(self) -> None:
        self._sell("Amina has lunch", "AMINA", [("MEAL", 1, 25_000)], [{"type": "wallet"}])
        lunch = self._sell(
            "Brian has lunch and two juices",
            "BRIAN",
            [("MEAL", 1, 25_000), ("JUICE", 2, 3_500)],
            [{"type": "wallet"}],
        )
        self._sell(
            "David's wallet pays what it can, cash the rest",
            "DAVID",
            [("MEAL", 1, 25_000)],
            [{"type": "wallet"}, {"type": "cash"}],
        )
        self._sell(
            "Chebet pays books by wallet, card and cash",
            "CHEBET",
            [("BOOK", 4, 12_000)],
            [{"type": "wallet"}, {"type": "card", "amount": 10_000}, {"type": "cash"}],
        )
        self._sell("A visitor pays cash", None, [("MEAL", 1, 30_000)], [{"type": "cash"}])
        refund = {"sale": lunch["sale"]["id"], "lines": [{"line": 2, "quantity": 1}]}
        answer = self._write("POST", "pos/refund", refund)
        self._note("Brian gives one juice back", 3_500, answer["receipt"]["number"])

    def _office(self) -> None:
        self._charge("AMINA", 15_000, "Library book lost")
        amina = self._invoice(
            "AMINA", [("Tuition, term 1", 2_000_000, "tuition"), ("Transport", 500_000, "transport")]
        )
        self._settle(
            "Amina pays by wallet, M-Pesa and bank",
            amina,
            [
                {"type": "wallet", "amount": 50_000, "account": self.student("AMINA")},
                {"type": "mpesa", "amount": 1_000_000, "reference": self._reference()},
                {"type": "bank", "amount": 500_000},
            ],
        )
        self._settle(
            "Amina's rest in cash, 1,000.00 too much: that goes to the wallet",
            amina,
            [{"type": "cash", "amount": 1_050_000, "account": self.student("AMINA")}],
        )
        brian = self._invoice("BRIAN", [("Hostel, term 1", 900_000, "hostel")])
        self._settle(
            "Brian pays by wallet, card and cash at once",
            brian,
            [
                {"type": "wallet", "amount": 40_000, "account": self.student("BRIAN")},
                {"type": "card", "amount": 600_000, "reference": self._reference()},
                {"type": "cash"},
            ],
        )
        david = self._invoice("DAVID", [("School trip", 350_000, "other_income")])
        self._settle("David pays a part", david, [{"type": "cash", "amount": 100_000}])

    # --- one command each

    def _top_up(self, name: str, amount: int, source: str) -> None:
        body = {"amount": amount, "currency": self._currency, "source": {"type": source}}
        if source == "mpesa":
            body["source"] = {"type": source, "reference": self._reference()}
        answer = self._write("POST", f"wallets/{self.student(name)}/top-up", body)
        self._note(f"{name.title()}'s wallet is topped up by {source}", amount, answer["receipt"]["number"])

    def _send_again(self) -> None:
        """The last command once more, under its key: the first answer comes back, and nothing moves."""
        method, path, body, key = self._last
        answer = self._client.write(method, path, body, key=key).body
        self._note(
            "That top-up is sent again: the same answer, nothing moves", None, answer["receipt"]["number"]
        )

    def _charge(self, name: str, amount: int, description: str) -> None:
        body = {
            "amount": amount,
            "currency": self._currency,
            "description": description,
            "income": "other_income",
        }
        answer = self._write("POST", f"wallets/{self.student(name)}/charge", body)
        self._note(f"{name.title()} is charged: {description}", amount, answer["receipt"]["number"])

    def _sell(
        self, what: str, name: str | None, lines: Sequence[tuple[str, int, int]], tenders: Sequence[object]
    ) -> Any:
        body: dict[str, Any] = {
            "currency": self._currency,
            "lines": [
                {
                    "sku": sku,
                    "quantity": quantity,
                    "unit_amount": each,
                    "income": "shop" if sku == "BOOK" else "meals",
                    "tax_code": "A",
                }
                for sku, quantity, each in lines
            ],
            "tenders": tenders,
        }
        if name is not None:
            body["wallet"] = self.student(name)
        answer = self._write("POST", "pos/checkout", body)
        self._note(what, answer["sale"]["total"], answer["receipt"]["number"])
        return answer

    def _invoice(self, name: str, lines: Sequence[tuple[str, int, str]]) -> str:
        body = {
            "payer": self.student(name),
            "currency": self._currency,
            "due_date": (date.today() + timedelta(days=30)).isoformat(),  # noqa: DTZ011 - any day will do
            "lines": [
                {"description": text, "quantity": 1, "total": total, "income": income, "tax_code": "A"}
                for text, total, income in lines
            ],
            "issue": False,
        }
        draft: str = self._write("POST", "invoices", body)["id"]
        issued = self._write("POST", f"invoices/{draft}/issue", {})
        self._note(f"{name.title()} is invoiced", issued["total"], issued["number"])
        return draft

    def _settle(self, what: str, invoice: str, tenders: Sequence[object]) -> None:
        answer = self._write("PATCH", f"invoices/{invoice}", {"settle": {"tenders": tenders}})
        still = show_money(answer["invoice"]["open"], self._currency)
        self._note(f"{what}; open: {still}", None, answer["receipt"]["number"])

    def _reference(self) -> str:
        self._keys += 1
        return f"DEMO{self.run}{self._keys:02}"

    def _write(self, method: str, path: str, body: object) -> Any:
        self._keys += 1
        self._last = method, path, body, f"demo-{self.run}-{self._keys}"
        return self._client.write(method, path, body, key=self._last[-1]).body

    def _note(self, what: str, amount: int | None, number: str) -> None:
        self.steps.append(Step(what=what, amount=amount, number=number))


# --- what became of it


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


# --- printing


def show(console: Console, day: Day, outcome: Outcome) -> None:
    """Print what happened, and whether all agree."""
    tables = [
        _steps_table(day, outcome),
        _wallets_table(day, outcome),
        _statement_table(outcome),
        _ledger_table(outcome),
    ]
    if outcome.documents is not None:
        tables.append(_documents_table(outcome.documents))
    tables.append(_checks_table(outcome.checks))
    for table in tables:
        console.print(table)
    if outcome.documents is None:
        console.print(
            "QuickBooks' address is not known (--ready-file names it): its books were not compared."
        )
    wrong = sum(not check.holds for check in outcome.checks)
    console.print(f"{wrong} checks failed." if wrong else f"All agree: {len(outcome.checks)} checks.")


def _steps_table(day: Day, outcome: Outcome) -> Table:
    table = _table(f"The day (run {day.run})", "what happened", f">{outcome.currency}", "receipt or number")
    for step in day.steps:
        amount = "" if step.amount is None else _money(step.amount, outcome)
        table.add_row(step.what, amount, step.number)
    return table


def _wallets_table(day: Day, outcome: Outcome) -> Table:
    table = _table("Wallets", "account", f">balance, {outcome.currency}")
    for account in day.students:
        table.add_row(account, _money(outcome.books.wallets[account], outcome))
    return table


def _statement_table(outcome: Outcome) -> Table:
    statement = outcome.statement
    title = f"Statement of {statement['account']}"
    table = _table(title, "date", "description", f">amount, {outcome.currency}", ">balance")
    table.add_row("", "opening balance", "", _money(statement["opening_balance"], outcome))
    for line in statement["lines"]:
        amount, balance = _money(line["amount"], outcome), _money(line["balance"], outcome)
        table.add_row(line["effective_date"], line["description"], amount, balance)
    table.add_row("", "closing balance", "", _money(statement["closing_balance"], outcome))
    return table


def _ledger_table(outcome: Outcome) -> Table:
    table = _table(
        "Ledger of the whole tenant",
        "account",
        f">debits, {outcome.currency}",
        ">credits",
        ">balance",
        "type",
    )
    for account in outcome.books.accounts:
        if account.debits or account.credits:
            amounts = (_money(minor, outcome) for minor in (account.debits, account.credits, account.balance))
            table.add_row(f"{account.code} {account.name}", *amounts, account.type)
    return table


def _documents_table(found: Sequence[Document]) -> Table:
    table = _table("The day in QuickBooks", "document", "number", "customer", "date", ">total")
    for document in found:
        table.add_row(document.kind, document.number, document.customer, document.date, document.total)
    return table


def _checks_table(checks: Sequence[Check]) -> Table:
    table = _table("Do they agree?", "", ">one side", ">the other", "")
    for check in checks:
        table.add_row(check.what, check.left, check.right, "yes" if check.holds else "[bold red]NO[/]")
    return table


def _table(title: str, *columns: str) -> Table:
    """An empty table; a column whose name begins with `>` is aligned to the right."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return table


def _money(minor: int, outcome: Outcome) -> str:
    return show_money(minor, outcome.currency)


# --- the command


def demo(
    url: Url = None,
    key: Key = None,
    ready_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="What `bursar up --ready-file` wrote.")
    ] = None,
    data: Data = Path(".bursar"),
) -> None:
    """Play a school day against a running service, export it, and show that all books agree.

    Exit code 1 where they do not, or the day could not be played.
    """
    target = find_target(url, key, data, ready_file)
    notice = Console(stderr=True)
    try:
        with ApiClient(target.url, target.key, notice=notice.print) as client:
            day, outcome = play(client, target.quickbooks)
    except (ApiError, UnreachableError, BooksMovedError, TimeoutError, httpx.HTTPError) as error:
        notice.print(f"bursar demo: {error}")
        raise typer.Exit(1) from None
    show(Console(), day, outcome)
    if not outcome.agrees:
        raise typer.Exit(1)
