"""The folds: the right rows, whatever the batches."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.aggregates import TOPICS
from domain.export_batch import ExportRequested
from domain.ids import export_stream
from domain.invoice import Invoice
from domain.ledger_account import LedgerAccount
from domain.wallet import Wallet
from projections.engine import runner
from projections.engine.fold import UnknownTopicError
from projections.engine.registry import PROJECTIONS
from projections.views import tenants
from tests.conftest import Database
from tests.support.log import Logged, append_all
from tests.support.projected import AWKWARD, NOW, a_day, ask, catch_up, dump, forget, put, taken_back, top_ups
from tests.support.school import School

# Events that no read table shows: what they say stands elsewhere too, or only the write side needs it.
NOT_SHOWN = {
    "bursar.tenant.chart_mapped.v1",
    "bursar.tenant.client_added.v1",
    "bursar.series.policy_set.v1",
    "bursar.tenant.policies_set.v1",
    "bursar.receipt.claimed.v1",
    "bursar.hold.placed.v1",
    "bursar.command.annotated.v1",
}


def test_every_event_is_folded_or_known_not_to_be() -> None:
    folded = set[str]().union(*(fold.topics for projection in PROJECTIONS for fold in projection.folds))
    assert folded | NOT_SHOWN == set(TOPICS)
    assert not folded & NOT_SHOWN


def test_the_tables_hold_what_the_aggregates_hold(database: Database) -> None:
    school = School()
    a_day(school)
    taken_back(school)
    put(database, school)
    catch_up(database)
    wallets: dict[str, Any] = {}
    held: dict[str, Any] = {}
    accounts: dict[str, Any] = {}
    invoices: dict[str, Any] = {}
    for state in school._states.values():
        match state:
            case Wallet():
                wallets[state.wallet_id] = state.balance_minor
                held |= {hold: (each.amount_minor, each.expires_at) for hold, each in state.holds.items()}
            case LedgerAccount():
                accounts[state.account_code] = state.net_minor
            case Invoice():
                invoices[state.invoice] = (state.number, state.status, state.total_minor, state.open_minor)
            case _:
                pass
    rows = dump(database)
    assert {row[1]: row[2] for row in rows["wallet_balances"]} == wallets
    assert {str(row[1]): (row[3], row[6]) for row in rows["wallet_holds"] if row[5] == "active"} == held != {}
    assert {row[1]: row[2] - row[3] for row in rows["ledger_balances"]} == accounts
    assert {str(row[1]): (row[2], row[3], row[6], row[7]) for row in rows["finance_invoices"]} == invoices
    assert sum(accounts.values()) == 0


def test_running_balances_end_at_the_balances(database: Database) -> None:
    school = School()
    a_day(school)
    taken_back(school)
    put(database, school)
    catch_up(database, limits=(7,))
    with psycopg.connect(database.superuser_url) as connection:
        for entries, balances, key, total in (
            ("ledger_entries", "ledger_balances", "code", "b.debits - b.credits"),
            ("wallet_transactions", "wallet_balances", "account", "b.balance"),
        ):
            step = "debit - credit" if key == "code" else "amount"
            checked = connection.execute(
                f"SELECT count(*), bool_and(e.balance = e.summed),"  # type: ignore[arg-type]  # names from above
                f" bool_and(e.later OR e.balance = {total}) FROM (SELECT *,"
                f" sum({step}) OVER w AS summed, lead(position) OVER w IS NOT NULL AS later"
                f" FROM {entries} WINDOW w AS (PARTITION BY {key} ORDER BY position)) AS e"
                f" JOIN {balances} b USING (tenant, {key})"
            ).fetchone()
            assert checked is not None
            assert checked[0] > 5
            assert checked[1:] == (True, True)
        by_day = connection.execute(
            "SELECT count(*), bool_and(t.day_balance = t.summed), bool_and(t.later OR t.day_balance = d.net) FROM ("
            " SELECT *, sum(amount) OVER w AS summed, lead(position) OVER w IS NOT NULL AS later"
            " FROM wallet_transactions WINDOW w AS (PARTITION BY account, effective_date ORDER BY position)) AS t"
            " JOIN wallet_days d ON (d.tenant, d.account, d.day) = (t.tenant, t.account, t.effective_date)"
        ).fetchone()
        assert by_day
        assert by_day[0] > 5
        assert by_day[1:] == (True, True)


def test_a_movement_is_read_exactly_whatever_its_description(database: Database) -> None:
    school = School()
    school.run("wallet.open", account="A")
    school.run("wallet.top_up", account="A", amount=10**10, source={"type": "cash"})
    charged = school.run(
        "wallet.charge", account="A", amount=3, description=AWKWARD, effective_date="2026-01-03"
    )
    position = put(database, school)
    catch_up(database)
    row = next(row for row in dump(database)["wallet_transactions"] if row[2] == -3)
    assert row[0] == position
    assert str(row[1]) == charged["transaction_id"]
    assert (str(row[4]), row[5], row[6], row[7], row[8]) == (
        "2026-01-03", Decimal(10**10 - 3), "greenhill", "A", AWKWARD,
    )  # fmt: skip


def test_sums_may_pass_a_bigint(database: Database) -> None:
    with psycopg.connect(database.url("bursar_writer"), autocommit=True) as connection:
        append_all(connection, top_ups("greenhill", "A", 3, amount=2**62))
    catch_up(database)
    assert dump(database)["wallet_balances"][0][2] == 3 * 2**62


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example empties the tables
)
@given(limits=st.lists(st.integers(1, 40), min_size=1, max_size=6).map(tuple))
def test_batches_of_any_size_give_the_same_tables(database: Database, limits: tuple[int, ...]) -> None:
    if not any(dump(database).values()):
        for name, country, keys in (("greenhill", "KE", "a"), ("maple", "CA", "b")):
            school = School(name, country)
            a_day(school, keys=keys)
            taken_back(school)
            put(database, school)
    forget(database)
    catch_up(database)
    whole = dump(database)
    forget(database)
    catch_up(database, limits=limits)
    assert dump(database) == whole
    assert all(rows for rows in whole.values())


def test_a_hash_that_is_added_again_stops_nobody_and_opens_nothing(database: Database) -> None:
    schools = (School("greenhill"), School("maple", "CA"))
    for school in schools:
        school.run("key.create", client="till", prefix="k1", key_hash="ab" * 32, role="cashier")
        put(database, school)
    catch_up(database)
    first = ask(database, None, lambda c: tenants.authenticate(c, b"\xab" * 32))
    assert first is not None
    assert first.tenant == "greenhill"
    schools[0].run("key.revoke", prefix="k1")
    put(database, schools[0])
    catch_up(database)
    assert ask(database, None, lambda c: tenants.authenticate(c, b"\xab" * 32)) is None


def test_an_event_of_a_newer_version_stops_the_projector(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested = ExportRequested(batch="01900000-0000-7000-8000-000000000001", channel="x", recorded_at=NOW)
    event = (export_stream("greenhill", requested.batch), 1, requested)
    with psycopg.connect(database.url("bursar_writer"), autocommit=True) as connection:
        append_all(connection, [Logged(tenant="greenhill", action="quickbooks.export", events=[event])])
    monkeypatch.delitem(TOPICS, ExportRequested.topic)
    with psycopg.connect(database.url("bursar_projector"), autocommit=True) as connection:
        runner.prepare(connection)
        with pytest.raises(UnknownTopicError, match=rf"{ExportRequested.topic}, at position 1"):
            runner.project(connection)
        positions = connection.execute("SELECT DISTINCT position FROM projection_positions").fetchall()
    assert positions == [(0,)]
