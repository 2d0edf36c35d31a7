"""How every read is answered: wait for the position that its caller must see, and fetch from one snapshot."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from fastapi import Request
from fastapi.responses import Response

from api.credentials import Credential, check_capability
from api.errors import ApiError, HttpCode
from api.reads.cursors import Cursors, Listing
from api.reads.parameters import PageParameters
from api.services import Connection, Services
from domain.capability import Capability
from domain.errors import ErrorCode

_K = TypeVar("_K")

Fetch = Callable[[Connection], Awaitable[Any]]
Missing = tuple[ErrorCode, str]
"""The code and detail of the 404 where nothing is found."""


class Reader:
    """Answers reads: waits, fetches, and tells the position that the answer reflects."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._cursors = Cursors(services.receipts.key)

    async def answer(
        self, request: Request, capability: Capability, fetch: Fetch, *, missing: Missing | None = None
    ) -> Response:
        """Answer with what `fetch` finds. Where it finds nothing, look again at the head before saying 404."""
        credential: Credential = request.scope["credential"]
        check_capability(credential, capability)
        at_least = max(minimum(request), self._services.authenticator.last_written(credential))
        found, position = await self._fetch(credential, fetch, at_least)
        if found is None:
            head = await self._services.write_position()
            if head > position:
                found, position = await self._fetch(credential, fetch, head)
        if found is None:
            assert missing is not None
            raise ApiError(*missing)
        return answer(found, position)

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

        async def fetch_page(connection: Connection) -> Any:
            page = await fetch(connection, after)
            if page is None or page.next is None:
                return page
            return msgspec.structs.replace(page, next=self._cursors.make(listing, page.next))

        return await self.answer(request, capability, fetch_page, missing=missing)

    async def _fetch(self, credential: Credential, fetch: Fetch, at_least: int) -> tuple[Any, int]:
        async with self._services.read(credential.tenant, at_least=at_least) as reading:
            return await fetch(reading.connection), reading.position


def answer(body: msgspec.Struct, position: int) -> Response:
    """An answer with the position that it reflects."""
    return Response(
        msgspec.json.encode(body), media_type="application/json", headers={"Bursar-Position": str(position)}
    )


def minimum(request: Request) -> int:
    """The position that the caller wants to see. Raises `ApiError` (`bad_header`)."""
    text = request.headers.get("bursar-min-position")
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ApiError(HttpCode.BAD_HEADER, "Bursar-Min-Position is a position: digits alone.")
    return int(text)
