"""The exporter end to end: what is posted is in QuickBooks once, and adds up to the ledger."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg import sql

from adapters.postgres import migrations
from adapters.quickbooks.registry.registration import handler
from adapters.quickbooks.sending.sender import send_open_batches
from adapters.quickbooks.sending.turn import Absences
from adapters.quickbooks.settings import QuickBooksSettings
from application.feed.port import PoisonError
from projections.engine.reading import SET_TENANT
from projections.views.export_batches import ExportBatchView, export_batches, find
from tests.conftest import Database
from tests.support.emulator import Emulator, emulator
from tests.support.exporter import Export, play
from tests.support.school import Log, School

T = TypeVar("T")


_tenants = count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("emulator") / "books.db") as started:
        yield started


@pytest.fixture
def export(database: Database, running: Emulator) -> Iterator[Export]:
    """A school that has registered, and an emulator that has no company for it."""
    yield Export(database.url("bursar_exporter"), running, tenant=f"school-{next(_tenants)}")
    running.disarm()


def switch(export: Export, **switches: Any) -> None:
    path = f"/emulator/companies/{export.realm}/preferences"
    export.server.http.patch(path, json=switches).raise_for_status()


def test_a_day_is_exported_and_adds_up(export: Export) -> None:
    play(export.school, 3)
    assert export.export() == "completed"
    export.check_books()
    invoices = export.select("Invoice")
    assert len(invoices) == 3
    assert all(invoice["Balance"] == 0 for invoice in invoices)
    assert all(memo["RemainingCredit"] == 0 for memo in export.select("CreditMemo"))
    assert all(payment["UnappliedAmt"] == 0 for payment in export.select("Payment"))
    customers = {customer["DisplayName"] for customer in export.select("Customer")}
    assert customers == {f"{kind}-{number}" for kind in ("STU", "FAM") for number in range(3)}


def test_a_second_run_sends_nothing(export: Export) -> None:
    play(export.school)
    export.export()
    before = export.server.last_request()
    assert export.export() == "completed"
    operations = {line["operation"] for line in export.server.requests(before)}
    assert operations
    assert operations <= {"read", "query"}


def test_nothing_is_sent_until_a_batch_asks(export: Export) -> None:
    play(export.school)
    export.register()
    assert not export.send()
    assert export.requests() == []
    assert set(export.states()) == {"blocked"}


def test_a_batch_covers_what_came_before_it_alone(export: Export) -> None:
    export.school.run("wallet.open", account="W1")
    export.school.run("wallet.top_up", account="W1", amount=100, source={"type": "cash"})
    batch = export.request()
    export.school.run("wallet.open", account="W2")
    export.school.run("wallet.top_up", account="W2", amount=200, source={"type": "cash"})
    export.register()
    export.send()
    assert export.status(batch) == "completed"
    assert export.states() == {"confirmed": 1, "blocked": 1}
    assert [customer["DisplayName"] for customer in export.select("Customer")] == ["W1"]


def test_two_batches_open_at_once_share_their_rows(export: Export) -> None:
    play(export.school)
    first = export.request()
    export.school.run("wallet.top_up", account="STU-0", amount=100, source={"type": "cash"})
    second = export.request()
    export.send()
    assert (export.status(first), export.status(second)) == ("completed", "completed")
    export.check_books()


def test_messages_seen_twice_are_registered_once(export: Export) -> None:
    play(export.school)
    with psycopg.connect(export.url) as connection:
        for _ in range(2):
            handler(export.settings)(connection, export.school.messages)
    export.export()
    export.check_books()


def test_each_row_has_its_bytes_its_fingerprint_and_its_history(export: Export) -> None:
    export.school.run("wallet.open", account="W1")
    export.school.run("wallet.top_up", account="W1", amount=100, source={"type": "cash"})
    export.export()
    ((fingerprint, digest, identifier, attempts),) = export.rows(
        "SELECT fingerprint, sha256(body), quickbooks_id, attempts FROM finance_export_jobs"
    )
    assert fingerprint == digest
    assert identifier == export.select("SalesReceipt")[0]["Id"]
    assert attempts == 1
    history = export.rows("SELECT state FROM finance_export_log ORDER BY id")
    assert [state for (state,) in history] == ["blocked", "pending", "sent", "confirmed"]
    calls = export.rows("SELECT state, length(request_id), cardinality(job_ids) FROM finance_export_calls")
    assert calls == [("closed", 32, 1)]


def test_an_existing_chart_is_taken_over(export: Export) -> None:
    """Accounts are found by their number, and one whose name is taken gets another name."""
    company = {"realm": export.realm, "country": "KE", "name": "Greenhill"}
    export.server.http.post("/emulator/companies", json=company).raise_for_status()
    for body in (
        {"Name": "Petty cash", "AccountType": "Bank", "AcctNum": "1000"},
        {"Name": "Sales", "AccountType": "Income"},
    ):
        path = f"/v3/company/{export.realm}/account"
        export.server.http.post(path, json=body).raise_for_status()
    play(export.school)
    assert export.export() == "completed"
    export.check_books()
    by_number = {account.get("AcctNum"): account["Name"] for account in export.select("Account")}
    assert by_number["1000"] == "Petty cash"
    assert by_number["4050"] == "Sales (4050)"
    assert by_number["1300"] == "Accounts Receivable (A/R)"


@pytest.mark.parametrize(
    "wrong", [{"AutoApplyCredit": True}, {"CustomTxnNumbers": False}, {"HomeCurrency": "USD"}]
)
def test_a_wrong_preference_pauses_until_the_next_request(export: Export, wrong: dict[str, Any]) -> None:
    assert export.export() == "completed"
    companies = export.server.http.get("/emulator/companies").json()
    right = next(company["preferences"] for company in companies if company["realm"] == export.realm)
    switch(export, **wrong)
    play(export.school)
    batch = export.request()
    export.send()
    assert export.status(batch) == "needs_attention"
    ((reason, paused),) = export.rows(
        "SELECT b.reason, t.paused_reason FROM finance_export_batches b JOIN finance_export_tenants t"
        " USING (tenant) WHERE b.batch_id = %s",
        batch,
    )
    assert "Account and settings" in reason
    assert reason == paused
    assert not export.send()
    assert not any(export.documents().values())
    switch(export, **{name: right[name] for name in wrong})
    assert export.export() == "completed"
    assert export.status(batch) == "completed"
    export.check_books()


def test_a_closed_period_holds_its_documents(export: Export) -> None:
    export.export()
    switch(export, BookCloseDate="2026-01-31")
    export.school.run("wallet.open", account="W1")
    for day in ("2026-01-31", "2026-02-01"):
        export.school.run(
            "wallet.top_up", account="W1", amount=100, source={"type": "cash"}, effective_date=day
        )
    batch = export.request()
    export.send()
    assert export.status(batch) == "needs_attention"
    assert export.states() == {"confirmed": 1, "held": 1}
    switch(export, BookCloseDate=None)
    assert export.export() == "completed"
    assert export.status(batch) == "completed"
    export.check_books()


def test_another_access_token_lifts_a_sign_in(export: Export) -> None:
    play(export.school)
    batch = export.request()
    export.send(access_token="stale")
    assert export.status(batch) == "needs_attention"
    assert not export.send(access_token="stale")
    assert export.send()
    assert export.status(batch) == "completed"
    export.check_books()


def test_a_tenant_without_a_company_waits_for_one(database: Database, export: Export) -> None:
    realm = export.realm
    export.settings = QuickBooksSettings(url=export.server.url, access_token=export.settings.access_token)
    play(export.school)
    batch = export.request()
    export.send()
    assert export.status(batch) == "needs_attention"
    assert export.requests() == []
    company = {"realm": realm, "country": "KE", "name": "Greenhill"}
    export.server.http.post("/emulator/companies", json=company).raise_for_status()
    export.school.run("quickbooks.export")
    export.register()
    export.send(realms={export.school.tenant: realm})
    assert export.status(batch) == "completed"
    export.check_books()


def until_blocked(export: Export, thread: threading.Thread) -> bool:
    """Wait until the sender in `thread` waits for a lock, or has ended. Tells whether it waits."""
    deadline = time.monotonic() + 30
    while thread.is_alive():
        assert time.monotonic() < deadline
        if export.rows("SELECT FROM pg_locks WHERE NOT granted"):
            return True
        time.sleep(0.01)
    return False


def test_a_pause_ends_a_batch_that_was_requested_meanwhile(export: Export) -> None:
    play(export.school)
    first = export.request()
    sender = threading.Thread(target=export.send, kwargs={"access_token": "stale"})
    with psycopg.connect(export.url) as other:
        other.execute("SELECT FROM finance_export_batches WHERE batch_id = %s FOR UPDATE", (first,))
        sender.start()
        assert until_blocked(export, sender)  # it has seen what there is to do
        export.school.run("wallet.top_up", account="STU-0", amount=1, source={"type": "cash"})
        second = export.request()
    sender.join()
    assert [export.status(batch) for batch in (first, second)] == ["needs_attention"] * 2
    assert export.send()
    assert [export.status(batch) for batch in (first, second)] == ["completed"] * 2
    export.check_books()


def test_a_company_is_named_while_rows_are_registered(export: Export) -> None:
    """What is registered before and what is registered after both have the company's number."""
    realm = export.realm
    export.settings = QuickBooksSettings(url=export.server.url, access_token=export.settings.access_token)
    export.school.run("wallet.open", account="W1")
    export.request()
    export.school.run("wallet.top_up", account="W1", amount=1, source={"type": "cash"})
    named = {"realms": {export.school.tenant: realm}}
    sender = threading.Thread(target=export.send, kwargs=named)
    with psycopg.connect(export.url) as registering:
        handler(export.settings)(registering, export.school.take_messages())
        sender.start()
        until_blocked(export, sender)
    sender.join()
    assert export.rows("SELECT realm FROM finance_export_jobs") == [(realm,)]
    assert export.rows("SELECT DISTINCT realm FROM finance_export_map") == [(realm,)]


