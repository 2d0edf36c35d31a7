"""What callers hear when the database is away, the queue is full, or the service itself is broken."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from adapters.postgres.embedded.cluster import Cluster, prepare
from adapters.postgres.migrations import migrate
from adapters.postgres.roles import set_role_passwords
from adapters.system.processes import end
from tests.conftest import fresh_database
from tests.support.service import Client, Service, fresh_key, fresh_name, ok, refused, serving, until

MAX_QUEUE_COMMANDS = 5


@pytest.fixture(scope="module")
def small(cluster: Cluster) -> Iterator[Service]:
    """A service whose queue is short."""
    with fresh_database(cluster) as made:
        limit = str(MAX_QUEUE_COMMANDS)
        with serving(made.urls(), made.superuser_url, BURSAR_QUEUE_LIMIT=limit) as running:
            yield running


def top_ups(account: str, count: int) -> list[dict]:
    body = {"account": account, "amount": 1, "currency": "KES", "source": {"type": "cash"}}
    return [{"action": "wallet.top_up", "idempotency_key": fresh_key(), "data": body} for _ in range(count)]


@contextmanager
def locked_head(service: Service) -> Iterator[None]:
    """Nobody can commit meanwhile; not for long, since the writer gives the lock up after five seconds."""
    with psycopg.connect(service.superuser_url) as connection:
        connection.execute("SELECT * FROM head FOR UPDATE")
        yield


def someone_waits(service: Service) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return service.row(query)[0] > 0


def test_a_full_queue(small):
    client = small.client()
    account = client.wallet()
    before = small.head()
    with ThreadPoolExecutor(11) as pool:
        with locked_head(small):
            waiting = [pool.submit(client.top_up, account, 1)]
            until(lambda: someone_waits(small), "the first waits for the lock")
            waiting += [pool.submit(client.top_up, account, 1) for _ in range(MAX_QUEUE_COMMANDS + 5)]
            until(lambda: sum(one.done() for one in waiting) == 5, "five find no room")
            for one in waiting:
                if one.done():
                    refused(one.result(), 503, "unavailable")
            refused(client.post("bulk", top_ups(account, 2)), 503, "unavailable")
            assert ok(client.get(f"wallets/{account}"))["balance"] == 0  # reads go on
        answers = [one.result() for one in waiting]
    assert sum(one.status_code == 201 for one in answers) == 1 + MAX_QUEUE_COMMANDS
    assert small.head() == before + 4 * (1 + MAX_QUEUE_COMMANDS)
    assert client.balance(account) == 1 + MAX_QUEUE_COMMANDS


def test_a_bulk_request_enters_a_short_queue_as_there_is_room(small):
    client = small.client()
    account = client.wallet()
    found = client.bulk(top_ups(account, 20 * MAX_QUEUE_COMMANDS))
    assert {one["status"] for one in found} == {201}
    assert client.balance(account) == 20 * MAX_QUEUE_COMMANDS


def test_a_bug_is_sanitised(small):
    client = small.client()
    account = client.wallet()
    with psycopg.connect(small.superuser_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE wallet_accounts RENAME TO hidden")
        connection.execute("ALTER FUNCTION bursar_append RENAME TO hidden")
        try:
            with small.nothing_written():
                for response in (client.get("wallets"), client.top_up(account, 1)):
                    found = refused(response, 500, "internal_error")
                    assert found["detail"] == "The service failed; the request id finds it in the log."
                    for secret in ("wallet_accounts", "bursar_append", "psycopg", "SELECT"):
                        assert secret not in response.text
                assert client.bulk(top_ups(account, 1))[0]["code"] == "internal_error"
        finally:
            connection.execute("ALTER TABLE hidden RENAME TO wallet_accounts")
            connection.execute("ALTER FUNCTION hidden RENAME TO bursar_append")
    assert ok(client.top_up(account, 1))["wallet"]["balance"] == 1
    assert client.balance(account) == 1


class PrivatePostgres:
    """A server of its own, to be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.cluster = prepare(folder)
        self.log = (folder / "postgres.log").open("ab")
        self.start()

    def start(self) -> None:
        self.process = self.cluster.spawn(self.log)
        until(self.cluster.is_ready, "PostgreSQL takes connections")

    def stop(self) -> None:
        end(self.process, stop=signal.SIGINT, seconds=10)


@pytest.fixture
def postgres(shared_folder: Path) -> Iterator[PrivatePostgres]:
    running = PrivatePostgres(shared_folder / fresh_name("away"))
    migrate(running.cluster.superuser_url)
    with psycopg.connect(running.cluster.superuser_url) as connection:
        set_role_passwords(connection, running.cluster.passwords)
    yield running
    running.stop()
    running.log.close()


def away(client: Client, response: httpx.Response) -> None:
    found = refused(response, 503, response.json()["code"])
    assert found["code"] in ("unavailable", "outcome_unknown")
    for secret in ("psycopg", "127.0.0.1", "connection to server"):
        assert secret not in response.text


def test_the_database_is_away(postgres):
    with serving(postgres.cluster.urls(), postgres.cluster.superuser_url) as service:
        client = service.client()
        account, key = client.wallet(100), fresh_key()
        receipt = ok(client.top_up(account, 1))["receipt"]["qr"]
        before = service.head()
        postgres.stop()
        # The first may have been on its way when the connection broke; the service cannot know.
        away(client, client.top_up(account, 10, key=key))
        elements = top_ups(account, 3)
        nobody, cashier = service.client_of(None), service.client("cashier")
        asked = (
            lambda: client.top_up(account, 10, key=key),
            lambda: client.post("bulk", elements),
            lambda: client.get(f"wallets/{account}"),
            lambda: client.get("ping"),
            lambda: cashier.get("wallets"),
            lambda: nobody.http.get(receipt),
            lambda: nobody.http.get(f"{service.url}/health/ready"),
        )
        with ThreadPoolExecutor(len(asked)) as pool:
            for answer in [pool.submit(ask) for ask in asked]:
                refused(answer.result(), 503, "unavailable")
        postgres.start()
        deadline = time.monotonic() + 30
        while (answer := client.top_up(account, 10, key=key)).status_code == 503:
            assert time.monotonic() < deadline
        assert ok(answer)["wallet"]["balance"] == 111
        assert service.head() == before + 4
        until(lambda: client.get(f"wallets/{account}").status_code == 200, "reads are back")
        assert client.balance(account) == 111
        assert {one["status"] for one in client.bulk(elements)} == {201}
        assert client.balance(account) == 114
