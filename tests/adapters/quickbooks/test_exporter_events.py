"""The exporter acts on events, whatever command they come from, and on what happens to the chart later."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count

import msgspec
import psycopg
import pytest

from adapters.quickbooks.sending import documents
from application.feed.message import Message, PublicEvent
from application.feed.port import PoisonError
from domain.event import encode
from domain.export_batch import ExportRequested
from domain.ids import account_stream, tenant_stream
from domain.ledger_account import AccountOpened
from domain.tenant import ChartMapped
from tests.conftest import Database
from tests.support.emulator import Emulator, emulator
from tests.support.exporter import Export, happen, merged, play

_tenants = count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("emulator") / "books.db") as started:
        yield started


@pytest.fixture
def export(database: Database, running: Emulator) -> Iterator[Export]:
    yield Export(database.url("bursar_exporter"), running, tenant=f"school-{next(_tenants)}")
    running.disarm()


def changed(message: Message, change: Callable[[PublicEvent], PublicEvent | None]) -> Message:
    """The message with each of its events changed, or left out."""
    events = [change(public) for public in message.events]
    return msgspec.structs.replace(message, events=tuple(public for public in events if public is not None))


def opens(public: PublicEvent, code: str) -> bool:
    event = public.event() if public.type == AccountOpened.topic else None
    return isinstance(event, AccountOpened) and event.code == code


def without_account(code: str) -> Callable[[PublicEvent], PublicEvent | None]:
    return lambda public: None if opens(public, code) else public


def only_account(code: str) -> Callable[[PublicEvent], PublicEvent | None]:
    return lambda public: public if opens(public, code) else None


def without_role(role: str) -> Callable[[PublicEvent], PublicEvent | None]:
    def change(public: PublicEvent) -> PublicEvent:
        if public.type != ChartMapped.topic:
            return public
        event = public.event()
        assert isinstance(event, ChartMapped)
        roles = {name: code for name, code in event.roles.items() if name != role}
        return msgspec.structs.replace(
            public, data=msgspec.Raw(encode(msgspec.structs.replace(event, roles=roles)))
        )

    return change


def chart_of(export: Export) -> ChartMapped:
    events = [public.event() for public in export.school.messages[0].events]
    return next(event for event in events if isinstance(event, ChartMapped))


def account_of(export: Export, code: str) -> AccountOpened:
    events = [public.event() for public in export.school.messages[0].events]
    return next(event for event in events if isinstance(event, AccountOpened) and event.code == code)


def map_anew(export: Export, **roles: str) -> None:
    """The school's chart as it was registered, with these roles mapped to other codes."""
    chart = chart_of(export)
    event = msgspec.structs.replace(chart, roles={**chart.roles, **roles})
    happen(export.school, (tenant_stream(export.school.tenant), event))


def finished(export: Export) -> list[tuple[str, str]]:
    rows = export.rows("SELECT batch_id, status FROM finance_export_batches ORDER BY position, batch_id")
    return [(batch, status) for batch, status in rows]


def request_event(batch: str, channel: str = "quickbooks") -> ExportRequested:
    return ExportRequested(batch=batch, channel=channel, recorded_at=datetime.now(UTC))


def until_waiting_for_a_lock(export: Export, sender: threading.Thread) -> None:
    deadline = time.monotonic() + 30
    while not export.rows("SELECT FROM pg_locks WHERE NOT granted"):
        assert sender.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- whatever the command


def test_the_same_events_of_other_commands_are_exported(export: Export) -> None:
    play(export.school)
    batch = export.school.run("quickbooks.export")["batch_id"]
    renamed = [
        msgspec.structs.replace(message, command="approval.grant") for message in export.school.messages
    ]
    export.register(renamed)
    export.send()
    assert export.status(batch) == "completed"
    export.check_books()


