"""The service as clients meet it: the API and the projector as processes of their own, on a real database."""

import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import psycopg

from adapters.system.processes import end, free_port, spawn
from application.commands.tenants import RegisterTenant, RevokeKey, SetFeature
from domain.capability import ROLES
from ops.setup import PREFIX_LENGTH, create_key, execute, wait_until_projected

REPOSITORY: Final = Path(__file__).parents[2]
TAX_REGISTERED_FROM: Final = date(2020, 1, 1)
COUNTRIES: Final = {"greenhill": "KE", "maple": "CA"}
_START_SECONDS: Final = 60.0
_names = count(1)

Json = Any


def fresh_key() -> str:
    """An idempotency key that nobody has used."""
    return f"test-{secrets.token_hex(8)}"


def fresh_name(prefix: str = "W") -> str:
    """A wallet, payer or reference that nobody has used, in the form in which the service writes it."""
    return f"{prefix}-{next(_names)}-{secrets.token_hex(3).upper()}"


def until(condition: Callable[[], bool], what: str, seconds: float = _START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)


class Client:
    """One credential's way to a service. Paths are relative to `/v2/finance/`."""

    def __init__(self, url: str, key: str | None) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.http = httpx.Client(base_url=f"{url}/v2/finance/", headers=headers, timeout=30)

    def get(self, path: str, *, headers: Mapping[str, str] | None = None, **params: Any) -> httpx.Response:
        return self.http.get(path, params=params, headers=headers)

    def send(
        self,
        method: str,
        path: str,
        body: Json | bytes,
        *,
        key: str | None = "",
        headers: Mapping[str, str] | None = None,
        **params: Any,
    ) -> httpx.Response:
        """Send a command, under a fresh key unless one is given (None: without one)."""
        own = {"Content-Type": "application/json", **(headers or {})}
        if key is not None:
            own["Idempotency-Key"] = key or fresh_key()
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.request(method, path, content=content, headers=own, params=params or None)

    def post(self, path: str, body: Json | bytes, **options: Any) -> httpx.Response:
        return self.send("POST", path, body, **options)

    def settle(self, invoice: str, *tenders: Json, **options: Any) -> httpx.Response:
        return self.send("PATCH", f"invoices/{invoice}", {"settle": {"tenders": tenders}}, **options)

    def wallet(self, balance: int = 0, *, currency: str = "KES", payer: str = "") -> str:
        """Open a wallet of a fresh name, with money in it; it is its own payer's unless named."""
        account = fresh_name()
        ok(self.post("wallets", {"account": account, "currency": currency, "payer": payer or account}))
        if balance:
            ok(self.top_up(account, balance, currency=currency))
        return account

    def top_up(self, account: str, amount: Json, *, currency: str = "KES", **options: Any) -> httpx.Response:
        body = {"amount": amount, "currency": currency, "source": {"type": "cash"}}
        return self.post(f"wallets/{account}/top-up", body, **options)

    def balance(self, account: str) -> int:
        return ok(self.get(f"wallets/{account}"))["balance"]

    def invoice(self, total: int = 1000, *, payer: str = "", issue: bool = True, **fields: Any) -> Json:
        """Create an invoice of one line, for a fresh payer unless named."""
        line = {"description": "Tuition", "quantity": 1, "total": total, "income": "tuition"}
        body = {
            "payer": payer or fresh_name("P"),
            "currency": "KES",
            "due_date": "2026-12-31",
            "lines": [line],
            "issue": issue,
            **fields,
        }
        return ok(self.post("invoices", body), 201)

    def checkout(self, lines: list[Json], *tenders: Json, **fields: Any) -> httpx.Response:
        """Sell lines given as totals or as whole lines."""
        whole = [
            {"sku": "MEAL", "quantity": 1, "total": line, "tax_code": "A"} if isinstance(line, int) else line
            for line in lines
        ]
        return self.post("pos/checkout", {"currency": "KES", "lines": whole, "tenders": tenders, **fields})

    def refund(self, sale: str, **fields: Any) -> httpx.Response:
        return self.post("pos/refund", {"sale": sale, **fields})

    def accounts(self) -> dict[str, Json]:
        """The ledger accounts by role."""
        return {account["role"]: account for account in ok(self.get("accounts"))["data"]}

    def bulk(self, elements: list[Json]) -> list[Json]:
        return ok(self.post("bulk", elements, key=None))["data"]


def ok(response: httpx.Response, status: int | None = None) -> Json:
    """The body of an answer that is a success, of `status` where named."""
    assert response.is_success, response.text
    assert status in (None, response.status_code)
    return response.json()