def test_the_budget_of_a_company_is_kept(export: Export) -> None:
    """With two batches a minute, the third waits: nothing more goes out, however often one asks."""
    play(export.school, 8)
    export.request()
    export.settings = QuickBooksSettings(
        url=export.server.url,
        access_token=export.settings.access_token,
        realms={export.school.tenant: export.realm},
        batches_per_minute=2,
        in_flight=1,
    )
    company = {"realm": export.realm, "country": "KE", "name": "Greenhill"}
    export.server.http.post("/emulator/companies", json=company).raise_for_status()
    stop = threading.Event()

    def until_two_batches() -> None:
        with psycopg.connect(export.url, autocommit=True) as watching:
            while not stop.wait(0.05):
                ((waiting,),) = watching.execute(
                    "SELECT count(*) FROM finance_export_sends WHERE answered_at IS NOT NULL"
                ).fetchall()
                if waiting >= 2:
                    stop.set()

    watcher = threading.Thread(target=until_two_batches)
    watcher.start()
    with psycopg.connect(export.url, autocommit=True) as connection:
        send_open_batches(connection, export.settings, stop, Absences(export.settings))
    watcher.join()
    assert export.rows("SELECT count(*) FROM finance_export_sends") == [(2,)]


def test_two_senders_do_not_send_for_one_company(export: Export) -> None:
    play(export.school)
    batch = export.request()
    with psycopg.connect(export.url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtext('bursar export'), hashtext(%s))", (export.realm,))
        assert not export.send()
        assert export.requests() == []
    export.send()
    assert export.status(batch) == "completed"


