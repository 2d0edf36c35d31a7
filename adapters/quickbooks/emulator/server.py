"""The QuickBooks Online emulator as an HTTP server that python-quickbooks and intuit-oauth work against.

It is a tool for one machine: everything under /emulator, and the pages, ask for no credential, so it belongs
on the loopback address. docs/reference/quickbooks-emulator.md says what it does and what it does not.
"""

import asyncio
import signal
import socket
import threading
import uuid
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adapters.quickbooks.emulator import companies, injection, oauth, reports, statements, store
from adapters.quickbooks.emulator.injection import Answer
from adapters.quickbooks.emulator.pages.routes import routes as pages
from adapters.quickbooks.emulator.refusals import Refusal
from adapters.quickbooks.emulator.service import Call, Service
from adapters.quickbooks.emulator.store import Company, Store, company_json

MOST_LOG_LINES = 100_000
DEFAULT_LOG_LINES = 1000
# How long a stop waits for calls under way.
SHUTDOWN_SECONDS = 5
# Where a request's scope carries the way to close its connection.
_CLOSE = "emulator.close"

T = TypeVar("T")


def create_app(data_file: Path, access_token: str) -> FastAPI:
    """The emulator on its state in `data_file`, which is made if it is not there.

    `access_token` is taken by every company, beside the tokens that the emulator issues itself.
    """
    routes = _Routes(Store(data_file), access_token)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        yield
        routes.store.close()

    app = FastAPI(title="QuickBooks Online emulator", openapi_url=None, lifespan=lifespan)
    app.state.stopping = routes.stopping
    for method, path, handler in (
        ("GET", "/emulator/companies", routes.companies),
        ("POST", "/emulator/companies", routes.open_company),
        ("PATCH", "/emulator/companies/{realm}/preferences", routes.preferences),
        ("GET", "/emulator/companies/{realm}/balances", routes.balances),
        ("GET", "/emulator/requests", routes.requests),
        ("GET", "/emulator/faults", routes.faults),
        ("POST", "/emulator/faults", routes.arm),
        ("DELETE", "/emulator/faults", routes.disarm),
        ("GET", "/.well-known/openid_configuration", routes.discovery),
        ("GET", "/connect/oauth2", routes.authorise),
        ("POST", "/oauth2/v1/tokens/bearer", routes.tokens),
        ("POST", "/v2/oauth2/tokens/revoke", routes.revoke),
        ("GET", "/v3/company/{realm}/{resource}", routes.call),
        ("POST", "/v3/company/{realm}/{resource}", routes.call),
        ("GET", "/v3/company/{realm}/{resource}/{identifier}", routes.call),
    ):
        app.add_route(path, handler, methods=[method])
    for path, page in pages(routes.store):
        app.add_route(path, page, methods=["GET"])
    app.add_exception_handler(_Problem, _problem)
    app.add_exception_handler(oauth.OAuthError, _oauth_problem)
    return app


def run(
    *, host: str, port: int, data_file: Path, access_token: str, ready: Callable[[int], None] | None = None
) -> None:
    """Serves until SIGTERM or SIGINT. Port 0 takes a free one; `ready` is told the port once it answers."""
    with socket.create_server((host, port), backlog=1024) as listener:
        app = create_app(data_file, access_token)
        config = uvicorn.Config(
            app,
            http=_Protocol,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        _Server(config, app.state.stopping, ready).run(sockets=[listener])


class _Problem(Exception):  # noqa: N818 - an answer of the emulator's own part, not an error of the program
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


async def _problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, _Problem)
    return _json({"error": problem.detail}, problem.status)


async def _oauth_problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, oauth.OAuthError)
    return _json({"error": problem.error}, problem.status)


def _json(value: object, status: int = 200) -> Response:
    return Response(store.encode(value), status_code=status, media_type="application/json")


