"""The application: commands go straight to their endpoint, everything else to FastAPI."""

from collections.abc import MutableMapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.bodies import Bodies
from api.commands.bulk import BulkEndpoint
from api.commands.endpoint import CommandEndpoint
from api.commands.receipts import SalesByReceipt
from api.commands.routes import BULK_PATH, BY_TEMPLATE, Route, methods
from api.errors import ApiError, HttpCode
from api.exchange import Exchange, Receive, Scope, Send
from api.openapi import page
from api.paths import PREFIX, PUBLIC, Paths
from api.reads import routes as reads
from api.reads.parameters import wrong_parameters
from api.reads.reader import OneRead
from api.request_log import RequestLog
from api.services import Services
from domain.errors import DomainError


class Application:
    """The ASGI application."""

    def __init__(self, services: Services, requests: RequestLog | None = None) -> None:
        self._services = services
        self._requests = requests
        self._bodies = Bodies()
        self._reads = reads.reads(services)
        sales = SalesByReceipt(self._reads)
        self._command = CommandEndpoint(services.writer, services.authenticator, sales)
        self._bulk = BulkEndpoint(services.writer, services.authenticator, sales)
        self._paths: Paths[Route | OneRead] = Paths({**BY_TEMPLATE, **self._reads.ones})
        self.fastapi = _fastapi(services, self._reads.routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or follow the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        assert scope["type"] == "http", scope["type"]
        exchange = Exchange(scope, receive, send, self._bodies)
        try:
            exchange.check_headers()
            found, parameter = self._paths.match(exchange.method, exchange.path) or (None, None)
            if isinstance(found, Route):
                await self._command(exchange, found, parameter)
            elif exchange.path == BULK_PATH and exchange.method == "POST":
                await self._bulk(exchange)
            else:
                await self._read(exchange, found, parameter, receive, send)
        except Exception as error:  # noqa: BLE001  every answer that is not a success is an envelope
            await exchange.refuse(error)
        finally:
            exchange.close()
            if self._requests is not None:
                self._requests.add(exchange)

    async def _read(
        self, exchange: Exchange, one: OneRead | None, parameter: str | None, receive: Receive, send: Send
    ) -> None:
        scope = exchange.scope
        credential = None
        try:
            if exchange.path.startswith(PREFIX) and not exchange.path.startswith(PUBLIC):
                # Before we look at the request: a stranger learns nothing from what is wrong with it.
                credential = await self._services.authenticator.authenticate(exchange)
            if scope["query_string"]:
                exchange.query()  # nobody's filter is dropped in silence, also where there are two of it
            elif one is not None:
                await self._reads.answer_one(exchange, credential, one, parameter)
                return
            scope["exchange"], scope["credential"] = exchange, credential
            await self.fastapi(scope, receive, _noticed(exchange, send))
        finally:
            if exchange.route is None:
                exchange.route = self._route(scope)

    def _route(self, scope: Scope) -> str | None:
        """The path of a read as the log names it: FastAPI's choice, or what that would have been."""
        if "route" in scope:
            return getattr(scope["route"], "path", None)
        fitting = (route for route in self._reads.routes.routes if route.matches(scope)[0] is Match.FULL)
        return getattr(next(fitting, None), "path", None)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._services.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._services.close()
                if self._requests is not None:
                    self._requests.flush()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _noticed(exchange: Exchange, send: Send) -> Send:
    """Adds to FastAPI's answers what every answer carries, and keeps for the log what was sent."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            message["headers"] = [*message["headers"], *exchange.own_headers()]
        else:
            exchange.sent_bytes += len(message.get("body", b""))
        await send(message)

    return sending


def _fastapi(services: Services, read_routes: APIRouter) -> FastAPI:
    app = FastAPI(title="Bursar", version=services.version, docs_url=None, redoc_url=None, openapi_url=None)
    # A path with one slash too many is no other path.
    app.router.redirect_slashes = False
    app.include_router(read_routes)
    page.add_routes(app)

    @app.get("/health/ready", include_in_schema=False)
    async def ready() -> Response:
        await services.write_position()
        return Response(b'{"status":"ready"}', media_type="application/json")

    async def refuse(request: Request, error: Exception) -> Response:
        exchange: Exchange = request.scope["exchange"]
        # Sent past FastAPI's own response, so that commands and reads have one envelope and one code.
        await exchange.refuse(_translate(request, error))
        return _AlreadySent()

    async def leave(_request: Request, _error: Exception) -> Response:
        # A bug: FastAPI passes it on to us, who answer it.
        return _AlreadySent()

    app.add_exception_handler(Exception, leave)
    for kind in (ApiError, DomainError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, refuse)
    return app


class _AlreadySent(Response):
    """Nothing more: the exchange has answered."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send


def _translate(request: Request, error: Exception) -> Exception:
    if isinstance(error, RequestValidationError):
        return wrong_parameters(request, error)
    if isinstance(error, HTTPException):
        allowed = {*methods(request.url.path), *(error.headers or {}).get("Allow", "").split(", ")} - {""}
        if not allowed:
            return ApiError(HttpCode.NOT_FOUND, "There is nothing at this path.")
        taken = ", ".join(sorted(allowed))
        return ApiError(HttpCode.METHOD_NOT_ALLOWED, f"The path takes {taken}.", allow=taken)
    return error