def test_schools_are_exported_each_to_its_own_company(export: Export, database: Database) -> None:
    log = Log()
    schools = [School("north", "KE", log), School("south", "CA", log)]
    for school in schools:
        play(school)
        school.run("quickbooks.export")
        with psycopg.connect(export.url) as connection:
            handler(export.settings)(connection, school.take_messages())
    export.send()
    for school in schools:
        export.school, export.realm = school, export.settings.realm_for(school.tenant)
        assert export.books(export.documents()) == school.balances()
    assert export.rows("SELECT DISTINCT status FROM finance_export_batches") == [("completed",)]


def test_a_message_that_can_never_be_applied_is_named(export: Export) -> None:
    stranger = School("stranger")
    stranger.run("wallet.open", account="W1")
    stranger.run("wallet.top_up", account="W1", amount=1, source={"type": "cash"})
    with psycopg.connect(export.url) as connection, pytest.raises(PoisonError) as raised:
        handler(export.settings)(connection, stranger.messages[-1:])
    assert raised.value.position == stranger.messages[-1].position


def test_the_rights_on_the_record(database: Database, export: Export) -> None:
    export.school.run("wallet.open", account="W1")
    export.school.run("wallet.top_up", account="W1", amount=1, source={"type": "cash"})
    export.request()
    tables = ("finance_export_batches", "finance_export_jobs")
    for tenant, seen in ((export.school.tenant, 1), ("other", 0), (None, 0)):
        with psycopg.connect(database.url("bursar_reader")) as reader:
            if tenant:
                reader.execute("SELECT set_config('bursar.tenant', %s, true)", (tenant,))
            for table in tables:
                count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
                assert reader.execute(count).fetchone() == (seen,)
    attacks = ["DELETE FROM finance_export_jobs", "UPDATE finance_export_log SET state = 'x'"]
    for role, statement in [("bursar_exporter", attack) for attack in attacks] + [
        ("bursar_reader", "UPDATE finance_export_jobs SET amount = 1"),
        ("bursar_auditor", "UPDATE finance_export_jobs SET amount = 1"),
        ("bursar_reader", "SELECT * FROM finance_export_calls"),
        ("bursar_writer", "SELECT * FROM finance_export_jobs"),
    ]:
        refused = pytest.raises(psycopg.errors.InsufficientPrivilege)
        with psycopg.connect(database.url(role)) as attacker, refused:
            attacker.execute(statement)
    with psycopg.connect(database.url("bursar_auditor")) as auditor:
        assert auditor.execute("SELECT count(*) FROM finance_export_jobs").fetchone() == (1,)