class _Routes:
    """The handlers. None awaits anything between reading a request and committing it: calls run one by one."""

    def __init__(self, opened: Store, access_token: str) -> None:
        self.store = opened
        self.service = Service(opened, access_token)
        self.stopping = asyncio.Event()

    # The company API

    async def call(self, request: Request) -> Response:
        parts = request.path_params
        answer = self.service.answer(
            Call(
                method=request.method,
                path=request.url.path,
                realm=parts["realm"],
                resource=parts["resource"].lower(),
                identifier=parts.get("identifier"),
                params=dict(request.query_params),
                authorization=request.headers.get("authorization", ""),
                body=await request.body(),
            )
        )
        if answer.delivery != "send":
            return await self._lose(request, answer)
        headers = {"intuit_tid": f"1-{uuid.uuid4().hex}"}
        if answer.retry_after_seconds is not None:
            headers["Retry-After"] = str(answer.retry_after_seconds)
        return Response(answer.body, answer.status, headers, answer.content_type)

    async def _lose(self, request: Request, answer: Answer) -> Response:
        """Closes the connection without a word: at once, or when the client or the server gives up."""
        gone = asyncio.ensure_future(request.receive())
        if answer.delivery == "hang":
            stopped = asyncio.ensure_future(self.stopping.wait())
            await asyncio.wait((gone, stopped), return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
        request.scope[_CLOSE]()
        await gone
        return Response()

    # The emulator's own part

    async def companies(self, _: Request) -> Response:
        return _json([company_json(company) for company in store.companies(self.store)])

    async def open_company(self, request: Request) -> Response:
        opening = await _parsed(request, companies.Opening)
        try:
            with self.store.transaction():
                return _json(company_json(companies.open_company(self.store, opening)))
        except companies.ConflictError as error:
            raise _Problem(409, str(error)) from None
        except ValueError as error:
            raise _Problem(422, str(error)) from None

    async def preferences(self, request: Request) -> Response:
        changes = await _parsed(request, dict[str, Any])
        try:
            with self.store.transaction():
                changed = companies.change_preferences(self.store, self._company(request), changes)
        except (ValueError, Refusal) as error:
            raise _Problem(422, str(error)) from None
        return _json(company_json(changed))

    async def balances(self, request: Request) -> Response:
        return _json(reports.balances(self.store, self._company(request).realm))

    async def requests(self, request: Request) -> Response:
        after = _whole(request, "after", 0)
        limit = min(_whole(request, "limit", DEFAULT_LOG_LINES), MOST_LOG_LINES)
        return _json(reports.requests(self.store, after, limit))

    async def faults(self, _: Request) -> Response:
        return _json(injection.armed(self.store))

    async def arm(self, request: Request) -> Response:
        arming = await _parsed(request, injection.Arming)
        try:
            with self.store.transaction():
                injection.arm(self.store, arming)
        except ValueError as error:
            raise _Problem(422, str(error)) from None
        return _json(injection.armed(self.store))

    async def disarm(self, _: Request) -> Response:
        with self.store.transaction():
            self.store.run(statements.DELETE_ARMED)
        return _json([])

    def _company(self, request: Request) -> Company:
        realm = request.path_params["realm"]
        company = store.load_company(self.store, realm)
        if company is None:
            raise _Problem(404, f"there is no company {realm}")
        return company

    # OAuth

    async def discovery(self, request: Request) -> Response:
        return _json(oauth.discovery(str(request.base_url).rstrip("/")))

    async def authorise(self, request: Request) -> Response:
        with self.store.transaction():
            return RedirectResponse(oauth.authorise(self.store, request.query_params), status_code=302)

    async def tokens(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        with self.store.transaction():
            return _json(oauth.tokens(self.store, request.headers.get("authorization", ""), form))

    async def revoke(self, request: Request) -> Response:
        token = (await _parsed(request, dict[str, str])).get("token", "")
        with self.store.transaction():
            oauth.revoke(self.store, request.headers.get("authorization", ""), token)
        return Response()


async def _parsed(request: Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.DecodeError as error:
        raise _Problem(422, str(error)) from None


def _whole(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    if not given.isdecimal():
        raise _Problem(422, f"{name} must be a whole number")
    return int(given)


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, with a way for a handler to close the connection without an answer."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]  # a key of our own beside ASGI's
        scope[_CLOSE] = self.transport.close


class _Server(uvicorn.Server):
    """uvicorn, telling its port, letting hung calls go when it stops, and ending cleanly on a signal."""

    def __init__(
        self, config: uvicorn.Config, stopping: asyncio.Event, ready: Callable[[int], None] | None
    ) -> None:
        super().__init__(config)
        self.stopping = stopping
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.ready is not None and sockets:
            self.ready(sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.stopping.set()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Uvicorn's own raises the signal again after a clean stop, which would end the process by it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        del sig, frame
        self.should_exit = True
