"""Where the benchmarks run: a database per measurement, and the product's own processes on it."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from adapters.postgres.embedded.cluster import Cluster, temporary_cluster
from adapters.postgres.migrations import migrate
from adapters.postgres.roles import set_role_passwords
from adapters.system.processes import end, free_port, spawn
from ops import setup

TENANT = "greenhill"
QUICKBOOKS = {
    "BURSAR_QUICKBOOKS_EMULATOR": "true",
    "BURSAR_QUICKBOOKS_URL": "http://127.0.0.1:9",
    "BURSAR_QUICKBOOKS_ACCESS_TOKEN": "none",
}
"""For an exporter that is asked for nothing."""
ROLES = ("writer", "projector", "reader", "relay", "exporter", "auditor")


class Site:
    """One PostgreSQL for the whole run."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._numbers = itertools.count(1)

    def database(self, *, template: str = "bench_template") -> str:
        """A new database, migrated unless another template is named."""
        name = f"bench_{next(self._numbers)}"
        with psycopg.connect(self._cluster.superuser_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
            connection.execute("CHECKPOINT")
        return name

    def prepare(self) -> None:
        with psycopg.connect(self._cluster.superuser_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench_template")
        migrate(self.superuser_url("bench_template"))
        with psycopg.connect(self._cluster.superuser_url) as connection:
            set_role_passwords(connection, self._cluster.passwords)

    def superuser_url(self, database: str) -> str:
        return _of(self._cluster.superuser_url, database)

    def url(self, role: str, database: str) -> str:
        return _of(self._cluster.url_for(f"bursar_{role}"), database)

    def drop(self, database: str) -> None:
        with psycopg.connect(self._cluster.superuser_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


def _of(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    with temporary_cluster(folder) as cluster:
        made = Site(cluster)
        made.prepare()
        yield made


class Service:
    """The product's processes on a database of the site: some API processes, and the rest when asked for."""

    def __init__(self, site: Site, database: str, stack: ExitStack, folder: Path) -> None:
        self._site = site
        self.database = database
        self._stack = stack
        self._folder = folder
        self.urls: list[str] = []
        self.apis: list[subprocess.Popen[bytes]] = []
        self.key = ""

    def start_api(self) -> str:
        url = self.spawn_api()
        wait_for(f"{url}/health/ready")
        return url

    def spawn_api(self) -> str:
        """Start an API process; it does not answer yet."""
        port = free_port()
        self.apis.append(self._spawn("serve", "--port", str(port)))
        self.urls.append(f"http://127.0.0.1:{port}")
        return self.urls[-1]

    def stop_apis(self) -> None:
        for api in self.apis:
            self.stop(api)
        self.apis.clear()
        self.urls.clear()

    def api_memory_mb(self) -> float:
        """What the API process holds in memory, in MB (its resident set)."""
        status = Path(f"/proc/{self.apis[0].pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1_000_000

    def register(self, accounts: list[str]) -> None:
        """Register the school with wallets, and project it, so that its key is known."""
        writer = self._site.url("writer", self.database)
        command = setup.tenants.RegisterTenant(country="KE", legal_name="Greenhill")
        # In a thread, since the benchmark's own event loop runs in this one.
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(setup.execute, writer, TENANT, "tenant.register", command).result()
        self.take_key()
        projector = self.start("project")
        self.start_api()
        position = self.open(accounts)
        assert setup.wait_until_projected(self._site.url("reader", self.database), position)
        self.stop(projector)

    def open(self, accounts: list[str]) -> int:
        """Open wallets in bulk; returns the position."""
        body = [
            {
                "action": "wallet.open",
                "idempotency_key": f"open-{a}",
                "data": {"account": a, "currency": "KES"},
            }
            for a in accounts
        ]
        request = urllib.request.Request(
            f"{self.urls[0]}/v2/finance/bulk", json.dumps(body).encode(), self.headers()
        )
        with urllib.request.urlopen(request) as response:
            return int(response.headers["Bursar-Position"])

    def take_key(self) -> None:
        """Make the key that `headers` has."""
        writer = self._site.url("writer", self.database)
        with ThreadPoolExecutor(1) as elsewhere:
            self.key, _ = elsewhere.submit(setup.create_key, writer, TENANT, "BENCH", "admin").result()

    def another_key(self) -> str:
        """A key of another client."""
        writer = self._site.url("writer", self.database)
        with ThreadPoolExecutor(1) as elsewhere:
            key, made = elsewhere.submit(setup.create_key, writer, TENANT, "OTHER", "admin").result()
        assert setup.wait_until_projected(self._site.url("reader", self.database), made.position)
        return key

    def another_tenant(self, accounts: list[str]) -> str:
        """Register another school with wallets; returns its key."""
        writer = self._site.url("writer", self.database)
        command = setup.tenants.RegisterTenant(country="KE", legal_name="Hilltop")
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(setup.execute, writer, "hilltop", "tenant.register", command).result()
            key, made = elsewhere.submit(setup.create_key, writer, "hilltop", "BENCH", "admin").result()
        assert setup.wait_until_projected(self._site.url("reader", self.database), made.position)
        for account in accounts:
            body = json.dumps({"account": account, "currency": "KES"}).encode()
            headers = self.headers(key) | {"Idempotency-Key": f"open-{account}"}
            request = urllib.request.Request(f"{self.urls[0]}/v2/finance/wallets", body, headers)
            with urllib.request.urlopen(request):
                pass
        return key

    def headers(self, key: str = "") -> dict[str, str]:
        return {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}

    def start(self, *command: str, **environment: str) -> "subprocess.Popen[bytes]":
        marker = self._folder / f"ready-{time.monotonic_ns()}"
        process = self._spawn(*command, BURSAR_READY_FILE=str(marker), **environment)
        while not marker.exists():
            assert process.poll() is None, f"{command} ended"
            time.sleep(0.02)
        return process

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        end(process, stop=signal.SIGTERM, seconds=10)

    def _spawn(self, *command: str, **environment: str) -> "subprocess.Popen[bytes]":
        given = {f"BURSAR_{role.upper()}_DATABASE_URL": self._site.url(role, self.database) for role in ROLES}
        log = self._stack.enter_context((self._folder / f"{command[0]}.log").open("ab"))
        process = spawn(
            [sys.executable, "-m", "ops.cli", *command],
            env={
                **os.environ,
                **given,
                "BURSAR_RECEIPT_KEY": "00" * 32,
                "BURSAR_SNAPSHOT_KEY": "11" * 32,
                **environment,
            },
            output=log,
        )
        self._stack.callback(self.stop, process)
        return process


@contextmanager
def service(site: Site, folder: Path, *, accounts: list[str]) -> Iterator[Service]:
    """A registered school with an API process; everything ends, and the database goes, on leaving."""
    database = site.database()
    with ExitStack() as stack:
        running = Service(site, database, stack, folder)
        running.register(accounts)
        yield running
    site.drop(database)


@contextmanager
def resumed(site: Site, folder: Path, database: str) -> Iterator[Service]:
    """A school that is there already, projected and with a new key, the projector at work and no API yet."""
    with ExitStack() as stack:
        running = Service(site, database, stack, folder)
        running.take_key()
        running.start("project")
        yield running


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)