def refused(response: httpx.Response, status: int, code: str) -> Json:
    """The envelope of a refusal, checked from end to end."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["type"] == f"urn:bursar:problem:{code}"
    assert body["request_id"] == response.headers["x-request-id"]
    assert {"title", "detail", "instance", "tenant", "errors"} <= body.keys()
    assert all(error.keys() == {"pointer", "detail"} for error in body["errors"])
    assert ("retry-after" in response.headers) == (status == 503)
    assert "Traceback" not in response.text
    return body


class Service(msgspec.Struct, kw_only=True):
    """A running service with two schools. `keys` are greenhill's (KE), by role; `others` maple's (CA)."""

    url: str
    urls: Mapping[str, str]
    superuser_url: str
    env: Mapping[str, str]
    keys: dict[str, str] = msgspec.field(default_factory=dict)
    others: dict[str, str] = msgspec.field(default_factory=dict)
    clients: list[Client] = msgspec.field(default_factory=list)

    def client(self, role: str = "admin", *, tenant: str = "greenhill", url: str | None = None) -> Client:
        keys = self.keys if tenant == "greenhill" else self.others
        return self.client_of(keys[role], url=url)

    def client_of(self, key: str | None, *, url: str | None = None) -> Client:
        made = Client(url or self.url, key)
        self.clients.append(made)
        return made

    def register(self, tenant: str, country: str) -> None:
        school = RegisterTenant(
            country=country, legal_name=f"{tenant} school", tax_registered_from=TAX_REGISTERED_FROM
        )
        self.operate(tenant, "tenant.register", school)

    def create_key(self, tenant: str, client: str, role: str, **options: Any) -> str:
        key, outcome = create_key(self.urls["bursar_writer"], tenant, client, role, **options)
        assert wait_until_projected(self.urls["bursar_reader"], outcome.position)
        return key

    def revoke(self, tenant: str, key: str) -> None:
        self.operate(tenant, "key.revoke", RevokeKey(prefix=key[:PREFIX_LENGTH]))

    def set_feature(self, tenant: str, *, enabled: bool) -> None:
        self.operate(tenant, "tenant.feature", SetFeature(feature="FINANCE_V2", enabled=enabled))

    def operate(self, tenant: str, action: str, command: Any) -> None:
        outcome = execute(self.urls["bursar_writer"], tenant, action, command)
        assert wait_until_projected(self.urls["bursar_reader"], outcome.position)

    def head(self) -> int:
        """The log's last position, asked of the database."""
        return self.row("SELECT position FROM head")[0]

    def row(self, query: str, *parameters: Any) -> Any:
        """The one row that the superuser sees."""
        with psycopg.connect(self.superuser_url) as connection:
            rows = connection.execute(query, parameters).fetchall()
        assert len(rows) == 1, rows
        return rows[0]

    @contextmanager
    def nothing_written(self) -> Generator[None]:
        before = self.head()
        yield
        assert self.head() == before

    def close(self) -> None:
        for client in self.clients:
            client.http.close()


@contextmanager
def running(
    service: Service, name: str, *command: str, ready: Callable[[], bool], **env: str
) -> Generator[None]:
    """Run a part of the service: `serve` or `project`."""
    with tempfile.TemporaryFile() as log:
        process = spawn(
            [sys.executable, "-m", "ops.cli", *command],
            env={**os.environ, **service.env, **env},
            output=log.fileno(),
            cwd=REPOSITORY,
        )

        def up() -> bool:
            if process.poll() is not None:
                log.seek(0)
                raise AssertionError(f"{name} ended: {log.read().decode(errors='replace')}")
            return ready()

        try:
            until(up, f"{name} is ready")
            yield
        finally:
            end(process, stop=signal.SIGTERM, seconds=10)


@contextmanager
def api(service: Service, **env: str) -> Generator[str]:
    """Run one more API process of a service, and give its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{url}/health/ready", timeout=5).status_code == 200
        return False

    with running(service, "the API", "serve", "--port", str(port), ready=ready, BURSAR_PUBLIC_URL=url, **env):
        yield url


@contextmanager
def projector(service: Service) -> Generator[None]:
    """Run the projector of a service."""
    with tempfile.TemporaryDirectory() as folder:
        marker = Path(folder) / "ready"
        with running(service, "the projector", "project", ready=marker.exists, BURSAR_READY_FILE=str(marker)):
            yield


def unserved(urls: Mapping[str, str], superuser_url: str) -> Service:
    """A service on a migrated database, of which nothing runs yet."""
    env = {f"{role.upper()}_DATABASE_URL": url for role, url in urls.items()}
    return Service(
        url="",
        urls=urls,
        superuser_url=superuser_url,
        env={
            **env,
            "BURSAR_RECEIPT_KEY": secrets.token_hex(32),
            "BURSAR_SNAPSHOT_KEY": secrets.token_hex(32),
        },
    )


@contextmanager
def serving(urls: Mapping[str, str], superuser_url: str, **env: str) -> Generator[Service]:
    """Run API and projector on a migrated database, with a key of each role for each of two schools."""
    service = unserved(urls, superuser_url)
    for tenant, country in COUNTRIES.items():
        execute(
            urls["bursar_writer"],
            tenant,
            "tenant.register",
            RegisterTenant(
                country=country, legal_name=tenant.title(), tax_registered_from=TAX_REGISTERED_FROM
            ),
        )
    for tenant, keys in (("greenhill", service.keys), ("maple", service.others)):
        for role in sorted(ROLES):
            keys[role], _ = create_key(urls["bursar_writer"], tenant, role, role)
    with projector(service), api(service, **env) as url:
        service.url = url
        try:
            yield service
        finally:
            service.close()
