"""One line for each request: what became of it and whose it was, and nothing personal."""

import io
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.system.processes import end, free_port, spawn
from api.request_log import RequestLog
from tests.support.bodies import checkout, top_up
from tests.support.service import REPOSITORY, Client, Service, fresh_key, fresh_name, ok, until


@contextmanager
def logging_api(service: Service, log: Path, **env: str) -> Iterator[str]:
    """An API process whose standard error goes to a file; it has ended, as asked to, on leaving."""
    url = f"http://127.0.0.1:{free_port()}"

    def ready() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{url}/health/ready", timeout=5).status_code == 200
        return False

    with log.open("wb") as output:
        process = spawn(
            [sys.executable, "-m", "ops.cli", "serve", "--port", url.rsplit(":", 1)[1]],
            env={**os.environ, **service.env, "BURSAR_PUBLIC_URL": url, **env},
            output=output,
            cwd=REPOSITORY,
        )
        try:
            until(ready, "the API is ready")
            yield url
        finally:
            end(process, stop=signal.SIGTERM, seconds=10)


def requests_in(log: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line["event"] == "request" and line.get("route") != "/health/ready"]


def test_each_request_has_its_line(service: Service, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with logging_api(service, log) as url:
        client, stranger = service.client(url=url), service.client_of(None, url=url)
        account = client.wallet()
        paid = client.top_up(account, 500, headers={"X-Request-Id": "mine-1"})
        key = fresh_key()
        sent = [client.top_up(account, 5, key=key), client.top_up(account, 5, key=key)]
        refused = client.post(f"wallets/{account}/charge", {"amount": "x"})
        read = client.get(f"wallets/{account}")
        listed = client.get("statements", account=account)
        bulk = client.post("bulk", [{"action": "pos.checkout", "idempotency_key": key, "data": checkout()}])
        nothing, unknown = client.get(f"nothing/{account}"), client.get(f"wallets/{account}X")
        nobody = stranger.post(f"wallets/{account}/top-up", top_up())
        nowhere = stranger.get(f"wallets/{account}")
        checked = stranger.http.get(ok(paid)["receipt"]["qr"])
    lines = requests_in(log)
    prefix = "/v2/finance"
    expected = [
        ("POST", f"{prefix}/wallets", 201, "ADMIN"),
        ("POST", f"{prefix}/wallets/{{account}}/top-up", 201, "ADMIN"),
        ("POST", f"{prefix}/wallets/{{account}}/top-up", 201, "ADMIN"),
        ("POST", f"{prefix}/wallets/{{account}}/top-up", 201, "ADMIN"),
        ("POST", f"{prefix}/wallets/{{account}}/charge", 422, "ADMIN"),
        ("GET", f"{prefix}/wallets/{{account}}", 200, "ADMIN"),
        ("GET", f"{prefix}/statements", 200, "ADMIN"),
        ("POST", f"{prefix}/bulk", 200, "ADMIN"),
        ("GET", None, 404, "ADMIN"),
        ("GET", f"{prefix}/wallets/{{account}}", 404, "ADMIN"),
        ("POST", f"{prefix}/wallets/{{account}}/top-up", 401, None),
        ("GET", f"{prefix}/wallets/{{account}}", 401, None),
        ("GET", f"{prefix}/receipts/{{token}}", 200, None),
    ]
    assert [(line["method"], line["route"], line["status"], line["client"]) for line in lines] == expected
    answers = [paid, *sent, refused, read, listed, bulk, nothing, unknown, nobody, nowhere, checked]
    for line, answer in zip(lines[1:], answers, strict=True):
        assert line["request_id"] == answer.headers["x-request-id"]
        assert line["bytes"] == len(answer.content)
        assert 0 < line["milliseconds"] < 60_000
        assert line["tenant"] == ("greenhill" if line["client"] else None)
        assert (line["process"], line["level"], line["timestamp"][-1]) == ("api", "info", "Z")
        made = answer.json().get("transaction_id") if answer.is_success else None
        assert line.get("transaction_id") == made
        assert line.get("code") == (None if answer.is_success else answer.json()["code"])
    assert lines[1]["request_id"] == "mine-1"
    assert lines[2]["transaction_id"] == lines[3]["transaction_id"]
    assert account not in log.read_text()


def test_nothing_is_lost_at_a_normal_stop(service: Service, tmp_path: Path) -> None:
    with logging_api(service, tmp_path / "log") as url:
        client = service.client(url=url)
        for _ in range(50):
            ok(client.get("ping"))
    assert len(requests_in(tmp_path / "log")) == 50


def test_a_higher_level_turns_it_off(service: Service, tmp_path: Path) -> None:
    with logging_api(service, tmp_path / "log", BURSAR_LOG_LEVEL="warning") as url:
        ok(service.client(url=url).get("ping"))
    assert (tmp_path / "log").read_bytes() == b""


@pytest.mark.parametrize(
    ("level", "is_on"), [("debug", True), ("INFO", True), ("warning", False), ("error", False)]
)
def test_its_level(level: str, *, is_on: bool) -> None:
    assert (RequestLog.at(level, io.BytesIO()) is not None) == is_on


def test_a_request_whose_client_went_away_has_no_status(
    service: Service, admin: Client, tmp_path: Path
) -> None:
    name = fresh_name()
    with logging_api(service, tmp_path / "log") as url:
        client = service.client(url=url)
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port)) as connection:
            key = service.keys["admin"]
            connection.sendall(
                f"POST /v2/finance/wallets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
                f'Idempotency-Key: {fresh_key()}\r\nContent-Length: 100\r\n\r\n{{"account": "{name}"'.encode()
            )
            ok(client.get("ping"))
        until(lambda: len(requests_in(tmp_path / "log")) == 2, "both are logged")
    (gone,) = [line for line in requests_in(tmp_path / "log") if line["method"] == "POST"]
    assert (gone["status"], gone["bytes"]) == (None, 0)
