"""Logs to fold, and the read tables as plain values."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from domain.event import Event
from domain.ids import wallet_stream
from domain.wallet import WalletOpened, WalletToppedUp
from projections.engine import runner
from projections.engine.reading import SET_TENANT
from projections.engine.registry import PROJECTIONS
from tests.conftest import Database
from tests.support.log import Logged, append_all
from tests.support.school import School

T = TypeVar("T")

TABLES = [table for projection in PROJECTIONS for table in projection.tables]
NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
AWKWARD = 'Cone "large", 50\\50 "amount":7,"transaction_id":"x" crème brûlée'


def put(database: Database, school: School, *, each_in_its_own_commit: bool = False) -> int:
    """Append what the school has done since the last call; returns the head's position."""
    commands = [
        Logged(tenant=school.tenant, action=action, events=events, id=command_id)
        for action, events, command_id in school.events
    ]
    school.events.clear()
    with psycopg.connect(database.url("bursar_writer"), autocommit=True) as connection:
        if each_in_its_own_commit:
            return max(append_all(connection, [command]) for command in commands)
        return append_all(connection, commands)


def a_day(school: School, *, keys: str = "a") -> None:
    """Every kind of command, so that every kind of event is there. Its keys hash to `keys` and a number."""
    line = {"description": "Term 1", "quantity": 1, "income": "tuition", "tax_code": "A"}
    for account in ("STU-1", "STU-2"):
        school.run("wallet.open", account=account)
    school.run("wallet.top_up", account="STU-1", amount=150_000, source={"type": "mpesa", "reference": "R1"})
    school.run(
        "wallet.top_up", account="STU-2", amount=20_000, source={"type": "cash"}, effective_date="2026-01-05"
    )
    school.run("wallet.charge", account="STU-1", amount=700, description=AWKWARD, effective_date="2026-01-03")
    issued = school.run(
        "invoice.create", payer="STU-1", due_date="2026-02-01", issue=True, lines=[{**line, "total": 90_000}]
    )
    drafted = school.run(
        "invoice.create",
        payer="FUND",
        due_date="2026-02-01",
        issue=False,
        lines=[{**line, "total": 5_000}, {**line, "total": 1, "description": AWKWARD}],
    )
    school.run("invoice.issue", invoice=drafted["id"])
    school.run(
        "invoice.create", payer="FUND", due_date="2026-03-01", issue=False, lines=[{**line, "total": 9}]
    )
    tenders = [{"type": "wallet", "amount": 40_000, "account": "STU-1"}, {"type": "cash", "amount": 10_000}]
    school.run("invoice.settle", invoice=issued["id"], settle={"tenders": tenders})
    school.run(
        "invoice.settle", invoice=issued["id"], settle={"tenders": [{"type": "bank", "amount": 41_000}]}
    )
    sale = school.run(
        "pos.checkout",
        wallet="STU-2",
        lines=[{"sku": "MEAL", "quantity": 2, "unit_amount": 12_500, "tax_code": "A"}],
        tenders=[{"type": "wallet"}, {"type": "cash"}],
    )
    school.run("pos.refund", sale=sale["sale"]["id"], lines=[{"line": 1, "quantity": 1}])
    holds = [
        school.run("wallet.hold", account="STU-1", amount=amount, description=AWKWARD)["hold"]["id"]
        for amount in (400, 50, 7)
    ]
    school.run("hold.capture", hold=holds[0], amount=300)
    school.run("hold.release", hold=holds[1])
    for account in ("STU-3", "STU-4"):
        school.run("wallet.open", account=account, payer="STU-1")
    school.run("wallet.transfer", **{"from": "STU-1", "to": "STU-3"}, amount=11, description=AWKWARD)
    school.run("wallet.close", account="STU-4")
    school.run("key.create", client="till", prefix="k1", key_hash=f"{keys}1" * 32, role="cashier")
    school.run("key.create", client="till", prefix="k2", key_hash=f"{keys}2" * 32, role="auditor")
    school.run("key.revoke", prefix="k1")
    school.run("key.create", client="till", prefix="k4", key_hash=f"{keys}3" * 32, role="cashier")
    school.run("tenant.feature", feature="FINANCE_V2", enabled=False)
    school.run("tenant.feature", feature="FINANCE_V2", enabled=True)
    school.run("quickbooks.export")
    file = {"source": "a.csv", "name": AWKWARD, "sha256": "a" * 64, "sketch": ["0" * 16, "f" * 16]}
    file |= {"options": AWKWARD, "readings": ["0" * 32, "f" * 32]}
    begun = school.run("import.record", **file)
    school.run(
        "import.record", id=begun["id"], **file, read=3, posted=1, already_there=1, rejected=1, finished=True
    )
    school.run("import.record", **{**file, "source": "b.csv"})
    tax = {"KES": "VAT", "CAD": "GST"}[school.currency]
    component = {"name": tax, "authority_code": "X", "role": f"{tax.lower()}_payable"}
    for code, rate in (("OWN", "1"), ("OWN", "2.5"), ("OTHER", "3")):
        rates = {"components": [{**component, "rate": rate}], "from": "2026-01-01"}
        school.run("tax_code.set", tax_code=code, name=AWKWARD, **rates)


