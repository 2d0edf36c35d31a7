"""`bursar demo` plays its day on the real service, again and again, and would say if the books disagreed."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from ops.cli.main import app
from ops.demo.books import Account, Books, Check, Document, check_documents, check_ledger, check_statement


def books(wallet_control: int, receivables: int, wallets: dict[str, int], open_invoices: int) -> Books:
    def account(role: str, balance: int) -> Account:
        return Account(
            code=role, name=role, type="liability", role=role, debits=0, credits=balance, balance=balance
        )

    cash = Account(
        code="cash",
        name="cash",
        type="asset",
        role="cash",
        debits=wallet_control + receivables,
        credits=0,
        balance=0,
    )
    accounts = [account("wallet_liability", wallet_control), account("receivables", receivables), cash]
    return Books(position=1, accounts=accounts, wallets=wallets, open_invoices=open_invoices)


def failing(checks: list[Check]) -> list[str]:
    return [check.what for check in checks if not check.holds]


def test_the_checks_of_the_ledger_see_each_difference():
    assert failing(check_ledger(books(500, 70, {"A": 300, "B": 200}, 70), "KES")) == []
    wallets_off = check_ledger(books(500, 70, {"A": 300}, 70), "KES")
    assert failing(wallets_off) == ["wallets = their control account"]
    invoices_off = check_ledger(books(500, 70, {"A": 500}, 71), "KES")
    assert failing(invoices_off) == ["open invoices = receivables"]
    whole = books(500, 70, {"A": 500}, 70)
    unbalanced = Books(position=1, accounts=whole.accounts[:2], wallets={"A": 500}, open_invoices=70)
    assert failing(check_ledger(unbalanced, "KES")) == ["trial balance: debits = credits"]


def test_the_checks_of_a_statement_see_each_difference():
    statement = {"account": "A", "opening_balance": 100, "closing_balance": 250, "lines": [{"amount": 150}]}
    assert failing(check_statement(statement, 250, "KES")) == []
    assert len(failing(check_statement(statement, 251, "KES"))) == 1
    assert len(failing(check_statement(statement | {"lines": []}, 250, "KES"))) == 1


def test_the_checks_of_documents_see_what_is_missing_and_what_is_twice():
    def document(number: str) -> Document:
        return Document(kind="Payment", number=number, customer="A", date="2026-01-01", total="1")

    numbers = ["RCT-2026-000001", "RCT-2026-000002"]
    both = [document("RCT-2026-000001"), document("RCT-2026-000002-1"), document("RCT-2026-000002-2")]
    assert failing(check_documents(both, numbers)) == []
    missing = check_documents([document("RCT-2026-0000010"), *both[1:]], numbers)
    assert [check.left for check in missing] == ["RCT-2026-000001", "3"]
    assert len(failing(check_documents([*both, both[0]], numbers))) == 1


def play(ready_file: Path) -> Result:
    return CliRunner().invoke(app, ["demo", "--ready-file", str(ready_file)])


def test_two_days_on_one_service(ready_file):
    for _ in range(2):
        result = play(ready_file)
        assert result.exit_code == 0, result.output
        assert "All agree" in result.stdout
        assert "1,600.00" in result.stdout


@pytest.fixture
def foreign_journal(ready_file: Path) -> Iterator[None]:
    """A journal in QuickBooks that the ledger knows nothing of."""
    assert play(ready_file).exit_code == 0  # the accounts are there once something was exported
    quickbooks = json.loads(ready_file.read_text())["quickbooks"]
    with httpx.Client(
        base_url=f"{quickbooks['url']}/v3/company/{quickbooks['realm']}/",
        headers={"Authorization": f"Bearer {quickbooks['access_token']}"},
    ) as client:
        found = client.get("query", params={"query": "SELECT * FROM Account"}).json()
        accounts = {row.get("AcctNum"): row["Id"] for row in found["QueryResponse"]["Account"]}
        lines = [
            {
                "Amount": 1,
                "DetailType": "JournalEntryLineDetail",
                "JournalEntryLineDetail": {"PostingType": side, "AccountRef": {"value": accounts[code]}},
            }
            for side, code in (("Debit", "1000"), ("Credit", "4000"))
        ]
        made = client.post("journalentry", json={"Line": lines}).json()["JournalEntry"]
        yield
        gone = {"Id": made["Id"], "SyncToken": made["SyncToken"]}
        client.post("journalentry", params={"operation": "delete"}, json=gone).raise_for_status()


@pytest.mark.usefixtures("foreign_journal")
def test_books_that_disagree_are_told(ready_file):
    result = play(ready_file)
    assert result.exit_code == 1
    assert "2 checks failed" in result.stdout


def test_a_service_that_is_not_there(tmp_path):
    result = CliRunner().invoke(app, ["demo", "--data", str(tmp_path)])
    assert result.exit_code == 2
