"""The kills go on under worse conditions: other formats, a wrong clock, a held snapshot, a database that takes no writes."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from adapters.system.processes import free_port
from ops.kafka_broker import Broker
from projections.engine.snapshots import FORMATS, INTERVAL
from tests.support.campaign import HOT, Account, Sent, check_everything, kill_parts, load, top_up_in_bulk
from tests.support.day import wait_for_projections
from tests.support.up import Client, Up, another_api, running
from tests.support.waiting import eventually

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(900)]

EVERY = (0.5, 2.0)
HOUR = 3_600


# --- another format of snapshots


def all_snapshots_are_of(up: Up, formats: set[int]) -> bool:
    """Whether there are some, and none of another format."""
    found = {format_ for (format_,) in up.rows_once_there("SELECT DISTINCT format FROM snapshots")}
    return bool(found) and found <= formats


def test_snapshots_change_their_format_and_back(shared_folder: Path) -> None:
    """An upgrade of one process after the other, and its roll-back: what the other release took does not count."""
    ours = {*FORMATS.values()}
    account = Account()
    with running(shared_folder / "crash-formats", altered=True) as up:
        with load(up, account, name="FORMATS") as check:
            top_up_in_bulk(up, account, HOT, count=INTERVAL + 10, name="first")
            eventually(lambda: all_snapshots_are_of(up, ours), "snapshots are taken")
            for changed, formats in ((True, {format_ ^ 1 for format_ in ours}), (False, ours)):
                up.alter("api", snapshot_format=changed)
                kill_parts(up, seconds=10, every=EVERY, check=check)
                up.alter("projector", snapshot_format=changed)
                eventually(lambda formats=formats: all_snapshots_are_of(up, formats), "they are renewed")
                kill_parts(up, seconds=10, every=EVERY, check=check)
                top_up_in_bulk(up, account, HOT, count=INTERVAL, name=f"changed-{changed}")
        check_everything(up, account)
    assert account.again


# --- a wrong clock


def key_for_half_an_hour(up: Up) -> str:
    expiry = (datetime.now(UTC) + timedelta(minutes=30)).isoformat(timespec="seconds")
    made = up.cli(
        "key",
        "create",
        *("--tenant", up.ready["tenant"]),
        "--client",
        "soon",
        *("--role", "admin"),
        "--expires-at",
        expiry,
        "--json",
    )
    return str(json.loads(made)["key"])


def test_a_clock_is_an_hour_ahead(shared_folder: Path) -> None:
    """Of one process after the other, beside an API whose clock is right: nothing is dated ahead, nothing stays."""
    account = Account()
    with running(shared_folder / "crash-clock", altered=True) as up:
        key = key_for_half_an_hour(up)
        with (
            another_api(up, free_port()) as beside,
            load(up, account, name="AHEAD", tills=2) as check,
            load(up, account, name="RIGHT", tills=2, url=beside) as check_beside,
        ):
            for part in ("api", "projector", "exporter"):
                up.alter(part, clock_seconds=HOUR)
                started = datetime.fromisoformat(up.last_start(part)["timestamp"])
                assert started > datetime.now(UTC) + timedelta(minutes=59)
                for url in (up.url, beside):
                    with Client(url, key) as client:
                        client.get("ping")
                before = len(account.acknowledged)
                kill_parts(up, seconds=12, every=EVERY, check=check)
                check_beside()
                assert len(account.acknowledged) > before
                up.alter(part)
                last, now = up.rows_once_there("SELECT max(recorded_at), clock_timestamp() FROM commands")[0]
                assert last <= now
        check_everything(up, account)
    assert account.again


# --- a held snapshot


class Holder:
    """Somebody who began to read and forgot it: idle in a transaction, and again once the server was gone."""

    def __init__(self, up: Up) -> None:
        self._url = up.ready["database_url"]
        self._connection = self._begin()

    def _begin(self) -> psycopg.Connection[Any]:
        connection = eventually(self._connected, "the database takes connections")
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for table in ("head", "events", "wallet_balances", "finance_export_jobs"):
            connection.execute(f"SELECT count(*) FROM {table}")
        return connection

    def _connected(self) -> psycopg.Connection[Any] | None:
        try:
            return psycopg.connect(self._url)
        except psycopg.OperationalError:
            return None

    def holds(self) -> bool:
        """Whether the snapshot that was taken last is still held."""
        try:
            self._connection.execute("SELECT")
        except psycopg.OperationalError:
            return False
        return True

    def hold_again(self) -> None:
        """Take another once the server of the last one is gone."""
        eventually(lambda: not self.holds(), "the server is gone")
        self.end()
        self._connection = self._begin()

    def end(self) -> None:
        self._connection.close()


def test_a_snapshot_is_held(shared_folder: Path) -> None:
    """Across the kills of everything but the server, then across its restarts too, and through all the checks."""
    account = Account()
    with running(shared_folder / "crash-held") as up:
        holder = Holder(up)
        with load(up, account, name="HELD") as check:
            kill_parts(up, seconds=40, every=EVERY, check=check, spared={"postgres"})
            assert holder.holds()
            for _ in range(3):
                up.kill_part("postgres")
                holder.hold_again()
                kill_parts(up, seconds=5, every=EVERY, check=check, spared={"postgres"})
            up.kill()
            up.start()
            holder.hold_again()
            kill_parts(up, seconds=5, every=EVERY, check=check, spared={"postgres"})
        check_everything(up, account)
        assert holder.holds()
        holder.end()
    assert account.again


# --- a database that takes no writes


@contextmanager
def read_only(up: Up, *, cut: bool) -> Iterator[None]:
    """As the server becomes a standby, and a primary again; `cut` ends every session too, as a fail-over does."""
    _set_read_only(up, on=True, cut=cut)
    try:
        yield
    finally:
        _set_read_only(up, on=False, cut=cut)


def _set_read_only(up: Up, *, on: bool, cut: bool) -> None:
    with psycopg.connect(up.ready["database_url"], autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}")
        connection.execute("SELECT pg_reload_conf()")
        if cut:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )


class Asking:
    """One top-up of the hot wallet, asked for with one key until it is answered."""

    def __init__(self, up: Up, key: str) -> None:
        self._up = up
        self.key = key
        self.path = f"wallets/{HOT}/top-up"
        self.body = {"amount": 700, "currency": "KES", "source": {"type": "cash"}}

    def ask(self) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._up.key}", "Idempotency-Key": self.key}
        url = f"{self._up.url}/v2/finance/{self.path}"
        return httpx.post(url, headers=headers, content=json.dumps(self.body), timeout=30)

    def is_refused(self) -> bool:
        """Whether it hears 503: `outcome_unknown` where its commit was cut off, else `unavailable`."""
        response = self.ask()
        assert response.status_code in {201, 503}, response.text
        return response.status_code == 503

    def _accepted(self) -> httpx.Response | None:
        try:
            response = self.ask()
        except httpx.TransportError:  # the API was killed a moment ago
            return None
        return response if response.is_success else None

    def until_accepted(self, account: Account) -> None:
        response = eventually(self._accepted, "it is accepted", 20)
        sent = Sent(
            method="POST",
            path=self.path,
            body=self.body,
            key=self.key,
            accepted=True,
            content=response.content,
        )
        with account.lock:
            account.sent.append(sent)
            account.hot += self.body["amount"]


def test_the_database_turns_read_only(shared_folder: Path, kafka: Broker) -> None:
    """Clients hear 503 and ask again with the same key; the workers wait; afterwards everything goes on."""
    account = Account()
    with running(shared_folder / "crash-read-only", kafka=kafka.bootstrap_servers) as up:
        with load(up, account, name="READ-ONLY") as check:
            for turn, cut in enumerate((False, True, True)):
                kill_parts(up, seconds=6, every=EVERY, check=check)
                up.wait_until_all_run()
                pids = {name: up.running_pid(name) for name in up.pids}
                first, second = Asking(up, f"turn-{turn}-first"), Asking(up, f"turn-{turn}-second")
                with read_only(up, cut=cut):
                    eventually(first.is_refused, "the database takes no writes")
                    assert second.ask().json()["code"] == "unavailable"
                    head = up.rows("SELECT max(notification_id) FROM events")
                    threading.Event().wait(6)
                    assert second.is_refused()
                    assert up.rows("SELECT max(notification_id) FROM events") == head
                    assert {name: up.running_pid(name) for name in up.pids} == pids, "a process died of it"
                    if turn == 2:  # some begin while it is so
                        kill_parts(up, seconds=4, every=EVERY, check=check, spared={"postgres"})
                first.until_accepted(account)
                second.until_accepted(account)
                with Client(up.url, up.key) as client:
                    wait_for_projections(client)
        check_everything(up, account)
    assert account.again