def taken_back(school: School) -> None:
    """Every kind of event by which a transaction is taken back, of a wallet and an invoice of their own."""
    school.run("wallet.open", account="STU-5")
    found = [
        school.run(
            "wallet.top_up", account="STU-5", amount=9_000, source={"type": "cash"}, effective_date=day
        )
        for day in ("2026-01-05", "2026-01-07")
    ]
    found.append(school.run("wallet.charge", account="STU-5", amount=500, description=AWKWARD))
    bill = school.run(
        "invoice.create",
        payer="STU-5",
        due_date="2026-02-01",
        issue=True,
        lines=[{"description": "Bus", "quantity": 1, "income": "transport", "tax_code": "A", "total": 6_000}],
    )
    settled = (
        [{"type": "cash", "amount": 1_000}],
        [{"type": "wallet", "amount": 2_000}, {"type": "bank", "amount": 3_500}],
    )
    found += [
        school.run("invoice.settle", invoice=bill["id"], settle={"tenders": tenders}) for tenders in settled
    ]
    for one in (found[4], found[1], found[2]):
        school.run(
            "transaction.reverse",
            transaction=one["transaction_id"],
            reason=AWKWARD,
            metadata={"note": AWKWARD},
        )


def catch_up(database: Database, *, limits: tuple[int, ...] = (runner.MAX_BATCH_EVENTS,)) -> None:
    """Project to the head, in batches of `limits`, over and over."""
    with psycopg.connect(database.url("bursar_projector"), autocommit=True) as connection:
        runner.prepare(connection)
        while all(runner.project(connection, limit=limit) is not None for limit in limits):
            pass


def forget(database: Database) -> None:
    """Empty the read tables."""
    with psycopg.connect(database.superuser_url) as connection:
        for table in TABLES:
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        connection.execute("UPDATE projection_positions SET position = 0")


def dump(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every read table."""
    with psycopg.connect(database.superuser_url) as connection:
        return {
            table: sorted(
                connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))).fetchall(),
                key=repr,
            )
            for table in TABLES
        }


def ask(database: Database, tenant: str | None, question: Callable[[Any], Awaitable[T]]) -> T:
    """What a query answers as the API asks it: as bursar_reader, within a tenant."""

    async def answer() -> T:
        async with await psycopg.AsyncConnection.connect(database.url("bursar_reader")) as connection:
            if tenant is not None:
                await connection.execute(SET_TENANT, (tenant,))
            return await question(connection)

    return asyncio.run(answer())


def top_ups(
    tenant: str, account: str, count: int, *, first_version: int = 1, amount: int = 100
) -> list[Logged]:
    """One command with a wallet's opening (where it begins) and `count` top-ups, without a journal."""
    stream = wallet_stream(tenant, account)
    events: list[Event] = []
    if first_version == 1:
        events.append(WalletOpened(account=account, currency="KES", payer=account, recorded_at=NOW))
    events += [
        WalletToppedUp(
            account=account,
            amount=amount,
            currency="KES",
            description="Top-up",
            receipt=f"RCT-2026-{n:06}",
            tender="cash",
            transaction_id="01900000-0000-7000-8000-000000000001",
            effective_date=date(2026, 1, 1 + n % 28),
            recorded_at=NOW,
        )
        for n in range(count)
    ]
    versioned = [(stream, version, event) for version, event in enumerate(events, first_version)]
    return [Logged(tenant=tenant, action="wallet.top_up", events=versioned)]
