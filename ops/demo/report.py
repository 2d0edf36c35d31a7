"""What the demo prints: the day, the books after it, and whether they agree."""

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from ops.demo.books import Check, Document, show_money
from ops.demo.comparison import Outcome
from ops.demo.day import Day, Step
from ops.words import counted


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The demo's outcome for programs; `steps` and `checks` are what the tables show."""

    run: str
    agrees: bool
    currency: str
    export: Any
    steps: Sequence[Step]
    checks: Sequence[Check]


def report(day: Day, outcome: Outcome) -> Report:
    """What `show` shows of the day and of the comparison, as facts."""
    return Report(
        run=day.run,
        agrees=outcome.agrees,
        currency=outcome.currency,
        export=outcome.batch,
        steps=day.steps,
        checks=outcome.checks,
    )


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
    console.print(
        f"{counted(wrong, 'check')} failed."
        if wrong
        else f"All agree: {counted(len(outcome.checks), 'check')}."
    )


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
