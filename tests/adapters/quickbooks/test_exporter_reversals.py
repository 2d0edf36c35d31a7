"""Reversals on their way to QuickBooks: both books agree, whenever what is taken back was exported."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
import pytest

from adapters.quickbooks.api.calls import Job, look_up
from adapters.quickbooks.api.client import Client
from projections.views.export_documents import ExportDocument, export_documents
from tests.conftest import Database
from tests.support.emulator import TOKEN, Emulator, emulator
from tests.support.exporter import Export
from tests.support.projected import ask
from tests.support.school import School

_tenants = count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("emulator") / "books.db") as started:
        yield started


@pytest.fixture
def export(database: Database, running: Emulator) -> Iterator[Export]:
    yield Export(database.url("bursar_exporter"), running, tenant=f"school-{next(_tenants)}")
    running.disarm()


def play(school: School) -> list[str]:
    """One of each that can be taken back; returns their transactions, in an order in which they can be."""
    for account in ("STU-1", "FAM-1"):
        school.run("wallet.open", account=account)
        school.run("wallet.top_up", account=account, amount=5000, source={"type": "cash"})
    topped_up = school.run("wallet.top_up", account="STU-1", amount=700, source={"type": "bank"})
    charged = school.run("wallet.charge", account="STU-1", amount=150, description="Fine", income="meals")
    bill = school.run(
        "invoice.create",
        payer="FAM-1",
        due_date="2030-01-31",
        lines=[{"description": "Term 1", "quantity": 1, "total": 9000, "income": "tuition"}],
        issue=True,
    )
    paid = [
        school.run("invoice.settle", invoice=bill["id"], settle={"tenders": tenders})
        for tenders in (
            [{"type": "cash", "amount": 1000}],
            [
                {"type": "wallet", "amount": 2000, "account": "FAM-1"},
                {"type": "bank", "amount": 3000},
                {"type": "cash", "amount": 3300},
            ],
        )
    ]
    return [one["transaction_id"] for one in (topped_up, charged, *paid)]


def reverse(school: School, transactions: list[str]) -> None:
    for transaction in transactions:
        school.run("transaction.reverse", transaction=transaction, reason="Wrong")


def check(export: Export, *, reopened: int) -> None:
    """The books agree, and every invoice is as open in QuickBooks as in the ledger; charge-backs are paid."""
    export.check_books()
    balances = {invoice["DocNumber"]: invoice["Balance"] for invoice in export.select("Invoice")}
    (original,) = [number for number in balances if number.startswith("INV-")]
    assert balances.pop(original) * 100 == reopened
    assert set(balances.values()) <= {0}
    assert all(memo["RemainingCredit"] == 0 for memo in export.select("CreditMemo"))
    assert all(payment["UnappliedAmt"] == 0 for payment in export.select("Payment"))


def test_what_was_exported_is_taken_back(export: Export) -> None:
    transactions = play(export.school)
    assert export.export() == "completed"
    reverse(export.school, transactions)
    assert export.export() == "completed"
    check(export, reopened=9000)
    payments = export.rows(
        "SELECT version, state, count(*) FROM finance_export_jobs WHERE kind = 'Payment' GROUP BY 1, 2 ORDER BY 1"
    )
    assert payments == [(1, "confirmed", 4), (2, "confirmed", 4)]


def test_what_was_not_exported_yet_is_made_and_taken_back_at_once(export: Export) -> None:
    reverse(export.school, play(export.school))
    assert export.export() == "completed"
    check(export, reopened=9000)


def test_an_invoice_that_reopened_is_paid_again(export: Export) -> None:
    *_, first, second = play(export.school)
    export.export()
    reverse(export.school, [second])
    (bill,) = invoices(export.school)
    export.school.run("invoice.settle", invoice=bill, settle={"tenders": [{"type": "bank", "amount": 7900}]})
    reverse(export.school, [first])
    assert export.export() == "completed"
    check(export, reopened=1100)


def invoices(school: School) -> list[str]:
    return [stream.rpartition("/")[2] for stream in school._states if "/invoice/" in stream]


def test_a_second_run_sends_nothing(export: Export) -> None:
    transactions = play(export.school)
    export.export()
    reverse(export.school, transactions)
    export.export()
    before = export.server.last_request()
    assert export.export() == "completed"
    operations = {line["operation"] for line in export.server.requests(before)}
    assert operations <= {"query", "read"}


@pytest.mark.parametrize("replay", [None, "6000_on_batch_replay", "expired_request_ids"])
@pytest.mark.parametrize(
    "fault", ["429", "500", "drop_after_commit", "hang_after_commit", "partial_batch", "5010"]
)
def test_a_fault_that_passes(export: Export, fault: str, replay: str | None) -> None:
    transactions = play(export.school)
    export.export()
    reverse(export.school, transactions)
    for kind in ("Invoice", "Payment", "RefundReceipt"):
        export.server.arm(fault, entity=kind)
        if replay is not None:
            export.server.arm(replay, count=3, entity=kind)
    assert export.export() == "completed", export.errors()
    check(export, reopened=9000)


def test_a_payment_that_is_to_be_changed_says_what_it_waits_for(database: Database, export: Export) -> None:
    *_, first, _ = play(export.school)
    reverse(export.school, [first])
    export.server.arm("6210", count=9, entity="Payment")
    batch = export.request()
    assert export.send_until(batch, "completed", "needs_attention") == "needs_attention"

    async def payments(connection: Any) -> list[ExportDocument]:
        page = await export_documents(connection, batch, limit=99)
        assert page is not None
        return [one for one in page.data if one.source.transaction_id == first]

    made, changed = ask(database, export.school.tenant, payments)
    assert (made.kind, made.number) == (changed.kind, changed.number)
    assert made.state == "held"
    assert (changed.state, changed.code) == ("blocked", "waits_for_document")
    assert changed.reason == f"It waits for Payment {made.number}, which is held."
    export.server.disarm()
    assert export.export() == "completed"
    check(export, reopened=1000)


def test_what_is_to_be_changed_counts_as_there_once_it_is_changed(export: Export) -> None:
    *_, first, _ = play(export.school)
    export.export()
    reverse(export.school, [first])
    export.export()
    ((number, body),) = export.rows(
        "SELECT number, body FROM finance_export_jobs WHERE kind = 'Payment' AND version = 2"
    )
    client = Client(url=export.server.url, realm=export.realm, access_token=TOKEN, timeout_seconds=5)
    job = Job(id=1, kind="Payment", number=number, customer="FAM-1", body=bytes(body), calls=1, changes=True)
    assert ("Payment", number) in look_up(client, [job])
    other: dict[str, Any] = msgspec.json.decode(bytes(body))
    other["Line"][0]["LinkedTxn"][0]["TxnId"] = "1"
    unchanged = msgspec.structs.replace(job, body=msgspec.json.encode(other))
    assert look_up(client, [unchanged]) == {}
    created = msgspec.structs.replace(unchanged, changes=False)
    assert ("Payment", number) in look_up(client, [created])
