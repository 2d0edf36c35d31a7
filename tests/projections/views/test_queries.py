"""The queries of the API, as it asks them."""

from collections.abc import Awaitable, Callable
from datetime import date
from functools import partial
from typing import Any

import msgspec
import pytest

from domain.invoice import InvoiceView
from domain.sale import SaleView
from domain.wallet import WalletView
from projections.engine.reading import Page
from projections.engine.registry import positions
from projections.views import imports, invoices, ledger, receipts, sales, tenants, wallets
from tests.conftest import Database
from tests.support.projected import AWKWARD, a_day, ask, catch_up, dump, put, taken_back
from tests.support.school import School


@pytest.fixture
def school(database: Database) -> School:
    school = School()
    a_day(school)
    return school


@pytest.fixture
def head(database: Database, school: School) -> int:
    head = put(database, school)
    catch_up(database)
    return head


def all_pages(database: Database, limit: int, query: Callable[..., Awaitable[Page[Any, Any]]]) -> list[Any]:
    found: list[Any] = []
    after: Any = None
    while True:
        page = ask(database, "greenhill", partial(query, limit=limit, after=after))
        assert len(page.data) <= limit
        assert page.has_more == (page.next is not None)
        found += page.data
        after = page.next
        if after is None:
            return found


def test_positions_are_the_head(database: Database, head: int) -> None:
    found = ask(database, None, positions)
    assert set(found.values()) == {head}
    assert set(found) == {
        "tenants",
        "ledger",
        "wallets",
        "invoices",
        "receipts",
        "sales",
        "exports",
        "imports",
        "tax_codes",
    }


def test_a_sale_is_read_back_as_its_checkout_answered(database: Database, school: School) -> None:
    sold = school.run(
        "pos.checkout",
        customer="STU-9",
        lines=[{"sku": "PEN", "quantity": 3, "total": 100, "tax_code": "A", "description": AWKWARD}],
        tenders=[{"type": "cash", "amount": 40}, {"type": "card", "reference": "C-9"}],
    )
    refunds = [school.run("pos.refund", sale=sold["sale"]["id"], amount=amount) for amount in (30, 20)]
    put(database, school)
    catch_up(database)
    sale = sold["sale"]["id"]
    found = ask(database, "greenhill", lambda c: sales.find(c, [sale]))[sale]
    answered = msgspec.convert(refunds[-1]["sale"], SaleView)
    assert all(getattr(found, name) == getattr(answered, name) for name in SaleView.__struct_fields__)
    assert (found.refunded, found.receipt) == (50, sold["receipt"]["number"])
    assert ask(database, "maple", lambda c: sales.find(c, [sale])) == {}


def test_imports_are_listed_the_newest_first_as_they_were_recorded_last(
    database: Database, head: int
) -> None:
    assert head
    newest, ended = all_pages(database, 1, partial(imports.imports, sketch=True))
    assert (newest.source, newest.finished, newest.read) == ("b.csv", False, 0)
    assert (ended.source, ended.name, ended.sha256) == ("a.csv", AWKWARD, "a" * 64)
    assert (ended.read, ended.posted, ended.already_there, ended.rejected) == (3, 1, 1, 1)
    assert (ended.finished, ended.sketch) == (True, ("0" * 16, "f" * 16))
    assert ended.position < newest.position
    without = ask(database, "greenhill", lambda c: imports.imports(c, sketch=False, limit=5))
    assert [one.sketch for one in without.data] == [None, None]


def test_a_wallet_and_a_list_of_them(database: Database, head: int) -> None:
    assert head
    wallet = WalletView(
        account="STU-2", currency="KES", payer="STU-2", balance=7_500, held=0, available=7_500,
        overdraft_limit=0, status="open",
    )  # fmt: skip
    assert ask(database, "greenhill", lambda c: wallets.find(c, ["STU-2", "NOBODY"])) == {"STU-2": wallet}
    for limit in (1, 2, 3):
        found = all_pages(
            database, limit, lambda c, limit, after: wallets.wallets(c, limit=limit, after=after)
        )
        assert [one.account for one in found] == ["STU-1", "STU-2", "STU-3", "STU-4"]
        assert [one.status for one in found] == ["open", "open", "open", "closed"]


