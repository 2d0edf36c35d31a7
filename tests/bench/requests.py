"""The requests that are sent, and an empty route to set them against."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.system.processes import end, free_port, spawn
from tests.bench import load
from tests.bench.site import Service, wait_for


def get(running: Service, *paths: str) -> load.Make:
    """GETs of the paths in turn."""
    head = "".join(f"{name}: {value}\r\n" for name, value in running.headers().items())
    requests = [f"GET /v2/finance/{path} HTTP/1.1\r\nHost: bench\r\n{head}\r\n".encode() for path in paths]
    return lambda number: requests[number % len(requests)]


def top_ups(running: Service, accounts: list[str], *, key: str = "") -> load.Make:
    head = "".join(f"{name}: {value}\r\n" for name, value in running.headers(key).items())
    body = '{"amount":1000,"currency":"KES","source":{"type":"cash"}}'

    def make(number: int) -> bytes:
        account = accounts[number % len(accounts)]
        return (
            f"POST /v2/finance/wallets/{account}/top-up HTTP/1.1\r\nHost: bench\r\n{head}"
            f"Idempotency-Key: top-up-{number:012d}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    return make


def bulk(running: Service, account: str, size: int, *, atomic: bool = False) -> load.Make:
    path = "/v2/finance/bulk" + ("?atomic=true" if atomic else "")
    head = "".join(f"{name}: {value}\r\n" for name, value in running.headers().items())

    def make(number: int) -> bytes:
        body = ",".join(
            f'{{"action":"wallet.top_up","idempotency_key":"bulk-{number}-{i}","data":{{"account":"{account}",'
            f'"amount":1000,"currency":"KES","source":{{"type":"cash"}}}}}}'
            for i in range(size)
        )
        return (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\n{head}Content-Length: {len(body) + 2}\r\n\r\n[{body}]"
        ).encode()

    return make


def empty_request(_number: int) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


@contextmanager
def empty_route(folder: Path) -> Iterator[str]:
    """An empty FastAPI route, served as the API is."""
    port = free_port()
    program = (
        "import uvicorn, fastapi\napp = fastapi.FastAPI()\n@app.get('/')\nasync def empty(): return {}\n"
        f"uvicorn.run(app, port={port}, loop='uvloop', http='httptools', access_log=False, log_level='warning')"
    )
    with (folder / "empty.log").open("ab") as log:
        process = spawn([sys.executable, "-c", program], env={}, output=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/")
            yield f"http://127.0.0.1:{port}"
        finally:
            end(process, stop=signal.SIGTERM, seconds=5)
