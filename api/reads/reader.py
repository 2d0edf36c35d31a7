"""How every read is answered: wait for the position that its caller must see, and fetch from one snapshot.

Reads of one thing are grouped, and take the bare way that commands take; lists, which have parameters, come through
FastAPI.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.credentials import Credential, check_any, check_capability
from api.errors import ApiError, HttpCode, shown
from api.exchange import Exchange
from api.paths import PREFIX, template
from api.reads.cursors import Cursors, Listing
from api.reads.grouping import Fetch, Grouping
from api.reads.parameters import NoParameters, PageParameters
from api.reads.turns import Turns
from api.services import Connection, Moment, Services
from domain.capability import Capability
from domain.errors import ErrorCode

_K = TypeVar("_K")
_T = TypeVar("_T")

FEW_EVENTS: Final = 100
"""So many are projected within some milliseconds."""

Missing = tuple[ErrorCode, str]
"""The code and detail of the 404 where nothing is found; `{}` stands for what was asked for."""


class OneRead(msgspec.Struct, frozen=True, kw_only=True):
    """A read of one thing. `path` stands below `/v2/finance`, and `key` makes a key of its parameter.

    One of `capabilities` is enough. Anybody may ask where there is none; then `tenant_of` tells whose a key is.
    """

    path: str
    capabilities: tuple[Capability, ...]
    fetch: Fetch
    key: Callable[[str], Any] = str
    tenant_of: Callable[[Any], str] | None = None
    missing: Missing | None = None


class Reader:
    """Answers reads: waits, fetches, and tells the position that the answer reflects."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._cursors = Cursors(services.receipts.key)
        self._grouping = Grouping(services.read)
        self._turns = Turns(lambda: services.writer.is_busy)
        self.ones: dict[tuple[str, str], OneRead] = {}
        """The reads of one thing, by method and template."""
        self.routes = APIRouter(prefix=PREFIX)

    # --- one thing

    def add_one(self, read: OneRead) -> None:
        """Serve a read of one thing; FastAPI has its path too, for what is wrong with a request."""

        async def answer_one(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
            exchange: Exchange = request.scope["exchange"]
            parameter = next(iter(request.path_params.values()), "")
            body, position = await self._one(exchange, request.scope.get("credential"), read, parameter)
            return _response(body, position)

        self.ones["GET", template(read.path)] = read
        self.routes.get(read.path)(answer_one)

    async def answer_one(
        self, exchange: Exchange, credential: Credential | None, read: OneRead, parameter: str | None
    ) -> None:
        """Answer a read of one thing."""
        exchange.route = PREFIX + read.path
        body, position = await self._one(exchange, credential, read, parameter or "")
        await exchange.answer(200, body, (b"bursar-position", b"%d" % position))

    async def _one(
        self, exchange: Exchange, credential: Credential | None, read: OneRead, parameter: str
    ) -> tuple[bytes, int]:
        """What is found, as JSON, and its position."""
        if credential is not None:
            check_any(credential, read.capabilities)
        key = read.key(parameter)
        if read.tenant_of is not None:
            tenant = read.tenant_of(key)
        else:
            assert credential is not None
            tenant = credential.tenant
        body, position = await self._ask(
            _minimum(exchange), credential, lambda: self._grouping.ask(read.fetch, tenant, key)
        )
        if body is None:
            assert read.missing is not None
            code, detail = read.missing
            raise ApiError(code, detail.format(shown(parameter)))
        return body, position

    async def look_up(self, credential: Credential, fetch: Fetch, key: Any) -> bytes | None:
        """What `fetch` finds of a key, as JSON; None only where nothing up to the end of the log is of it."""
        body, _ = await self._ask(0, credential, lambda: self._grouping.ask(fetch, credential.tenant, key))
        return body

    # --- lists

    async def page(
        self,
        request: Request,
        capability: Capability,
        fetch: Callable[[Connection, _K | None], Awaitable[Any]],
        *,
        of: str,
        key: type[_K],
        parameters: PageParameters,
        missing: Missing | None = None,
    ) -> Response:
        """Answer with a page of the list named `of`, whose `fetch` takes the `key` after which it goes on."""
        credential: Credential = request.scope["credential"]
        check_capability(credential, capability)
        listing = Listing(of, credential.tenant, parameters.filters())
        cursor = parameters.cursor
        after = None if cursor is None else self._cursors.key(cursor, listing, key)

        async def ask() -> tuple[Any, Moment]:
            async with self._turns.turn(), self._services.read(credential.tenant) as reading:
                return await fetch(reading.connection, after), await reading.moment()

        page, position = await self._ask(_minimum(request.scope["exchange"]), credential, ask)
        if page is None:
            assert missing is not None
            raise ApiError(*missing)
        if page.next is not None:
            page = msgspec.structs.replace(page, next=self._cursors.make(listing, page.next))
        return _response(msgspec.json.encode(page), position)

    # --- positions

    async def _ask(
        self,
        minimum: int,
        credential: Credential | None,
        ask: Callable[[], Awaitable[tuple[_T | None, Moment]]],
    ) -> tuple[_T | None, int]:
        """Ask once the caller sees what he must, and again where the log had more that may concern him.

        What others have just written is waited for where it is little, and this process does not write at the
        moment, so that no load of commands holds up reads; where nothing is found, whatever there is.
        """
        services = self._services
        own = 0 if credential is None else services.authenticator.last_written(credential)
        await services.wait_for(minimum, own=own)
        found, moment = await ask()
        behind = moment.head - moment.position
        if behind and found is None:
            await services.projected.wait_for(moment.head)
        elif 0 < behind <= FEW_EVENTS and not services.writer.is_busy:
            await services.projected.wait_a_little(moment.head)
        else:
            return found, moment.position
        found, moment = await ask()
        return found, moment.position


def _response(body: bytes, position: int) -> Response:
    return Response(body, media_type="application/json", headers={"Bursar-Position": str(position)})


def _minimum(exchange: Exchange) -> int:
    """The position that the caller wants to see. Raises `ApiError` (`bad_header`)."""
    text = exchange.headers.get(b"bursar-min-position")
    if text is None:
        return 0
    if not (text.isdigit() and len(text) <= 18):
        raise ApiError(HttpCode.BAD_HEADER, "Bursar-Min-Position is a position: digits alone.")
    return int(text)
