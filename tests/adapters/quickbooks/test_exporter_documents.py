"""A batch's documents as an accountant sees them: why each is not in QuickBooks, and what to do about it."""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, get_args

import psycopg
import pytest

from adapters.quickbooks.api.errors import JobState
from api.reads.parameters import DocumentState
from projections.engine.reading import SET_TENANT
from projections.views.export_documents import ExportDocument, export_documents, safe
from projections.views.export_reasons import ExportReason
from tests.conftest import Database
from tests.support.emulator import Emulator, emulator
from tests.support.exporter import Export

_tenants = count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("emulator") / "books.db") as started:
        yield started


@pytest.fixture
def export(database: Database, running: Emulator) -> Iterator[Export]:
    made = Export(database.url("bursar_exporter"), running, tenant=f"listed-{next(_tenants)}")
    made.school.run("wallet.open", account="STU-1")
    yield made
    running.disarm()


def top_up(export: Export, account: str = "STU-1", **fields: Any) -> None:
    export.school.run("wallet.top_up", account=account, amount=100, source={"type": "cash"}, **fields)


def listed(database: Database, export: Export, batch: str, **wanted: Any) -> list[ExportDocument]:
    """All documents of a batch, read in pages of two."""

    async def read() -> list[ExportDocument]:
        async with await psycopg.AsyncConnection.connect(database.url("bursar_reader")) as connection:
            await connection.execute(SET_TENANT, (export.school.tenant,))
            after, documents = None, list[ExportDocument]()
            while True:
                page = await export_documents(connection, batch, limit=2, after=after, **wanted)
                assert page is not None
                assert len(page.data) <= 2
                documents += page.data
                if not page.has_more:
                    return documents
                after = page.next

    return asyncio.run(read())


def entity(export: Export, kind: str, where: str) -> dict[str, Any]:
    query = f"select * from {kind} where {where} and Active in (true, false)"
    path = f"/v3/company/{export.realm}/query"
    answer = export.server.http.get(path, params={"query": query}).raise_for_status().json()
    return answer["QueryResponse"][kind][0]


def change(export: Export, kind: str, where: str, **changes: Any) -> None:
    found = entity(export, kind, where)
    body = {"Id": found["Id"], "SyncToken": found["SyncToken"], "sparse": True, **changes}
    export.server.http.post(f"/v3/company/{export.realm}/{kind.lower()}", json=body).raise_for_status()


def creates(export: Export, kind: str) -> int:
    return sum(line["entity"] == kind and line["operation"] == "create" for line in export.requests())


# --- the list


def test_the_states_of_the_parameter_are_those_of_documents() -> None:
    assert get_args(DocumentState) == tuple(JobState)


def test_documents_are_listed_in_the_order_of_the_log(database: Database, export: Export) -> None:
    for _ in range(5):
        top_up(export)
    batch = export.request()
    queued = listed(database, export, batch)
    assert [document.state for document in queued] == ["blocked"] * 5
    assert [document.number for document in queued] == sorted(document.number for document in queued)
    assert {(d.code, d.reason, d.remedy) for d in queued} == {(None, None, None)}
    export.send_until(batch, "completed")
    done = listed(database, export, batch)
    assert [document.id for document in done] == [document.id for document in queued]
    first = done[0]
    assert (first.kind, first.state, first.amount, first.attempts) == ("SalesReceipt", "confirmed", 100, 1)
    assert first.quickbooks_id == entity_of(export, first.number)["Id"]
    assert first.source.leg == 0
    assert first.source.transaction_id in entity_of(export, first.number)["PrivateNote"]
    assert listed(database, export, batch, state="confirmed") == done
    assert listed(database, export, batch, state="dead") == []


def entity_of(export: Export, number: str) -> dict[str, Any]:
    return next(receipt for receipt in export.select("SalesReceipt") if receipt["DocNumber"] == number)