def test_the_migration_goes_down_and_up(database: Database) -> None:
    def there() -> bool:
        with psycopg.connect(database.superuser_url) as superuser:
            found = superuser.execute("SELECT to_regclass('finance_export_jobs')").fetchone()
        assert found is not None
        return found[0] is not None

    versions = Path(migrations.__file__).parent / "versions"
    later = [path for path in versions.glob("0*.py") if path.name >= "0003"]
    assert there()
    migrations.migrate(database.superuser_url, to=f"-{len(later)}")
    assert not there()
    migrations.migrate(database.superuser_url)
    assert there()


def test_the_counts_of_a_batch(database: Database, export: Export) -> None:
    """What was confirmed before a batch is not its own; what is refused shows under its state."""
    play(export.school)
    first = export.request()
    assert read(database, export, first).status == "queued"
    export.send()
    total = sum(export.states().values())
    export.school.run("wallet.top_up", account="STU-0", amount=1, source={"type": "cash"})
    export.server.arm("6210", entity="SalesReceipt")
    second = export.request()
    export.send()
    third = export.request()
    assert read(database, export, first).documents == {"confirmed": total}
    seen = read(database, export, second)
    assert (seen.status, seen.documents) == ("needs_attention", {"held": 1})
    export.send()
    assert read(database, export, third).documents == {"confirmed": 1}
    assert read(database, export, second).status == "completed"
    listed = asyncio.run(reading(database, export.school.tenant, lambda c: export_batches(c, limit=2)))
    assert [batch.batch_id for batch in listed.data] == [third, second]
    rest = asyncio.run(
        reading(database, export.school.tenant, lambda c: export_batches(c, limit=2, after=listed.next))
    )
    assert [batch.batch_id for batch in rest.data] == [first]
    assert asyncio.run(reading(database, "other", lambda c: find(c, [first]))) == {}


def read(database: Database, export: Export, batch: str) -> ExportBatchView:
    return asyncio.run(reading(database, export.school.tenant, lambda c: find(c, [batch])))[batch]


async def reading(database: Database, tenant: str, query: Callable[[Any], Awaitable[T]]) -> T:
    async with await psycopg.AsyncConnection.connect(database.url("bursar_reader")) as connection:
        await connection.execute(SET_TENANT, (tenant,))
        return await query(connection)


def test_a_request_that_the_exporter_has_not_seen_is_queued(database: Database) -> None:
    batch = "01890000-0000-7000-8000-000000000001"
    with psycopg.connect(database.superuser_url) as superuser:
        superuser.execute(
            "INSERT INTO export_requests VALUES ('greenhill', %s, 'quickbooks', now(), 7)", (batch,)
        )
    found = asyncio.run(reading(database, "greenhill", lambda c: find(c, [batch])))[batch]
    assert (found.batch_id, found.status, found.documents) == (batch, "queued", {})