def test_the_chart_balances(database: Database, head: int) -> None:
    assert head
    chart = ask(database, "greenhill", ledger.accounts)
    assert len(chart) > 30
    assert sum(one.debits for one in chart) == sum(one.credits for one in chart) > 0
    by_role = {one.role: one for one in chart}
    owed = by_role["wallet_liability"]
    assert owed.balance == owed.credits - owed.debits
    held = all_pages(database, 9, lambda c, limit, after: wallets.wallets(c, limit=limit, after=after))
    assert owed.balance == sum(wallet.balance for wallet in held)
    assert ask(database, "greenhill", lambda c: ledger.find(c, [owed.code, "9999"])) == {owed.code: owed}


def test_entries_run_to_the_balance(database: Database, head: int) -> None:
    assert head
    owed = next(one for one in ask(database, "greenhill", ledger.accounts) if one.role == "wallet_liability")
    for limit in (1, 3, 500):
        found = all_pages(
            database, limit, lambda c, limit, after: ledger.entries(c, owed.code, limit=limit, after=after)
        )
        assert len(found) == 10
        assert found[-1].balance == owed.balance
        running = 0
        for entry in found:
            running += entry.credit - entry.debit
            assert entry.balance == running
    statement = ask(database, "greenhill", lambda c: wallets.statement(c, "STU-1", limit=500))
    assert statement is not None
    theirs = {entry.transaction_id: (entry.effective_date, entry.recorded_at) for entry in found}
    for line in statement.lines:
        assert theirs[line.transaction_id] == (line.effective_date, line.recorded_at)


@pytest.mark.parametrize("limit", [1, 2, 500])
def test_a_statement_runs_by_effective_date(database: Database, head: int, limit: int) -> None:
    assert head
    whole = ask(database, "greenhill", lambda c: wallets.statement(c, "STU-1", limit=500))
    assert whole is not None
    assert (whole.opening_balance, whole.closing_balance) == (0, 150_000 - 700 - 40_000 + 1_000 - 300 - 11)
    assert whole.lines[0].description == AWKWARD
    assert whole.lines[0].amount == whole.lines[0].balance == -700
    lines: list[wallets.StatementLine] = []
    after: wallets.StatementKey | None = None
    while True:
        page = ask(
            database, "greenhill", partial(wallets.statement, account="STU-1", limit=limit, after=after)
        )
        assert page is not None
        assert (page.opening_balance, page.closing_balance) == (0, whole.closing_balance)
        lines += page.lines
        after = page.next
        assert page.has_more == (after is not None)
        if after is None:
            break
    assert lines == whole.lines
    running = 0
    for line in lines:
        running += line.amount
        assert line.balance == running
    assert running == whole.closing_balance


def test_a_statement_of_a_range_opens_with_what_was_before(database: Database, head: int) -> None:
    assert head
    first, last = date(2026, 1, 4), date(2026, 1, 5)
    found = ask(database, "greenhill", lambda c: wallets.statement(c, "STU-1", first=first, limit=500))
    assert found is not None
    assert found.opening_balance == -700
    assert found.lines[0].balance == found.opening_balance + found.lines[0].amount
    found = ask(
        database, "greenhill", lambda c: wallets.statement(c, "STU-2", first=first, last=last, limit=500)
    )
    assert found is not None
    assert [line.amount for line in found.lines] == [20_000]
    assert (found.opening_balance, found.closing_balance, found.has_more) == (0, 20_000, False)
    empty = ask(
        database, "greenhill", lambda c: wallets.statement(c, "STU-2", last=date(2020, 1, 1), limit=5)
    )
    assert empty is not None
    assert (empty.lines, empty.closing_balance, empty.next) == ([], 0, None)
    assert ask(database, "greenhill", lambda c: wallets.statement(c, "NOBODY", limit=5)) is None