def test_what_was_confirmed_before_a_batch_is_not_its_own(database: Database, export: Export) -> None:
    top_up(export)
    export.send_until(export.request(), "completed")
    export.server.arm("2010", entity="SalesReceipt")
    top_up(export)
    second = export.request()
    export.send_until(second, "needs_attention")
    top_up(export)
    third = export.request()
    export.send_until(third, "needs_attention")
    assert [d.state for d in listed(database, export, second)] == ["dead"]
    both = listed(database, export, third)
    assert [document.state for document in both] == ["dead", "confirmed"]
    assert [d.id for d in listed(database, export, third, state="dead")] == [both[0].id]
    assert [d.id for d in listed(database, export, third, state="confirmed")] == [both[1].id]


def test_a_batch_that_nobody_asked_for_has_no_documents(database: Database, export: Export) -> None:
    batch = export.request()

    async def read(tenant: str, batch: str) -> Any:
        async with await psycopg.AsyncConnection.connect(database.url("bursar_reader")) as connection:
            await connection.execute(SET_TENANT, (tenant,))
            return await export_documents(connection, batch, limit=2)

    assert asyncio.run(read("other", batch)) is None
    assert asyncio.run(read(export.school.tenant, "01890000-0000-7000-8000-000000000001")) is None
    with psycopg.connect(database.superuser_url) as superuser:
        asked = "01890000-0000-7000-8000-000000000002"
        superuser.execute(
            "INSERT INTO export_requests VALUES ('other', %s, 'quickbooks', now(), 7)", (asked,)
        )
    assert asyncio.run(read("other", asked)).data == []


# --- reasons


def test_a_document_that_waits_for_another_says_for_which(database: Database, export: Export) -> None:
    bill = export.school.run(
        "invoice.create",
        payer="FAM-1",
        due_date="2030-01-31",
        lines=[{"description": "Term 1", "quantity": 1, "total": 900, "income": "tuition"}],
        issue=True,
    )
    export.school.run(
        "invoice.settle", invoice=bill["id"], settle={"tenders": [{"type": "cash", "amount": 900}]}
    )
    export.server.arm("6210", entity="Invoice")
    batch = export.request()
    export.send_until(batch, "needs_attention")
    invoice, payment = listed(database, export, batch)
    assert (invoice.state, invoice.code) == ("held", "closed_period")
    assert (payment.state, payment.code) == ("blocked", "waits_for_document")
    assert payment.reason == f"It waits for Invoice {bill['number']}, which is held."
    assert export.export() == "completed"
    assert {(d.state, d.code, d.reason) for d in listed(database, export, batch)} == {
        ("confirmed", None, None)
    }


def test_every_state_that_needs_somebody_has_its_code_and_remedy(database: Database, export: Export) -> None:
    top_up(export)
    batch = export.request()
    export.server.arm("2010", entity="SalesReceipt")
    export.send_until(batch, "needs_attention")
    (dead,) = listed(database, export, batch)
    assert (dead.state, dead.code) == ("dead", "refused")
    assert dead.reason is not None
    assert dead.reason.startswith("2010 ")
    assert dead.remedy == ExportReason.REFUSED.remedy
    top_up(export)
    export.server.arm("expired_token", count=1000, entity="SalesReceipt")
    second = export.request()
    export.send_until(second, "needs_attention")
    (signed_out,) = listed(database, export, second, state="needs_sign_in")
    assert (signed_out.code, signed_out.remedy) == ("sign_in", ExportReason.SIGN_IN.remedy)


def test_another_document_under_the_number_is_named(database: Database, export: Export) -> None:
    top_up(export)
    export.send_until(export.request(), "completed")
    taken = export.select("SalesReceipt")[0]
    number = taken["DocNumber"][:-1] + str(int(taken["DocNumber"][-1]) + 1)
    line = next(line for line in taken["Line"] if "SalesItemLineDetail" in line)
    body = {
        "DocNumber": number,
        "CustomerRef": taken["CustomerRef"],
        "DepositToAccountRef": taken["DepositToAccountRef"],
        "Line": [{**line, "Amount": "7.00"}],
    }
    path = f"/v3/company/{export.realm}/salesreceipt"
    export.server.http.post(path, json=body).raise_for_status()
    top_up(export)
    batch = export.request()
    export.send_until(batch, "needs_attention")
    (dead,) = listed(database, export, batch)
    assert (dead.number, dead.state, dead.code) == (number, "dead", "number_taken")
    assert f"another SalesReceipt {number}" in str(dead.reason)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("6140 Duplicate: DocNumber=RCT-2026-000017 is TxnId=42", None),
        ("QuickBooks is closed until 2026-01-31.", None),
        ("610 Not Found: something you're trying to use has been made inactive", None),
        ("6000 Error: 'Amina Otieno' has no e-mail", "6000 Error: … has no e-mail"),
        ('6000 Error: "Amina Otieno" is taken', "6000 Error: … is taken"),
        ("2210 Email amina.o@example.com invalid", "2210 Email … invalid"),
        ("Phone +254 712 345 678 or 0712345678 or (604) 555-0199", "Phone … or … or …"),
        ("one\ntwo\u202e", "one two "),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_words_of_quickbooks_name_no_person(words: str, shown: str | None) -> None:
    assert safe(words) == (words if shown is None else shown)


