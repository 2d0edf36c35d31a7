"""The QuickBooks Online client: python-quickbooks with time-outs, typed errors and batches of our own.

The library alone has no time-outs, loses the HTTP status, `Retry-After` and all errors but the first, and
gives batches ids that a replay cannot match. One client is for one thread and one company.
"""

from collections.abc import Sequence
from typing import Any, Final, Self

import msgspec
import requests
from quickbooks import QuickBooks

from adapters.quickbooks.api.errors import (
    CallError,
    Failure,
    Fault,
    Lost,
    classify,
    fault_of,
    read_fault,
)
from adapters.quickbooks.mapping.canonical import Json, canonical, parse

MINOR_VERSION: Final = 75
CONNECT_SECONDS: Final = 5.0
MAX_RESULTS: Final = 1000
INACTIVE: Final = "Active = false"
ACTIVE_OR_NOT: Final = "Active in (true, false)"
"""Conditions on names; without one QuickBooks gives those that are active."""
MAX_BATCH_ITEMS: Final = 30
"""How many items QuickBooks takes in one batch."""


# --- what comes back


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """QuickBooks made it, under this id."""

    id: str
    sync_token: str


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """The answer says nothing of it."""


Outcome = Created | Fault | Missing
"""What comes back for one item of a batch."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome for each item of the batch, in its order."""

    outcomes: tuple[Outcome, ...]


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """What of a company's preferences decides whether we may post. `closed_until` is an ISO date."""

    auto_apply_credit: bool
    custom_numbers: bool
    home_currency: str
    uses_sales_tax: bool
    closed_until: str | None


# --- what is sent


class BatchItem(msgspec.Struct, frozen=True, kw_only=True):
    """An entity to create, or to change where it names its Id: its kind, and the exact bytes of its JSON."""

    kind: str
    body: bytes
    changes: bool = False


def batch_body(items: Sequence[BatchItem]) -> bytes:
    """The bytes of a batch. Its ids are the items' places, so that a replay matches."""
    made = [
        b'{"bId":"%d","operation":"%s","%s":%s}'
        % (place, b"update" if item.changes else b"create", item.kind.encode(), item.body)
        for place, item in enumerate(items, start=1)
    ]
    return b'{"BatchItemRequest":[' + b",".join(made) + b"]}"


