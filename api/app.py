"""The application: commands go straight to their endpoint, everything else to FastAPI."""

from collections.abc import MutableMapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from api.commands.endpoint import BULK_PATH, PREFIX, ROUTES, CommandEndpoint, authenticate, match
from api.errors import ApiError, FieldError, HttpCode
from api.exchange import Exchange, Receive, Scope, Send
from api.openapi import document as openapi
from api.reads import routes as reads
from api.services import Services
from domain.errors import Code, DomainError


class Application:
    """The ASGI application."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._commands = CommandEndpoint(services.writer, services.authenticator)
        self.fastapi = _fastapi(services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or follow the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        assert scope["type"] == "http", scope["type"]
        exchange = Exchange(scope, receive, send)
        try:
            path: str = scope["path"]
            found = match(exchange.method, path)
            if found is not None:
                await self._commands(exchange, *found)
            elif path == BULK_PATH and exchange.method == "POST":
                await self._commands.bulk(exchange)
            else:
                scope["exchange"] = exchange
                if path.startswith(PREFIX) and not path.startswith(reads.PUBLIC):
                    # Before FastAPI looks at the request: a stranger learns nothing from what is wrong with it.
                    scope["credential"] = await authenticate(exchange, self._services.authenticator)
                await self.fastapi(scope, receive, _with_ids(exchange, send))
        except Exception as error:  # noqa: BLE001  every answer that is not a success is an envelope
            await exchange.refuse(error)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._services.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._services.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _with_ids(exchange: Exchange, send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *exchange.own_headers()]
        await send(message)

    return sending


def _fastapi(services: Services) -> FastAPI:
    app = FastAPI(title="Bursar", version=services.version, docs_url=None, redoc_url=None, openapi_url=None)
    # A path with one slash too many is no other path.
    app.router.redirect_slashes = False
    app.include_router(reads.router(services))
    openapi.add_routes(app)

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
        errors = tuple(
            FieldError("/" + "/".join(str(step) for step in found["loc"]), found["msg"])
            for found in error.errors()
        )
        return ApiError(Code.INVALID_REQUEST, "The request's parameters are wrong.", errors=errors)
    if isinstance(error, HTTPException) and error.status_code == 405:
        return _method_not_allowed(request, error)
    if isinstance(error, HTTPException):
        allowed = _command_methods(request.url.path)
        if error.status_code == 404 and allowed:
            return ApiError(
                HttpCode.METHOD_NOT_ALLOWED, "The path takes another method.", allow=", ".join(allowed)
            )
        return ApiError(HttpCode.NOT_FOUND, "There is nothing at this path.")
    return error


def _method_not_allowed(request: Request, error: HTTPException) -> ApiError:
    allowed = {*_command_methods(request.url.path), *(error.headers or {}).get("Allow", "").split(", ")}
    return ApiError(
        HttpCode.METHOD_NOT_ALLOWED, "The path takes another method.", allow=", ".join(sorted(allowed - {""}))
    )


def _command_methods(path: str) -> list[str]:
    """The methods that a command's path takes."""
    methods = {method for method, _ in ROUTES}
    found = sorted(method for method in methods if match(method, path))
    return ["POST"] if path == BULK_PATH else found