def test_a_whole_day_with_its_school_and_two_requests_in_one_message(export: Export) -> None:
    play(export.school)
    batches = [export.school.run("quickbooks.export")["batch_id"] for _ in range(2)]
    export.register([merged(export.school.messages)])
    assert sorted(finished(export)) == sorted((batch, "queued") for batch in batches)
    export.send()
    assert sorted(finished(export)) == sorted((batch, "completed") for batch in batches)
    export.check_books()


def test_two_charges_in_one_message_are_two_documents(export: Export) -> None:
    """Each of its own amount: what the message posted is the sum of both."""
    export.school.run("wallet.open", account="W1")
    export.school.run("wallet.top_up", account="W1", amount=5000, source={"type": "cash"})
    export.register()
    for amount, income in ((120, "other_income"), (80, "shop")):
        export.school.run("wallet.charge", account="W1", amount=amount, description="x", income=income)
    export.register([merged(export.school.take_messages())])
    assert export.export() == "completed"
    assert len(export.select("JournalEntry")) == 2
    export.check_books()


def test_a_request_of_another_channel_is_none_of_ours(export: Export) -> None:
    happen(export.school, (f"{export.school.tenant}/export/1", request_event("1", channel="sage")))
    export.register()
    assert finished(export) == []


def test_messages_of_which_one_opens_what_another_needs(export: Export) -> None:
    """An account opened and mapped, and sold on, all in one run of messages."""
    opened = msgspec.structs.replace(account_of(export, "4050"), code="4060", name="Canteen")
    happen(export.school, (account_stream(export.school.tenant, "4060"), opened))
    map_anew(export, sales="4060")
    sell(export)
    assert export.export() == "completed"
    assert export.school.balances()["4060"] == -300
    export.check_books()


# --- what happens to the chart later


def sell(export: Export) -> None:
    export.school.run(
        "pos.checkout",
        lines=[{"sku": "PEN", "quantity": 3, "unit_amount": 100, "tax_code": "A"}],
        tenders=[{"type": "cash"}],
    )


def test_a_document_that_waits_for_an_account_goes_once_it_is_opened(export: Export) -> None:
    (registered,) = export.school.take_messages()
    export.register([changed(registered, without_account("1210"))])
    play(export.school)
    assert export.export() == "needs_attention"
    assert export.states()["needs_mapping"] > 0
    assert {"QuickBooks has no Account 1210."} <= set(export.errors())
    later = msgspec.structs.replace(merged([registered]), command="account.open")
    export.register([changed(later, only_account("1210"))])
    assert export.export() == "completed"
    export.check_books()
    items = {item["Name"] for item in export.select("Item")}
    assert "M-Pesa clearing (1210)" in items


