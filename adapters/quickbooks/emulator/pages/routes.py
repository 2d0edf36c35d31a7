"""The addresses of the pages. Each page is read in one go, so that all it shows is of one moment."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from adapters.quickbooks.emulator.pages import (
    accounts,
    customers,
    documents,
    finding,
    layout,
    listing,
    overview,
)
from adapters.quickbooks.emulator.pages.markup import Html, link, tag
from adapters.quickbooks.emulator.store import Company, Store, load_company

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def routes(store: Store) -> Sequence[tuple[str, Handler]]:
    """Each page's address with what answers it."""
    pages = _Pages(store)
    return [
        (path, _answering(show))
        for path, show in (
            ("/", pages.front),
            ("/companies/{realm}", pages.overview),
            ("/companies/{realm}/accounts/{id}", pages.account),
            ("/companies/{realm}/customers", pages.customers),
            ("/companies/{realm}/customers/{id}", pages.customer),
            ("/companies/{realm}/documents", pages.documents),
            ("/companies/{realm}/documents/{id}", pages.document),
            ("/companies/{realm}/find", pages.find),
        )
    ]


class _Pages:
    """What each address shows. All raise PageError."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def front(self, request: Request) -> Html:
        return overview.front(self.store, _place(request))

    def overview(self, request: Request) -> Html:
        return overview.overview(self.store, self._company(request))

    def account(self, request: Request) -> Html:
        return accounts.account(self.store, self._company(request), _place(request), _id(request))

    def customers(self, request: Request) -> Html:
        order = request.query_params.get("order")
        return customers.customers(self.store, self._company(request), _place(request), order)

    def customer(self, request: Request) -> Html:
        return customers.customer(self.store, self._company(request), _place(request), _id(request))

    def documents(self, request: Request) -> Html:
        kind = request.query_params.get("kind")
        return documents.documents(self.store, self._company(request), _place(request), kind)

    def document(self, request: Request) -> Html:
        return documents.document(self.store, self._company(request), _id(request))

    def find(self, request: Request) -> Html | Response:
        return finding.find(self.store, self._company(request), request.query_params.get("text", ""))

    def _company(self, request: Request) -> Company:
        realm = request.path_params["realm"]
        company = load_company(self.store, realm)
        if company is None:
            raise layout.PageError(404, f"Company {realm} does not exist.")
        return company


def _answering(show: Callable[[Request], Html | Response]) -> Handler:
    async def answer(request: Request) -> Response:
        status = 200
        try:
            shown = show(request)
        except layout.PageError as error:
            status = error.status
            back = tag("p", link("/", "To the companies"))
            shown = layout.page(
                "Not shown", tag("section", tag("h1", "Not shown"), tag("p", error.text), back)
            )
        if isinstance(shown, Response):
            return shown
        return HTMLResponse(shown, status, layout.HEADERS)

    return answer


def _place(request: Request) -> listing.Place:
    params = request.query_params
    return listing.Place(
        after=_whole(params.get("after")), before=_whole(params.get("before")), last="last" in params
    )


def _id(request: Request) -> int:
    identifier = _whole(request.path_params["id"])
    assert identifier is not None, "the address has an id"
    return identifier


def _whole(given: str | None) -> int | None:
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) <= listing.MAX_ID_DIGITS):
        raise layout.PageError(400, f"“{given}” is not the id of anything: an id is a whole number.")
    return int(given)
