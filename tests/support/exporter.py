"""The exporter as tests drive it: a school's messages registered, its batches sent, the company read back."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import psycopg

from adapters.quickbooks.registry.registration import handler
from adapters.quickbooks.sending.sender import send_open_batches
from adapters.quickbooks.sending.turn import Absences
from adapters.quickbooks.settings import QuickBooksSettings
from application.feed.message import Message
from application.pipeline.unit_of_work import Caller, UnitOfWork
from domain.capability import CAPABILITIES
from domain.event import Event
from domain.ids import uuid7
from tests.support.emulator import TOKEN, Emulator
from tests.support.school import RECEIPTS, School

DOCUMENT_KINDS = ("SalesReceipt", "RefundReceipt", "Invoice", "Payment", "CreditMemo", "JournalEntry")


def settings_for(server: Emulator, **changes: Any) -> QuickBooksSettings:
    """As `up` has them, with waits that a test can afford."""
    made = QuickBooksSettings.for_emulator(url=server.url, access_token=TOKEN)
    short = {
        "timeout_seconds": 1.0,
        "throttle_seconds": 0.05,
        "settle_seconds": 0.1,
        "max_wait_seconds": 0.2,
    }
    return msgspec.structs.replace(made, **{**short, **changes})


class Export:
    """One school on its way to the emulator."""

    def __init__(
        self,
        exporter_url: str,
        server: Emulator,
        tenant: str = "greenhill",
        *,
        school: School | None = None,
        **changes: Any,
    ) -> None:
        self.url = exporter_url
        self.server = server
        self._before = server.last_request()
        self.settings = settings_for(server, **changes)
        self.school = school or School(tenant)
        self.realm = self.settings.realm_for(self.school.tenant)

    def register(self, messages: Sequence[Message] | None = None) -> None:
        """Register these messages, or what the school did since the last time."""
        with psycopg.connect(self.url) as connection:
            handler(self.settings)(connection, self.school.take_messages() if messages is None else messages)

    def request(self) -> str:
        """Register what there is, and a batch of it."""
        batch = self.school.run("quickbooks.export")["batch_id"]
        self.register()
        return str(batch)

    def send(self, **changes: Any) -> bool:
        settings = msgspec.structs.replace(self.settings, **changes)
        with psycopg.connect(self.url, autocommit=True) as connection:
            return send_open_batches(connection, settings, threading.Event(), Absences(settings))

    def send_until(self, batch: str, *ends: str) -> str:
        """Send as the process does, until the batch has one of these statuses; answer it."""
        absences = Absences(self.settings)
        deadline = time.monotonic() + 60
        with psycopg.connect(self.url, autocommit=True) as connection:
            while (status := self.status(batch)) not in ends:
                assert time.monotonic() < deadline, (status, self.states(), self.errors())
                if not send_open_batches(connection, self.settings, threading.Event(), absences):
                    time.sleep(0.02)
        return status

    def export(self) -> str:
        """Request a batch and send until it ends; answer its status."""
        return self.send_until(self.request(), "completed", "needs_attention")

    def requests(self) -> list[dict[str, Any]]:
        """What the emulator was asked since this school began."""
        return self.server.requests(self._before)

    def rows(self, query: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query, values).fetchall()

    def status(self, batch: str) -> str:
        ((status,),) = self.rows("SELECT status FROM finance_export_batches WHERE batch_id = %s", batch)
        return str(status)

    def states(self) -> dict[str, int]:
        return dict(self.rows("SELECT state, count(*) FROM finance_export_jobs GROUP BY state"))

    def errors(self) -> list[str]:
        found = self.rows("SELECT DISTINCT last_error FROM finance_export_jobs WHERE last_error IS NOT NULL")
        return [error for (error,) in found]

    def select(self, kind: str) -> list[dict[str, Any]]:
        """Every entity of a kind, read page by page."""
        found: list[dict[str, Any]] = []
        while True:
            query = f"select * from {kind} startposition {len(found) + 1} maxresults 1000"
            answer = self.server.http.get(f"/v3/company/{self.realm}/query", params={"query": query})
            page = json.loads(answer.content, parse_float=Decimal)["QueryResponse"].get(kind, [])
            found += page
            if len(page) < 1000:
                return found

    def documents(self) -> dict[str, list[dict[str, Any]]]:
        return {kind: self.select(kind) for kind in DOCUMENT_KINDS}

    def check_books(self) -> None:
        """Each document once, and their sums by account the ledger's balances, to the cent."""
        documents = self.documents()
        for kind, found in documents.items():
            numbers = Counter(d.get("DocNumber") or d.get("PaymentRefNum") for d in found)
            assert max(numbers.values(), default=1) == 1, (kind, numbers.most_common(3))
        registered = dict(
            self.rows("SELECT kind, count(*) FROM finance_export_jobs WHERE version = 1 GROUP BY kind")
        )
        assert {kind: len(found) for kind, found in documents.items() if found} == registered
        assert self.books(documents) == self.school.balances()

    def books(self, documents: dict[str, list[dict[str, Any]]]) -> dict[str, int]:
        """Debits less credits by account number, added up from the documents alone."""
        accounts = {account["Id"]: account for account in self.select("Account")}
        codes = {id_: account.get("AcctNum", account["Name"]) for id_, account in accounts.items()}
        receivables = next(
            codes[id_] for id_, account in accounts.items() if account["AccountType"] == "Accounts Receivable"
        )
        items = {item["Id"]: codes[item["IncomeAccountRef"]["value"]] for item in self.select("Item")}
        payable = {
            account["Name"]: codes[id_]
            for id_, account in accounts.items()
            if account.get("AccountSubType") == "GlobalTaxPayable"
        }
        taxes = {rate["Id"]: payable[f"{rate['Name'].split()[0]} Payable"] for rate in self.select("TaxRate")}
        sums: Counter[str] = Counter()
        for kind, found in documents.items():
            for document in found:
                for code, amount in _booked(kind, document, codes, items, taxes, receivables):
                    sums[code] += int(amount * 100)
        return {code: amount for code, amount in sums.items() if amount}