def test_every_code_is_on_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "quickbooks.md").read_text()
    assert not [reason for reason in ExportReason if f"| `{reason}` | {reason.remedy} |" not in page]


# --- what is inactive


def test_a_customer_that_is_inactive_says_so_and_goes_out_once_it_is_active(
    database: Database, export: Export
) -> None:
    """QuickBooks keeps an inactive customer's name, and hides it from who asks for names."""
    company = {"realm": export.realm, "country": "KE", "name": "Greenhill"}
    export.server.http.post("/emulator/companies", json=company).raise_for_status()
    path = f"/v3/company/{export.realm}/customer"
    export.server.http.post(path, json={"DisplayName": "STU-1"}).raise_for_status()
    change(export, "Customer", "DisplayName = 'STU-1'", Active=False)
    top_up(export)
    batch = export.request()
    export.send_until(batch, "needs_attention")
    (document,) = listed(database, export, batch)
    assert (document.state, document.code) == ("needs_mapping", "customer_inactive")
    assert document.reason == "The customer STU-1 is inactive in QuickBooks."
    assert "Make active" in str(document.remedy)
    assert creates(export, "Customer") == 1, "its name is not asked for again"
    assert export.export() == "needs_attention", "nobody has made it active"
    change(export, "Customer", "DisplayName = 'STU-1'", Active=True)
    assert export.export() == "completed"
    assert export.status(batch) == "completed"
    assert creates(export, "SalesReceipt") == 1
    export.check_books()


@pytest.mark.parametrize(
    ("kind", "where", "code", "name"),
    [
        ("Customer", "DisplayName = 'STU-1'", "customer_inactive", "customer STU-1"),
        ("Account", "AcctNum = '1000'", "account_inactive", "account 1000"),
        ("Item", "Name like '%(2100)'", "item_inactive", "item "),
    ],
)
def test_what_is_made_inactive_after_it_was_mapped_is_named(
    database: Database, export: Export, kind: str, where: str, code: str, name: str
) -> None:
    top_up(export)
    export.send_until(export.request(), "completed")
    change(export, kind, where, Active=False)
    top_up(export)
    batch = export.request()
    export.send_until(batch, "needs_attention")
    (document,) = listed(database, export, batch)
    assert (document.state, document.code) == ("needs_mapping", code)
    assert name in str(document.reason)
    assert str(document.reason).endswith(" is inactive in QuickBooks.")
    change(export, kind, where, Active=True)
    assert export.export() == "completed"
    assert len(export.select("SalesReceipt")) == 2
    export.check_books()


def test_an_account_that_is_inactive_from_the_start_is_named(database: Database, export: Export) -> None:
    company = {"realm": export.realm, "country": "KE", "name": "Greenhill"}
    export.server.http.post("/emulator/companies", json=company).raise_for_status()
    path = f"/v3/company/{export.realm}/account"
    old = {"Name": "Old cash", "AccountType": "Bank", "AcctNum": "1000"}
    export.server.http.post(path, json=old).raise_for_status()
    change(export, "Account", "AcctNum = '1000'", Active=False)
    top_up(export)
    batch = export.request()
    export.send_until(batch, "needs_attention")
    (document,) = listed(database, export, batch)
    assert (document.state, document.code) == ("needs_mapping", "account_inactive")
    assert document.reason == "The account 1000 is inactive in QuickBooks."
    change(export, "Account", "AcctNum = '1000'", Active=True)
    assert export.export() == "completed"
    export.check_books()