def test_documents_that_wait_for_an_account_do_not_hold_up_those_behind_them(
    export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many they are: more than are bound at once."""
    monkeypatch.setattr(documents, "MAX_BIND_ROWS", 3)
    (registered,) = export.school.take_messages()
    export.register([changed(registered, without_account("1210"))])
    export.school.run("wallet.open", account="W1")
    waiting = 2 * documents.MAX_BIND_ROWS + 1
    for number in range(waiting):
        export.school.run(
            "wallet.top_up", account="W1", amount=100, source={"type": "mpesa", "reference": f"RKT-{number}"}
        )
    export.school.run("wallet.top_up", account="W1", amount=700, source={"type": "cash"})
    assert export.export() == "needs_attention"
    assert export.states() == {"needs_mapping": waiting, "confirmed": 1}
    assert [receipt["TotalAmt"] for receipt in export.select("SalesReceipt")] == [7]


def test_a_document_that_waits_for_a_role_goes_once_it_is_mapped(export: Export) -> None:
    """A sale paid by wallet names till cash, to which it posts nothing."""
    (registered,) = export.school.take_messages()
    export.register([changed(registered, without_role("till_cash"))])
    pay_by_wallet(export)
    assert export.export() == "needs_attention"
    assert export.states() == {"needs_mapping": 1, "confirmed": 1}
    assert export.errors() == ["No account stands for the role till_cash."]
    map_anew(export)
    assert export.export() == "completed"
    export.check_books()


def pay_by_wallet(export: Export) -> None:
    export.school.run("wallet.open", account="W1")
    export.school.run("wallet.top_up", account="W1", amount=300, source={"type": "bank"})
    export.school.run(
        "pos.checkout",
        wallet="W1",
        lines=[{"sku": "PEN", "quantity": 3, "unit_amount": 100, "tax_code": "A"}],
        tenders=[{"type": "wallet"}],
    )


def test_what_was_posted_keeps_its_account_when_its_role_is_mapped_anew(export: Export) -> None:
    """Neither had been sent; each stands on the account of its day."""
    sell(export)
    opened = msgspec.structs.replace(account_of(export, "4050"), code="4060", name="Canteen", role="canteen")
    happen(export.school, (account_stream(export.school.tenant, "4060"), opened))
    map_anew(export, sales="4060")
    sell(export)
    assert export.export() == "completed"
    assert Counter(export.school.balances()) == {"1000": 600, "4050": -300, "4060": -300}
    export.check_books()


def test_an_account_opened_and_mapped_after_the_first_export_is_made_with_its_item(export: Export) -> None:
    sell(export)
    assert export.export() == "completed"
    opened = msgspec.structs.replace(account_of(export, "4050"), code="4060", name="Canteen")
    happen(export.school, (account_stream(export.school.tenant, "4060"), opened))
    map_anew(export, sales="4060")
    sell(export)
    assert export.export() == "completed"
    export.check_books()
    assert export.rows("SELECT chart ->> 'sales' FROM finance_export_tenants") == [("4060",)]
    mapped = export.rows(
        "SELECT kind FROM finance_export_map WHERE key = '4060' AND quickbooks_id IS NOT NULL ORDER BY kind"
    )
    assert mapped == [("Account",), ("Item",)]


def test_a_request_made_during_a_turn_retries_what_that_turn_set_aside(export: Export) -> None:
    """The turn knows the chart of when it began; the batch that came with the new chart must not end by it."""
    (registered,) = export.school.take_messages()
    export.register([changed(registered, without_role("till_cash"))])
    pay_by_wallet(export)
    first = export.request()
    sender = threading.Thread(target=export.send)
    with psycopg.connect(export.url) as other:
        other.execute("SELECT FROM finance_export_batches WHERE batch_id = %s FOR UPDATE", (first,))
        sender.start()
        until_waiting_for_a_lock(export, sender)  # it has read the chart
        map_anew(export)
        second = export.request()
    sender.join()
    assert [export.status(batch) for batch in (first, second)] == ["needs_attention", "queued"]
    export.send()
    assert [export.status(batch) for batch in (first, second)] == ["completed", "completed"]
    export.check_books()


# --- what cannot be registered


def refused(export: Export, messages: Sequence[Message]) -> PoisonError:
    with pytest.raises(PoisonError) as raised:
        export.register(messages)
    assert raised.value.position == messages[-1].position
    return raised.value


def test_an_event_that_this_version_does_not_know_is_not_passed_over(export: Export) -> None:
    export.register()
    sell(export)
    (message,) = export.school.take_messages()
    later = msgspec.structs.replace(message.events[-1], type="bursar.sale.completed.v9")
    unreadable = msgspec.structs.replace(message, events=(*message.events, later))
    assert "bursar.sale.completed.v9" in refused(export, [unreadable]).reason


def test_two_documents_of_one_source_are_not_taken_for_one(export: Export) -> None:
    export.register()
    sell(export)
    (message,) = export.school.take_messages()

    def renumbered(public: PublicEvent) -> PublicEvent | None:
        if public.type != "bursar.sale.completed.v1":
            return None
        event = msgspec.structs.replace(public.event(), receipt="RCT-2026-999999")
        return msgspec.structs.replace(public, data=msgspec.Raw(encode(event)))

    twice = merged([message, changed(message, renumbered)])
    assert "RCT-2026-999999" in refused(export, [twice]).reason
    export.register([message])
    assert export.export() == "completed"
    export.check_books()
