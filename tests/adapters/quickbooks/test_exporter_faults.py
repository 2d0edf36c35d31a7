"""Every fault that the emulator can be armed with, under an export: in the end each document is there once."""

from collections.abc import Iterator
from itertools import count

import pytest
from support_emulator import Emulator, emulator
from support_exporter import Export, play

from tests.conftest import Database
from tests.support_school import School

# What passes by itself; the others leave something to a person.
PASSING = (
    "429",
    "429_xml",
    "500",
    "503",
    "drop_after_commit",
    "hang_after_commit",
    "partial_batch",
    "6140",
    "5010",
)
KINDS = ("Account", "Item", "Customer", "SalesReceipt", "Invoice", "Payment", "CreditMemo", "JournalEntry")
_tenants = count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("emulator") / "books.db") as started:
        yield started


@pytest.fixture
def export(database: Database, running: Emulator) -> Iterator[Export]:
    made = Export(database.url("bursar_exporter"), running, tenant=f"school-{next(_tenants)}")
    play(made.school, 3)
    yield made
    running.disarm()


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes(export: Export, fault: str) -> None:
    for kind in KINDS:
        export.server.arm(fault, entity=kind)
    assert export.export() == "completed", export.errors()
    export.check_books()


@pytest.mark.parametrize("kind", ["Account", "Customer", "Invoice"])
@pytest.mark.parametrize("fault", ["expired_token", "401_after_commit"])
def test_a_sign_in_that_fails_once_is_tried_again(export: Export, fault: str, kind: str) -> None:
    export.server.arm(fault, entity=kind)
    assert export.export() == "completed", export.errors()
    export.check_books()


def test_a_sign_in_that_fails_twice_is_for_a_person(export: Export) -> None:
    export.server.arm("expired_token", count=1000, entity="SalesReceipt")
    assert export.export() == "needs_attention"
    assert export.states()["needs_sign_in"] > 0
    export.server.disarm()
    assert export.export() == "completed"
    export.check_books()


def test_a_name_that_is_taken_is_found(export: Export) -> None:
    for kind in ("Account", "Item", "Customer"):
        export.server.arm("6240", entity=kind)
    assert export.export() == "completed", export.errors()
    export.check_books()


@pytest.mark.parametrize("replay", ["6000_on_batch_replay", "expired_request_ids"])
@pytest.mark.parametrize("loss", ["drop_after_commit", "hang_after_commit", "401_after_commit"])
def test_a_lost_answer_whose_replay_is_no_help(export: Export, loss: str, replay: str) -> None:
    kinds = ("SalesReceipt", "Invoice", "Payment", "CreditMemo", "JournalEntry")
    for kind in kinds[:1] if loss == "401_after_commit" else kinds:
        export.server.arm(loss, entity=kind)
        export.server.arm(replay, count=3, entity=kind)
    assert export.export() == "completed", export.errors()
    export.check_books()


def test_a_lost_answer_is_asked_for_again_under_the_same_request_id(export: Export) -> None:
    export.school = School(f"{export.school.tenant}-cash")
    export.school.run("wallet.open", account="W1")
    export.school.run("wallet.top_up", account="W1", amount=100, source={"type": "cash"})
    before = export.server.last_request()
    export.server.arm("drop_after_commit", entity="SalesReceipt")
    assert export.export() == "completed"
    replayed = [line for line in export.server.requests(before) if line["replayed"]]
    assert replayed
    first = next(
        line
        for line in export.server.requests(before)
        if line["request_id"] == replayed[0]["request_id"] and not line["replayed"]
    )
    assert first["n"] < replayed[0]["n"]
    ((attempts,),) = export.rows("SELECT max(attempts) FROM finance_export_jobs")
    assert attempts == 1  # one call, however often it was sent


def test_many_faults_at_once(export: Export) -> None:
    for fault in (*PASSING, "6000_on_batch_replay", "expired_request_ids"):
        export.server.arm(fault, count=2)
    assert export.export() == "completed", export.errors()
    export.check_books()


def test_a_partial_payment_whose_request_id_expired_is_not_made_twice(export: Export) -> None:
    """QuickBooks takes a payment's number twice, and here nothing else would stop it."""
    bill = export.school.run(
        "invoice.create",
        payer="FAM-0",
        due_date="2030-01-31",
        lines=[{"description": "Trip", "quantity": 1, "total": 10_000, "income": "transport"}],
        issue=True,
    )
    export.school.run(
        "invoice.settle", invoice=bill["id"], settle={"tenders": [{"type": "cash", "amount": 10}]}
    )
    for fault in ("drop_after_commit", "expired_request_ids"):
        export.server.arm(fault, count=5, entity="Payment")
    assert export.export() == "completed", export.errors()
    export.check_books()


def test_a_document_that_is_there_already_is_adopted(export: Export) -> None:
    """As an exporter left it that died before it could note the answer, its request id long forgotten."""
    assert export.export() == "completed"
    (row,) = export.rows(
        "UPDATE finance_export_jobs SET state = 'pending', quickbooks_id = NULL, confirmed_at = NULL"
        " WHERE id = (SELECT min(id) FROM finance_export_jobs) RETURNING id"
    )
    assert export.export() == "completed"
    export.check_books()
    assert export.rows("SELECT state FROM finance_export_jobs WHERE id = %s", row[0]) == [("confirmed",)]


def test_a_document_of_another_amount_under_our_number_is_not_adopted(export: Export) -> None:
    assert export.export() == "completed"
    export.rows(
        "UPDATE finance_export_jobs SET state = 'pending', quickbooks_id = NULL, confirmed_at = NULL,"
        " body = convert_to(replace(convert_from(body, 'UTF8'), '\"Amount\":50.00', '\"Amount\":51.00'), 'UTF8')"
        " WHERE id = (SELECT min(id) FROM finance_export_jobs) RETURNING id"
    )
    assert export.export() == "needs_attention"
    assert export.states()["dead"] == 1
    assert "QuickBooks has another SalesReceipt" in export.errors()[0]


def test_a_closed_period_by_refusal_is_held_and_goes_with_the_next_batch(export: Export) -> None:
    export.server.arm("6210", entity="SalesReceipt")
    assert export.export() == "needs_attention"
    assert export.states()["held"] == 1
    assert export.export() == "completed"
    export.check_books()


def test_what_waits_for_a_refused_document_stays_blocked(export: Export) -> None:
    export.server.arm("6210", count=1000, entity="Invoice")
    assert export.export() == "needs_attention"
    states = export.states()
    assert states["held"] == 3
    assert states["blocked"] > 0
    assert "pending" not in states
    export.server.disarm()
    assert export.export() == "completed"
    export.check_books()
