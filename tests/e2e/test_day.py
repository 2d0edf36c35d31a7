"""A school's day through one `bursar up`, and what must hold when it is over, again and after a restart."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from adapters.system.processes import free_port
from ops.kafka_broker import Broker
from tests.support.books import read
from tests.support.day import (
    Office,
    SalesFile,
    all_posted,
    all_there,
    check_agreement,
    check_log,
    check_statement,
    export,
    import_sales,
    nothing_created,
    request_log,
    together,
    wait_for_projections,
    write_sales,
)
from tests.support.up import REPOSITORY, Client, Up, another_api, running


@dataclass(frozen=True, kw_only=True)
class Day:
    """A service on which a day was played and exported once. Tests may restart it and add to it."""

    up: Up
    by_cash: SalesFile
    by_wallet: SalesFile

    def client(self) -> Client:
        return Client(self.up.url, self.up.key)

    def office(self, client: Client) -> Office:
        return Office(client, prefix="OFFICE", rounds=6)


def play(up: Up, folder: Path, *, rows: int, customers: int) -> Day:
    by_cash = write_sales(
        folder / "cash.csv", rows=rows, customers=customers, prefix="CASH", options=["--tender", "cash"]
    )
    by_wallet = write_sales(
        folder / "wallet.csv",
        rows=rows,
        customers=customers,
        prefix="WALLET",
        options=["--tender", "wallet", "--prefund"],
    )
    day = Day(up=up, by_cash=by_cash, by_wallet=by_wallet)
    for file in (by_cash, by_wallet):
        assert import_sales(up, file) == all_posted(file)
    with day.client() as client:
        day.office(client).run()
        export(client)
    return day


@pytest.fixture(scope="module")
def day(shared_folder: Path) -> Iterator[Day]:
    folder = shared_folder / "day"
    with running(folder) as up:
        yield play(up, folder, rows=1500, customers=100)


def agree(day: Day) -> None:
    """Export what other tests may have added, and compare all books."""
    with day.client() as client:
        export(client)
        check_agreement(day.up, client)


def again(day: Day) -> None:
    """Import and export a second time: nothing moves, and QuickBooks is not asked to make anything."""
    agree(day)
    with day.client() as client, nothing_created(day.up):
        before = client.get("accounts")
        for file in (day.by_cash, day.by_wallet):
            assert import_sales(day.up, file) == all_there(file)
        day.office(client).run()
        export(client)
        assert client.get("accounts") == before


def restart(day: Day) -> None:
    """Ctrl-C and a new `up` on the same folder: the same keys, and everything is still there."""
    agree(day)
    with day.client() as client:
        keys, accounts, wallets = day.up.ready["keys"], client.get("accounts"), client.list("wallets")
    assert day.up.stop() == 0
    day.up.start()
    assert day.up.ready["keys"] == keys
    with day.client() as client, nothing_created(day.up):
        assert client.get("accounts") == accounts
        assert client.list("wallets") == wallets
        export(client)
        check_agreement(day.up, client)


def test_all_books_agree(day: Day) -> None:
    agree(day)


def test_what_was_sold_is_what_the_files_say(day: Day) -> None:
    with day.client() as client:
        for customer, sold in day.by_wallet.sales.items():
            amounts = check_statement(client, customer, 0)
            assert sorted(amounts) == sorted([*sold, *(-minor for minor in sold)])
        wallets = {row["account"] for row in client.list("wallets")}
    assert not wallets & {*day.by_cash.sales}  # who pays cash needs none
    rows = day.up.rows(
        "SELECT convert_from(state, 'UTF8')::json->>'customer', convert_from(state, 'UTF8')::json->>'total' "
        "FROM events WHERE topic LIKE 'bursar.sale.completed.%%'"
    )
    sold_for_cash = Counter(
        (customer, int(total)) for customer, total in rows if customer.startswith("CASH-")
    )
    assert sold_for_cash == Counter(
        (customer, minor) for customer, sold in day.by_cash.sales.items() for minor in sold
    )


def test_the_documents_are_of_the_kinds_that_were_promised(day: Day) -> None:
    agree(day)
    quickbooks = day.up.ready["quickbooks"]
    books = read(quickbooks["url"], quickbooks["realm"], quickbooks["access_token"])
    rounds = 6
    # Each round: two invoices of which one has an excess, and one settled in part.
    assert books.counts["Invoice"] == 3 * rounds
    assert books.counts["CreditMemo"] == 2 * rounds
    assert books.counts["Payment"] == (3 + 3 + 1) * rounds
    assert books.counts["RefundReceipt"] == 3 * rounds
    assert books.counts["JournalEntry"] >= rounds
    assert books.counts["SalesReceipt"] >= day.by_cash.count + 2 * day.by_wallet.count


def test_import_and_export_again_change_nothing(day: Day) -> None:
    again(day)


def test_restart_on_the_same_data(day: Day) -> None:
    restart(day)


def test_the_log_verifies_and_a_rebuild_changes_no_row(day: Day) -> None:
    with day.client() as client:
        wait_for_projections(client)
    check_log(day.up)


def test_two_api_processes_on_one_hot_wallet(day: Day) -> None:
    wallet, lanes, each = "HOT-WALLET", 8, 25
    with another_api(day.up, free_port()) as second, ExitStack() as stack:
        urls = [day.up.url, second] * (lanes // 2)
        clients = [stack.enter_context(Client(url, day.up.key)) for url in urls]
        clients[0].done("POST", "wallets", {"account": wallet, "currency": "KES"}, "hot-wallet")

        def top_up_and_charge(lane: int) -> None:
            for number in range(each):
                key = f"hot-{lane}-{number}"
                body = {"amount": 1_000 + lane, "currency": "KES", "source": {"type": "cash"}}
                clients[lane].done("POST", f"wallets/{wallet}/top-up", body, f"{key}-in")
                body = {"amount": 900, "currency": "KES", "description": "Tea"}
                clients[lane].done("POST", f"wallets/{wallet}/charge", body, f"{key}-out")

        together([lambda lane=lane: top_up_and_charge(lane) for lane in range(lanes)])
        assert [client.again for client in clients] == [0] * lanes  # no 503 either
        expected = sum(each * (1_000 + lane - 900) for lane in range(lanes))
        for client in clients:
            assert client.get(f"wallets/{wallet}")["balance"] == expected
        assert len(check_statement(clients[0], wallet, expected)) == 2 * lanes * each
    agree(day)


def test_schools_keys_and_features_by_the_command_line(day: Day) -> None:
    up = day.up
    up.cli("tenant", "register", "riverside", "--country", "CA")
    key = up.cli(
        "key", "create", "--tenant", "riverside", "--client", "office", "--role", "admin"
    ).splitlines()[-1]
    other = up.cli(
        "key", "create", "--tenant", "riverside", "--client", "till", "--role", "cashier"
    ).splitlines()[-1]
    with Client(up.url, key) as client, Client(up.url, other) as till, day.client() as neighbour:
        assert client.get("ping")["currency"] == "CAD"
        client.done("POST", "wallets", {"account": "LEAF-1", "currency": "CAD"}, "leaf-wallet")
        body = {"amount": 5_005, "currency": "CAD", "source": {"type": "cash"}}
        client.done("POST", "wallets/LEAF-1/top-up", body, "leaf-top-up")
        assert neighbour.send("GET", "wallets/LEAF-1").status_code == 404
        assert till.get("wallets/LEAF-1")["balance"] == 5_005
        export(client)
        _check_company_of_its_own(up)

        up.cli("tenant", "feature", "riverside", "FINANCE_V2", "off")
        refused = client.send("GET", "wallets/LEAF-1")
        assert (refused.status_code, refused.json()["code"]) == (404, "feature_disabled")
        assert client.write("POST", "wallets/LEAF-1/top-up", body, "leaf-top-up-2").status_code == 404
        up.cli("tenant", "feature", "riverside", "FINANCE_V2", "on")
        assert client.get("wallets/LEAF-1")["balance"] == 5_005

        up.cli("key", "revoke", other[:11])
        assert till.send("GET", "wallets/LEAF-1").status_code == 401
        assert client.get("wallets/LEAF-1")["balance"] == 5_005


def _check_company_of_its_own(up: Up) -> None:
    url, token = up.ready["quickbooks"]["url"], up.ready["quickbooks"]["access_token"]
    realms = {company["realm"] for company in httpx.get(f"{url}/emulator/companies").json()}
    [realm] = realms - {up.ready["quickbooks"]["realm"]}
    books = read(url, realm, token)
    assert dict(books.counts) == {"SalesReceipt": 1}
    assert sorted(map(str, books.balances.values())) == ["-50.05", "50.05"]


def test_the_commands_that_up_prints_work_as_printed(day: Day) -> None:
    """On the first day, and again on every later one."""
    banner = day.up.log.read_text().rpartition("Bursar ")[2]
    assert len(banner.splitlines()) <= 30
    commands = banner[banner.index("  eval ") : banner.index("Ctrl-C stops it.")]
    for _ in range(2):
        printed = subprocess.run(
            ["bash", "-eu", "-c", commands], cwd=REPOSITORY, capture_output=True, check=True, text=True
        ).stdout
        opened, topped_up, sold, statement = map(json.loads, printed.splitlines())
        assert opened["account"] == "STU-1001"
        assert topped_up["wallet"]["balance"] == 150_000
        tenders = [(tender["type"], tender["amount"]) for tender in sold["sale"]["tenders"]]
        assert tenders == [("wallet", 150_000), ("cash", 50_000)]
        assert [line["amount"] for line in statement["lines"]] == [150_000, -150_000]
        assert statement["closing_balance"] == 0


def test_the_request_log_shows_each_document_made_once(day: Day) -> None:
    agree(day)
    quickbooks = day.up.ready["quickbooks"]
    made = Counter(
        line["entity"]
        for line in request_log(day.up)
        if line["operation"] == "create"
        and line["status"] == 200
        and f"/{quickbooks['realm']}/" in line["path"]
    )
    books = read(quickbooks["url"], quickbooks["realm"], quickbooks["access_token"])
    assert {kind: made[kind] for kind in books.counts} == books.counts


def test_the_same_day_over_kafka(shared_folder: Path, kafka: Broker) -> None:
    folder = shared_folder / "kafka-day"
    with running(folder, kafka=kafka.bootstrap_servers) as up:
        played = play(up, folder, rows=300, customers=30)
        assert "relay" in up.pids
        again(played)
        restart(played)
        check_log(up)
