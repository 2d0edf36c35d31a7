"""One HTTP exchange in bare ASGI: read what every request has, and send the answer or the error envelope.

The hot path of a command is this and `api.commands.endpoint`; measured against a framework's request and response
objects it is what makes a command as fast as it is (docs/adr/0003).
"""

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog

from api.bodies import Bodies, HeldBody, too_many
from api.errors import (
    MAX_ERRORS,
    RETRY_AFTER_SECONDS,
    ApiError,
    FieldError,
    HttpCode,
    as_api_error,
    escaped,
    invalid_request,
    problem,
)
from domain.ids import uuid7

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES: Final = 1_000_000
MAX_BULK_BODY_BYTES: Final = 16_000_000
MAX_DISCARDED_BYTES: Final = 64_000_000
"""How much of a body that is too large is read, so that its sender hears the answer."""
MAX_PAUSE_SECONDS: Final = 10
"""How long nothing of a body may come."""
MAX_BODY_SECONDS: Final = 60
"""How long all of it may take: a megabyte on a line of 135 kbit/s."""
_TRACE_PARENT: Final = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_JSON: Final = b"application/json"
_OURS: Final = (
    b"authorization",
    b"bursar-min-position",
    b"bursar-reason",
    b"content-type",
    b"idempotency-key",
    b"if-match",
)
_log = structlog.get_logger("api")


