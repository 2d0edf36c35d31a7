"""Sales with taxes and discounts, and their refunds: QuickBooks' books are the ledger's, tax by tax."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from tests.conftest import Database
from tests.support.emulator import Emulator, emulator
from tests.support.exporter import Export
from tests.support.school import School

_tenants = count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("emulator") / "books.db") as started:
        yield started


def export_of(database: Database, running: Emulator, country: str) -> Export:
    school = School(f"taxed-{next(_tenants)}", country, tax_registered_from="2020-01-01")
    return Export(database.url("bursar_exporter"), running, school=school)


def sell(export: Export, lines: list[dict[str, Any]], *tenders: dict[str, Any], **fields: Any) -> Any:
    whole = [{"sku": "X", "quantity": 1, **line} for line in lines]
    return export.school.run("pos.checkout", lines=whole, tenders=tenders or [{"type": "cash"}], **fields)


def emulated(export: Export) -> dict[str, int]:
    """The company's own balances, debits less credits by account number."""
    rows = export.server.http.get(f"/emulator/companies/{export.realm}/balances").raise_for_status().json()
    found = {row["AcctNum"] or row["Name"]: int(Decimal(row["balance"]) * 100) for row in rows}
    return {code: balance for code, balance in found.items() if balance}


def check(export: Export) -> None:
    assert export.export() == "completed", (export.states(), export.errors())
    export.check_books()
    assert emulated(export) == export.school.balances()


def test_kenyan_sales_and_refunds_are_the_same_in_both_books(database: Database, running: Emulator) -> None:
    export = export_of(database, running, "KE")
    export.school.run("wallet.open", account="STU-1")
    export.school.run("wallet.top_up", account="STU-1", amount=50000, source={"type": "bank"})
    first = sell(
        export,
        [
            {"total": 37900, "tax_code": "B", "quantity": 3},
            {"total": 9999, "tax_code": "E", "discount": {"percent": "12.5"}, "income": "shop"},
            {"total": 333, "tax_code": "A"},
            {"total": 1001, "tax_code": "C", "discount": {"amount": 1}},
            {"total": 77, "tax_code": "D"},
        ],
        {"type": "wallet", "amount": 10000},
        {"type": "card", "amount": 3000},
        {"type": "cash"},
        wallet="STU-1",
        discount={"amount": 777},
    )["sale"]
    assert [one["component"] + one["rate"] for one in first["taxes"]] == ["VAT16", "VAT8"]
    free = sell(export, [{"total": 500, "tax_code": "B"}], discount={"percent": "100"})["sale"]
    assert (free["total"], free["tenders"]) == (0, [])
    before = sell(export, [{"total": 11400, "tax_code": "B"}], effective_date="2020-06-30")["sale"]
    assert before["taxes"] == [{"component": "VAT", "rate": "14", "net": 10000, "amount": 1400}]
    check(export)
    export.school.run("pos.refund", sale=first["id"], lines=[{"line": 1, "quantity": 1}])
    export.school.run("pos.refund", sale=first["id"], amount=4321)
    export.school.run("pos.refund", sale=before["id"], amount=11400)
    check(export)


def test_canadian_taxes_go_to_an_account_each(database: Database, running: Emulator) -> None:
    export = export_of(database, running, "CA")
    codes = ("GST", "HST_ON", "HST_NS", "GST_PST_BC", "GST_RST_MB", "GST_QST", "A")
    sales = [
        sell(
            export,
            [
                {"total": 1005, "tax_code": code},
                {"total": 995, "tax_code": "GST", "discount": {"amount": 95}},
            ],
            {"type": "card"},
            prices=prices,
            discount={"percent": "7.5"},
        )["sale"]
        for code in codes
        for prices in ("exclusive", "inclusive")
    ]
    check(export)
    accounts = {account["Name"] for account in export.select("Account") if account.get("AcctNum")}
    assert {"GST Payable", "HST Payable", "PST Payable", "RST Payable", "QST Payable"} <= accounts
    for sale in sales:
        parts = [sale["total"] // 3, sale["total"] // 3, sale["total"] - 2 * (sale["total"] // 3)]
        for part in parts:
            export.school.run("pos.refund", sale=sale["id"], amount=part)
    check(export)
    balances = export.school.balances()
    assert all(balances.get(code, 0) == 0 for code in ("2500", "2505", "2510", "2520", "2530")), balances


def test_cash_rounding_is_a_line_of_its_own(database: Database, running: Emulator) -> None:
    export = export_of(database, running, "CA")
    sales = [
        sell(export, [{"total": total, "tax_code": "HST_ON"}], *tenders)["sale"]
        for total in (1001, 1003)
        for tenders in ([{"type": "cash"}], [{"type": "card", "amount": 100}, {"type": "cash"}])
    ]
    assert {sale["rounding"] for sale in sales} - {0}
    check(export)
    for sale in sales:
        export.school.run("pos.refund", sale=sale["id"], amount=333)
        export.school.run("pos.refund", sale=sale["id"], amount=sale["total"] - 333)
    check(export)
    assert export.school.balances().get("5030", 0) == 0


def test_a_piece_worth_nothing_bears_no_tax(database: Database, running: Emulator) -> None:
    export = export_of(database, running, "KE")
    lines = [{"total": 2, "quantity": 3, "tax_code": "E"}, {"total": 500, "tax_code": "B"}]
    sale = sell(export, lines)["sale"]
    pieces = [{"line": 1, "quantity": 1}, {"line": 2, "quantity": 1}]
    refund = export.school.run("pos.refund", sale=sale["id"], lines=pieces)["refund"]
    assert [line["amount"] for line in refund["lines"]] == [0, 500]
    check(export)


def test_documents_without_tax_tell_a_taxed_company_their_codes(
    database: Database, running: Emulator
) -> None:
    export = export_of(database, running, "KE")
    school = export.school
    school.run("wallet.open", account="FAM-1")
    school.run("wallet.top_up", account="FAM-1", amount=5000, source={"type": "bank"})
    line = {"description": "Term 1", "quantity": 1, "total": 9000, "income": "tuition"}
    bill = school.run("invoice.create", payer="FAM-1", due_date="2030-01-31", lines=[line], issue=True)
    tenders = [{"type": "wallet", "amount": 2000}, {"type": "cash", "amount": 7500}]
    school.run("invoice.settle", invoice=bill["id"], settle={"tenders": tenders})
    check(export)


def test_a_rate_that_the_company_does_not_have_waits_for_a_person(
    database: Database, running: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = export_of(database, running, "KE")
    monkeypatch.setattr("adapters.quickbooks.sending.setup.tax_names", lambda *_: {})
    sell(export, [{"total": 11600, "tax_code": "B"}])
    assert export.export() == "needs_attention"
    assert export.errors() == ["QuickBooks has no TaxCode VAT 16%."]
    monkeypatch.undo()
    check(export)