class Client(QuickBooks):  # type: ignore[misc]  # the library is untyped
    """One company's API. Every method raises `CallError` where the answer is no success."""

    def __new__(cls, *, url: str, realm: str, access_token: str, timeout_seconds: float) -> Self:
        client = super().__new__(cls, company_id=realm, minorversion=MINOR_VERSION, use_decimal=True)
        assert isinstance(client, cls), "the library's global client is never switched on"
        client.api_url_v3 = f"{url.rstrip('/')}/v3"
        client.access_token = access_token
        client.timeout_seconds = timeout_seconds
        client._start_session()
        return client

    access_token: str
    timeout_seconds: float
    api_url_v3: str
    session: requests.Session

    def _start_session(self) -> None:
        """A plain session: a netrc file must not replace the token, nor a proxy see it."""
        self.session = requests.Session()
        self.session.trust_env = False

    def process_request(
        self,
        request_type: str,
        url: str,
        headers: dict[str, str] | str = "",
        params: dict[str, Any] | str = "",
        data: Any = "",
    ) -> requests.Response:
        """Send a request, once. Raises `CallError` for every answer but a success."""
        assert isinstance(headers, dict)
        try:
            response = self.session.request(
                request_type,
                url,
                headers={**headers, "Authorization": f"Bearer {self.access_token}"},
                params=params or None,
                data=data or None,
                timeout=(CONNECT_SECONDS, self.timeout_seconds),
            )
        except requests.RequestException as error:
            raise CallError(Lost(reason=f"{type(error).__name__}: {error}")) from error
        fault = read_fault(response.content)
        if response.status_code == requests.codes.ok and fault is None and _is_object(response.content):
            return response
        failure = classify(
            status=response.status_code,
            fault=fault,
            retry_after_seconds=_seconds(response.headers.get("Retry-After")),
        )
        raise CallError(failure, intuit_tid=response.headers.get("intuit_tid", ""))

    def send_batch(self, body: bytes, *, request_id: str, count: int) -> Answered | Failure:
        """Send a batch made by `batch_body` of `count` items. What went wrong with it is its outcome."""
        url = f"{self.api_url}/company/{self.company_id}/batch"
        try:
            answer = _read(self.post(url, body, request_id=request_id))
        except CallError as error:
            return error.failure
        by_place = {item.get("bId"): item for item in answer.get("BatchItemResponse") or []}
        return Answered(outcomes=tuple(_outcome(by_place.get(str(place))) for place in range(1, count + 1)))

    def select(self, kind: str, *, where: str = "") -> list[Json]:
        """Query entities of a kind, all pages. `where` is in QuickBooks' query language, see `quoted`."""
        entities: list[Json] = []
        while True:
            condition = f" where {where}" if where else ""
            page_of = f"startposition {len(entities) + 1} maxresults {MAX_RESULTS}"
            text = f"select * from {kind}{condition} {page_of}"  # noqa: S608  values are quoted by `quoted`
            page = _read(self.query(text))["QueryResponse"].get(kind) or []
            entities += page
            if len(page) < MAX_RESULTS:
                return entities

    def find(self, kind: str, field: str, values: Sequence[str], *, also: str = "") -> list[Json]:
        """The entities of a kind whose `field` is one of `values`, and for which `also` holds.

        Of names, which may be inactive, QuickBooks gives the active ones unless `also` asks for others.
        """
        condition = f"{field} in ({', '.join(quoted(value) for value in values)})"
        return self.select(kind, where=f"{condition} and {also}" if also else condition)

    def update(self, kind: str, body: Json, *, request_id: str) -> Json:
        """Change an entity; a sparse body names its Id and SyncToken. Returns it as it now stands."""
        made = _read(self.update_object(kind, canonical(body), request_id=request_id))
        entity: Json = made[kind]
        return entity

    def preferences(self) -> Preferences:
        """The company's switches, as they are now."""
        url = f"{self.api_url}/company/{self.company_id}/preferences"
        preferences: Json = _read(self.get(url))["Preferences"]
        sales = preferences.get("SalesFormsPrefs") or {}
        home = (preferences.get("CurrencyPrefs") or {}).get("HomeCurrency") or {}
        return Preferences(
            auto_apply_credit=_true(sales.get("AutoApplyCredit")),
            custom_numbers=_true(sales.get("CustomTxnNumbers")),
            home_currency=str(home.get("value", "")),
            uses_sales_tax=_true((preferences.get("TaxPrefs") or {}).get("UsingSalesTax")),
            closed_until=(preferences.get("AccountingInfoPrefs") or {}).get("BookCloseDate"),
        )


def _read(answer: Json | None) -> Json:
    """What the library read: it answers nothing only for a fault, and `process_request` raises for those."""
    assert answer is not None
    return answer


def quoted(text: str) -> str:
    """A text in QuickBooks' query language, where a backslash escapes a quotation mark."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _true(value: object) -> bool:
    return value is True or value == "true"


def _seconds(header: str | None) -> float | None:
    """`Retry-After` in seconds; a date there is not understood, as QuickBooks sends none."""
    return float(header) if header is not None and header.strip().isdecimal() else None


def _is_object(content: bytes) -> bool:
    try:
        return isinstance(parse(content), dict)
    except msgspec.DecodeError:
        return False


def _outcome(item: Json | None) -> Outcome:
    if item is None:
        return Missing()
    if "Fault" in item or "fault" in item:
        return fault_of(item.get("Fault") or item["fault"]) or Missing()
    entity = next((value for value in item.values() if isinstance(value, dict) and "Id" in value), None)
    if entity is None:
        return Missing()
    return Created(id=str(entity["Id"]), sync_token=str(entity.get("SyncToken", "0")))
