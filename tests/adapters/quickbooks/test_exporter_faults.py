"""Every fault that the emulator can be armed with, under an export: in the end each document is there once."""

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import msgspec
import psycopg
import pytest
import structlog
from structlog.testing import capture_logs

from adapters.quickbooks.registry.registration import handler
from tests.conftest import Database
from tests.support.emulator import Emulator, emulator
from tests.support.exporter import Export, play
from tests.support.school import School

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
    export.send_until(export.request(), "completed")
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


def test_a_call_refused_over_one_document_costs_no_other(export: Export) -> None:
    for number in range(60):
        export.school.run("wallet.open", account=f"W-{number}")
        export.school.run("wallet.top_up", account=f"W-{number}", amount=100, source={"type": "cash"})
    export.server.arm("2010", count=1_000_000, entity="Invoice")
    assert export.export() == "needs_attention"
    refused = export.rows("SELECT kind FROM finance_export_jobs WHERE state = 'dead'")
    assert {kind for (kind,) in refused} == {"Invoice"}
    assert len(refused) == 3
    states = export.states()
    assert states["confirmed"] > 60
    assert set(states) == {"confirmed", "dead", "blocked"}


def test_a_call_refused_over_another_document_counts_against_none(export: Export) -> None:
    """Else the one refusal of its own, which passes, would be the last that a number may have."""
    for number in range(60):
        export.school.run("wallet.open", account=f"W-{number}")
        export.school.run("wallet.top_up", account=f"W-{number}", amount=100, source={"type": "cash"})
    export.server.arm("2010", count=1_000_000, entity="Invoice")
    export.server.arm("6140", entity="SalesReceipt")
    assert export.export() == "needs_attention"
    assert export.rows(
        "SELECT DISTINCT kind, attempts - divisions FROM finance_export_jobs WHERE state = 'dead'"
    ) == [("Invoice", 1)]
    counted = (
        "SELECT attempts - divisions, count(*) FROM finance_export_jobs WHERE state = 'confirmed' GROUP BY 1"
    )
    assert dict(export.rows(counted)).keys() == {1, 2}
    ((twice,),) = export.rows("SELECT count(*) FROM finance_export_jobs WHERE attempts - divisions = 2")
    assert twice == 1


def add_neighbour(export: Export) -> str:
    """Another school, later in the order, with one top-up; answer its batch."""
    school = School(f"z-{export.school.tenant}")
    school.run("wallet.open", account="W1")
    school.run("wallet.top_up", account="W1", amount=100, source={"type": "cash"})
    batch = str(school.run("quickbooks.export")["batch_id"])
    with psycopg.connect(export.url) as connection:
        handler(export.settings)(connection, school.take_messages())
    return batch


@pytest.mark.parametrize("fault", ["503", "429"])
def test_a_document_that_never_gets_an_answer_delays_nobody_and_goes_when_it_can(
    export: Export, fault: str
) -> None:
    export.server.arm(fault, count=1_000_000, entity="Invoice")
    batch = export.request()
    neighbour = add_neighbour(export)
    export.send_until(neighbour, "completed")
    assert export.status(batch) in ("running", "needs_attention")
    export.send_until(batch, "needs_attention")
    ((reason,),) = export.rows("SELECT reason FROM finance_export_batches WHERE batch_id = %s", batch)
    assert "QuickBooks does not answer" in reason
    assert export.rows("SELECT FROM finance_export_calls WHERE state = 'open'")
    if fault == "503":
        assert export.states()["unknown"] > 0
    export.server.disarm()
    export.send_until(batch, "completed")
    assert export.rows("SELECT FROM finance_export_tenants WHERE paused_reason IS NOT NULL") == []


def test_quickbooks_away_from_the_start_delays_nobody(export: Export) -> None:
    export.server.arm("503", count=1_000_000, entity="Account")
    batch = export.request()
    export.send_until(batch, "needs_attention")
    export.server.disarm()
    export.send_until(batch, "completed")
    export.check_books()