def new_id() -> str:
    """A UUIDv7 of now."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def _new_trace_parent() -> bytes:
    ids = os.urandom(24).hex()
    return f"00-{ids[:32]}-{ids[32:]}-01".encode()


class Exchange:
    """A request as it stands, and the way to answer it.

    What is learnt on the way is kept for the log: whose request it is, its route without anybody's name in it,
    the transaction that it made, the code of its refusal, and what was sent.
    """

    __slots__ = (
        "_bodies",
        "_held",
        "_is_read",
        "_receive",
        "_send",
        "began",
        "client",
        "code",
        "headers",
        "method",
        "path",
        "request_id",
        "route",
        "scope",
        "sent_bytes",
        "status",
        "tenant",
        "trace_parent",
        "transaction_id",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, bodies: Bodies) -> None:
        self.began = time.perf_counter()
        self.scope = scope
        self._receive = receive
        self._send = send
        self._bodies = bodies
        self._held: HeldBody | None = None
        self._is_read = True
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id", b"")
        self.request_id = given.decode("ascii") if _visible(given, 1, 128) else new_id()
        given = self.headers.get(b"traceparent", b"")
        self.trace_parent = given if _TRACE_PARENT.fullmatch(given) else _new_trace_parent()
        self.tenant: str | None = None
        self.client: str | None = None
        self.route: str | None = None
        self.transaction_id: str | None = None
        self.status: int | None = None
        self.code: str | None = None
        self.sent_bytes = 0

    def header(self, name: bytes, *, least: int, most: int) -> str:
        """A header's text, empty where it is absent. Raises `ApiError` (`bad_header`)."""
        value = self.headers.get(name)
        if value is None:
            return ""
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            text = "\0"
        if not least <= len(text) <= most or not text.isprintable():
            raise ApiError(
                HttpCode.BAD_HEADER, f"The header {name.decode()} takes {least} to {most} visible characters."
            )
        return text

    def check_headers(self) -> None:
        """Refuse a header of ours that is given twice (`bad_header`): which one counts is not ours to guess."""
        given = self.scope["headers"]
        if len(given) == len(self.headers):
            return
        names = [name for name, _ in given]
        for name in _OURS:
            if names.count(name) > 1:
                raise ApiError(HttpCode.BAD_HEADER, f"The header {name.decode()} is given twice.")

    def trace_id(self) -> str:
        """The trace id of the W3C `traceparent`, taken or made."""
        return self.trace_parent[3:35].decode()

    def own_headers(self) -> list[tuple[bytes, bytes]]:
        """What every answer carries: by which ids the request is known."""
        return [(b"x-request-id", self.request_id.encode()), (b"traceparent", self.trace_parent)]

    def query(self) -> dict[str, str]:
        """The query's parameters. Raises `ApiError` (`invalid_request`) where one is given twice."""
        pairs = parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        parameters = dict(pairs)
        if len(parameters) != len(pairs):
            times = Counter(name for name, _ in pairs)
            raise invalid_request(
                *(
                    FieldError(f"/query/{escaped(name)}", "This parameter is given twice.")
                    for name, count in times.most_common(MAX_ERRORS)
                    if count > 1
                )
            )
        return parameters

    async def body(self, *, bulk: bool = False) -> bytes:
        """The whole body of a tenant's request, held until `close`.

        Raises `ApiError` (`unsupported_media_type`, `payload_too_large`, `request_timeout`, `unavailable` where others
        fill the room).
        """
        media_type = self.headers.get(b"content-type", _JSON).split(b";", 1)[0].strip().lower()
        if media_type != _JSON:
            raise ApiError(HttpCode.UNSUPPORTED_MEDIA_TYPE, "Send `Content-Type: application/json`.")
        assert self.tenant is not None
        assert self.client is not None
        self._held = HeldBody(self._bodies, tenant=self.tenant, client=self.client, bulk=bulk)
        self._is_read = False
        limit = MAX_BULK_BODY_BYTES if bulk else MAX_BODY_BYTES
        chunks: list[bytes] = []
        size = 0
        refusal: ApiError | None = None
        clock = asyncio.get_running_loop().time
        now = clock()
        end = now + MAX_BODY_SECONDS
        try:
            async with asyncio.timeout_at(now + MAX_PAUSE_SECONDS) as limit_of_time:
                # A client that still sends when its connection is closed may never see why.
                while not self._is_read and size <= MAX_DISCARDED_BYTES:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise ConnectionResetError
                    chunk = bytes(message.get("body", b""))
                    size += len(chunk)
                    if size > limit:
                        refusal = ApiError(HttpCode.PAYLOAD_TOO_LARGE, f"A body has at most {limit} bytes.")
                    elif refusal is None and not self._held.grow(len(chunk)):
                        refusal = too_many()
                    if refusal is None:
                        chunks.append(chunk)
                    else:
                        chunks.clear()
                        self._held.let_go()
                    self._is_read = not message.get("more_body")
                    if not self._is_read:
                        limit_of_time.reschedule(min(clock() + MAX_PAUSE_SECONDS, end))
        except TimeoutError:
            raise ApiError(HttpCode.REQUEST_TIMEOUT, HttpCode.REQUEST_TIMEOUT.meaning) from None
        if refusal is not None:
            raise refusal
        return b"".join(chunks)

    def close(self) -> None:
        """The request is over: let its body go."""
        if self._held is not None:
            self._held.let_go()

    async def answer(
        self, status: int, body: bytes, *headers: tuple[bytes, bytes], media_type: bytes = _JSON
    ) -> None:
        """Send an answer with the ids of its request."""
        self.status, self.sent_bytes = status, len(body)
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", media_type),
                    (b"content-length", b"%d" % len(body)),
                    *self.own_headers(),
                    *headers,
                ],
            }
        )
        await self._send({"type": "http.response.body", "body": body})

    def as_refusal(self, error: BaseException) -> ApiError:
        """What the client hears of an error. What is no refusal is a bug: logged in full, answered without detail."""
        refusal = as_api_error(error)
        if refusal.code == HttpCode.INTERNAL_ERROR:
            _log.error("request failed", request_id=self.request_id, tenant=self.tenant, exc_info=error)
        return refusal

    async def refuse(self, error: BaseException) -> None:
        """Send the error envelope."""
        if isinstance(error, ConnectionResetError):
            return
        refusal = self.as_refusal(error)
        self.code = refusal.code
        status, body = problem(refusal, instance=self.path, request_id=self.request_id, tenant=self.tenant)
        headers: list[tuple[bytes, bytes]] = []
        if status == 503:
            headers.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
        elif status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        elif status == 405 and "allow" in refusal.extra:
            headers.append((b"allow", str(refusal.extra["allow"]).encode()))
        if not self._is_read:
            # The rest of the body is still to come, so the connection cannot be used again.
            headers.append((b"connection", b"close"))
        await self.answer(status, body, *headers, media_type=b"application/problem+json")


def _visible(value: bytes, least: int, most: int) -> bool:
    return least <= len(value) <= most and value.isascii() and value.decode().isprintable()