def _booked(
    kind: str,
    document: dict[str, Any],
    codes: dict[str, str],
    items: dict[str, str],
    taxes: dict[str, str],
    receivables: str,
) -> list[tuple[str, Decimal]]:
    total = Decimal(document["TotalAmt"])
    deposit = codes.get((document.get("DepositToAccountRef") or {}).get("value", ""), "")
    if kind == "JournalEntry":
        details = [(line["JournalEntryLineDetail"], line["Amount"]) for line in document["Line"]]
        return [
            (codes[detail["AccountRef"]["value"]], amount if detail["PostingType"] == "Debit" else -amount)
            for detail, amount in details
        ]
    if kind == "Payment":
        return [(deposit, total), (receivables, -total)] if total else []
    sign = -1 if kind in ("CreditMemo", "RefundReceipt") else 1
    booked = [(receivables if kind in ("Invoice", "CreditMemo") else deposit, sign * total)]
    for line in document["Line"]:
        detail = line.get("SalesItemLineDetail")
        if detail:
            booked.append((items[detail["ItemRef"]["value"]], -sign * line["Amount"]))
    told = (document.get("TxnTaxDetail") or {}).get("TaxLine", ())
    return booked + [
        (taxes[line["TaxLineDetail"]["TaxRateRef"]["value"]], -sign * line["Amount"]) for line in told
    ]


def happen(school: School, *happened: tuple[str, Event]) -> Message:
    """Let events happen to a school by a command that it has no name for, such as an approval."""
    unit = UnitOfWork(
        tenant_name=school.tenant,
        caller=Caller(client="tester", actor="tester", capabilities=CAPABILITIES),
        command_id=uuid7(int(time.time() * 1000), os.urandom(10)),
        recorded_at=datetime.now(UTC),
        receipts=RECEIPTS,
        lookup=school._state,
    )
    for stream, event in happened:
        unit.emit(stream, event)
    school._states |= unit.changed
    school.events.append(("approval.grant", unit.events, unit.command_id))
    school._publish("approval.grant", unit)
    return school.messages[-1]


def merged(messages: Sequence[Message]) -> Message:
    """All the events in one message, as if one command had led to them."""
    return msgspec.structs.replace(
        messages[-1],
        command="approval.grant",
        first_position=messages[0].first_position,
        events=tuple(event for message in messages for event in message.events),
    )


def play(school: School, rounds: int = 1) -> None:
    """A day with every kind of document."""
    for number in range(rounds):
        wallet, family = f"STU-{number}", f"FAM-{number}"
        for account in (wallet, family):
            school.run("wallet.open", account=account)
            school.run("wallet.top_up", account=account, amount=5000, source={"type": "bank"})
        school.run("wallet.charge", account=wallet, amount=150, description="Fine", income="other_income")
        sale = school.run(
            "pos.checkout",
            wallet=wallet,
            lines=[
                {"sku": "PEN", "quantity": 3, "unit_amount": 100, "tax_code": "A"},
                {"sku": "BUS", "quantity": 1, "total": 701, "tax_code": "A", "income": "transport"},
            ],
            tenders=[
                {"type": "wallet", "amount": 300},
                {"type": "cash", "amount": 301},
                {"type": "card", "amount": 400},
            ],
        )
        school.run(
            "pos.checkout",
            wallet=wallet,
            lines=[{"sku": "CAP", "quantity": 1, "total": 250, "tax_code": "A", "income": "shop"}],
            tenders=[{"type": "wallet"}],
        )
        school.run("pos.refund", sale=sale["sale"]["id"], amount=333)
        bill = school.run(
            "invoice.create",
            payer=family,
            due_date="2030-01-31",
            lines=[{"description": "Term 1", "quantity": 1, "total": 9000, "income": "tuition"}],
            issue=True,
        )
        for tenders in (
            [{"type": "cash", "amount": 1000}],
            [
                {"type": "wallet", "amount": 2000, "account": family},
                {"type": "bank", "amount": 3000},
                {"type": "mpesa", "amount": 4000, "reference": f"RKT-{number}"},
            ],
        ):
            school.run("invoice.settle", invoice=bill["id"], settle={"tenders": tenders})