def test_invoices_by_payer_and_status(database: Database, head: int) -> None:
    assert head

    def listed(limit: int, **filters: str) -> list[InvoiceView]:
        return all_pages(
            database,
            limit,
            lambda c, limit, after: invoices.invoices(c, limit=limit, after=after, **filters),
        )

    assert listed(1) == sorted(listed(500), key=lambda one: one.id)
    found = sorted(listed(2), key=lambda one: -one.total)
    assert [(one.payer, one.status, one.total, one.open) for one in found] == [
        ("STU-1", "paid", 90_000, 0), ("FUND", "issued", 5_001, 5_001), ("FUND", "draft", 9, 0),
    ]  # fmt: skip
    assert [one.number and one.number[-7:] for one in found] == ["-000001", "-000002", None]
    assert [line.description for line in found[1].lines] == ["Term 1", AWKWARD]
    assert found[1].lines[1].total == 1
    assert sorted(listed(5, payer="FUND"), key=lambda one: -one.total) == found[1:]
    assert listed(5, status="issued") == [found[1]]
    assert listed(5, payer="FUND", status="draft") == [found[2]]
    assert listed(5, payer="FUND", status="void") == []
    assert ask(database, "greenhill", lambda c: invoices.find(c, [one.id for one in found])) == {
        one.id: one for one in found
    }


def test_a_receipt_knows_what_was_refunded(database: Database, head: int) -> None:
    assert head
    numbers = [f"RCT-{date.today().year}-{n:06}" for n in range(1, 8)]  # noqa: DTZ011 - the year alone
    given_out = ask(database, "greenhill", lambda c: receipts.find(c, [*numbers, "RCT-1999-000001"]))
    assert given_out.keys() == set(numbers)
    found = [given_out[number] for number in numbers]
    kinds = [one.kind for one in found]
    assert kinds == ["top_up", "top_up", "charge", "settlement", "settlement", "sale", "refund"]
    sale, refund = found[5], found[6]
    assert (sale.amount, sale.refunded, refund.amount, refund.refunded) == (25_000, 12_500, 12_500, 0)


def test_what_is_taken_back_is_on_every_page(database: Database, school: School) -> None:
    taken_back(school)
    put(database, school)
    catch_up(database)
    statement = ask(database, "greenhill", lambda c: wallets.statement(c, "STU-5", limit=500))
    assert statement is not None
    amounts = [line.amount for line in statement.lines]
    assert amounts == [9_000, 9_000, -500, -2_000, 500, 2_000, -500, -9_000, 500]
    assert (statement.closing_balance, statement.lines[-1].balance) == (9_000, 9_000)
    (bill,) = ask(database, "greenhill", lambda c: invoices.invoices(c, limit=9, payer="STU-5")).data
    assert (bill.status, bill.total, bill.open) == ("partially_paid", 6_000, 5_000)
    paid = sorted(
        (row[2], str(row[5]), row[6], row[9])
        for row in dump(database)["finance_payments"]
        if str(row[1]) == bill.id
    )
    assert [(tender, amount) for _, tender, amount, _ in paid] == [
        ("cash", 1_000), ("wallet", 2_000), ("bank", 3_000), ("wallet", -2_000), ("bank", -3_000),
    ]  # fmt: skip
    assert paid[-1][3] != paid[1][3], "the reversal has a receipt of its own"
    numbers = [row[1] for row in dump(database)["finance_receipts"]]
    found = ask(database, "greenhill", lambda c: receipts.find(c, numbers))
    reversed_ = {
        (one.kind, one.amount) for one in found.values() if one.refunded == one.amount and one.kind != "sale"
    }
    assert reversed_ == {("settlement", 5_500), ("top_up", 9_000), ("charge", 500)}
    own = [one for one in found.values() if one.kind == "reversal"]
    assert sorted((one.amount, one.refunded) for one in own) == [(500, 0), (5_500, 0), (9_000, 0)]


def test_keys_until_they_are_revoked(database: Database, head: int) -> None:
    assert head
    assert ask(database, None, lambda c: tenants.authenticate(c, b"\xa1" * 32)) is None
    auditor = ask(database, None, lambda c: tenants.authenticate(c, b"\xa2" * 32))
    assert auditor is not None
    assert (auditor.tenant, auditor.client, auditor.prefix) == ("greenhill", "TILL", "k2")
    assert (auditor.expires_in_seconds, auditor.features) == (None, ["FINANCE_V2"])
    assert "audit.read" in auditor.capabilities
    again = ask(database, None, lambda c: tenants.authenticate(c, b"\xa3" * 32))
    assert again is not None
    assert again.prefix == "k4"
    school = ask(database, "greenhill", tenants.tenant)
    assert school is not None
    assert (school.currency, school.country, school.time_zone) == ("KES", "KE", "Africa/Nairobi")