def test_one_lost_call_does_not_hold_up_the_other_documents(export: Export) -> None:
    for number in range(60):
        export.school.run("wallet.open", account=f"W-{number}")
        export.school.run("wallet.top_up", account=f"W-{number}", amount=100, source={"type": "cash"})
    export.settings = msgspec.structs.replace(export.settings, in_flight=1)
    export.server.arm("503", count=1_000_000, entity="JournalEntry")
    batch = export.request()
    export.send_until(batch, "needs_attention")
    states = export.states()
    assert states["confirmed"] > 30
    assert not states.keys() & {"pending", "sent"}  # all that could go went
    export.server.disarm()
    export.send_until(batch, "completed")
    export.check_books()


@contextmanager
def answering(status: int, body: bytes) -> Generator[str]:
    """A server that answers everything alike; yields its address."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests need no access log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, b"<html><title>Forbidden</title></html>", "HTTP status 403: Forbidden"),
        (413, b"", "HTTP status 413"),
        (200, b"{}", "KeyError: 'Preferences'"),  # a success that says nothing
    ],
)
def test_an_answer_that_no_repetition_mends_pauses_with_its_reason(
    export: Export, status: int, body: bytes, words: str
) -> None:
    batch = export.request()
    with answering(status, body) as url:
        assert export.send(url=url, emulator=False)
    ((found, reason),) = export.rows(
        "SELECT status, reason FROM finance_export_batches WHERE batch_id = %s", batch
    )
    assert found == "needs_attention"
    assert words in reason
    assert not export.send()  # until a person asks again
    assert export.export() == "completed"
    assert export.status(batch) == "completed"
    export.check_books()


def test_what_breaks_over_one_school_leaves_the_others_alone(export: Export) -> None:
    batch = export.request()
    neighbour = add_neighbour(export)
    export.rows(
        "UPDATE finance_export_map SET attributes = '{}' WHERE tenant = %s AND kind = 'Account' RETURNING key",
        export.school.tenant,
    )
    export.send()
    assert export.status(neighbour) == "completed"
    assert export.status(batch) == "needs_attention"


def test_a_worker_that_breaks_is_its_schools_trouble_alone(export: Export) -> None:
    """A stored document that cannot be compared with what QuickBooks has."""
    assert export.export() == "completed"
    export.rows(
        "UPDATE finance_export_jobs SET state = 'pending', quickbooks_id = NULL, confirmed_at = NULL,"
        " body = convert_to(replace(convert_from(body, 'UTF8'), '\"Line\"', '\"Lime\"'), 'UTF8')"
        " WHERE id = (SELECT min(id) FROM finance_export_jobs) RETURNING id"
    )
    batch = export.request()
    neighbour = add_neighbour(export)
    export.server.arm("drop_after_commit", count=1, entity="SalesReceipt")
    export.send_until(neighbour, "completed")
    assert export.status(batch) == "needs_attention"


def test_no_row_is_quoted_where_an_export_breaks_a_rule_of_the_database(
    database: Database, export: Export
) -> None:
    """The database's message does: `Failing row contains (…)`. It is to be told which rule was broken, and where."""
    batch = export.request()
    with psycopg.connect(database.superuser_url) as connection:
        rule = "ADD CONSTRAINT no_customers CHECK (kind <> 'Customer' OR quickbooks_id IS NULL)"
        connection.execute(f"ALTER TABLE finance_export_map {rule}")
    with capture_logs([structlog.processors.format_exc_info]) as lines:
        export.send()
    [(reason,)] = export.rows("SELECT reason FROM finance_export_batches WHERE batch_id = %s", batch)
    assert reason.startswith("CheckViolation: ")
    assert '"no_customers"' in reason
    [failed] = [line for line in lines if line["event"] == "the export failed"]
    assert reason in failed["exception"]
    assert "in _make_customers" in failed["exception"]
    for told in (reason, repr(lines)):
        assert "STU-0" not in told
        assert "Failing row" not in told
