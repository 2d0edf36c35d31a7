"""The QuickBooks Online client: python-quickbooks with time-outs, typed errors and batches of our own.

The library alone has no time-outs, loses the HTTP status, `Retry-After` and all errors but the first, and
gives batches ids that a replay cannot match. One client is for one thread and one company.
"""

import re
from collections.abc import Sequence
from html import unescape
from typing import Any, Final, Self
from xml.etree import ElementTree as ET

import msgspec
import requests
from quickbooks import QuickBooks

from adapters.quickbooks.api.outcomes import (
    Answered,
    CallOutcome,
    Created,
    Fault,
    Lost,
    Missing,
    Outcome,
    Preferences,
    classify,
)
from adapters.quickbooks.mapping.documents import Json, canonical, parse

MINOR_VERSION: Final = 75
CONNECT_SECONDS: Final = 5.0
MAX_RESULTS: Final = 1000


class CallError(Exception):
    """An answer that is no success, or none at all. `outcome` says what it means for the call."""

    def __init__(self, outcome: CallOutcome, *, intuit_tid: str = "") -> None:
        super().__init__(f"{outcome} (intuit_tid {intuit_tid})" if intuit_tid else str(outcome))
        self.outcome = outcome
        self.intuit_tid = intuit_tid


class BatchItem(msgspec.Struct, frozen=True, kw_only=True):
    """An entity to create: its kind, and the exact bytes of its JSON."""

    kind: str
    body: bytes


def batch_body(items: Sequence[BatchItem]) -> bytes:
    """The bytes of a batch of creates. Its ids are the items' places, so that a replay matches."""
    made = [
        b'{"bId":"%d","operation":"create","%s":%s}' % (place, item.kind.encode(), item.body)
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
        outcome = classify(
            status=response.status_code,
            fault=fault,
            retry_after_seconds=_seconds(response.headers.get("Retry-After")),
        )
        raise CallError(outcome, intuit_tid=response.headers.get("intuit_tid", ""))

    def send_batch(self, body: bytes, *, request_id: str, count: int) -> CallOutcome:
        """Send a batch made by `batch_body` of `count` items. What went wrong with it is its outcome."""
        url = f"{self.api_url}/company/{self.company_id}/batch"
        try:
            answer = _given(self.post(url, body, request_id=request_id))
        except CallError as error:
            return error.outcome
        by_place = {item.get("bId"): item for item in answer.get("BatchItemResponse") or []}
        return Answered(outcomes=tuple(_outcome(by_place.get(str(place))) for place in range(1, count + 1)))

    def select(self, kind: str, *, where: str = "") -> list[Json]:
        """Query entities of a kind, all pages. `where` is in QuickBooks' query language, see `quoted`."""
        found: list[Json] = []
        while True:
            condition = f" where {where}" if where else ""
            page_of = f"startposition {len(found) + 1} maxresults {MAX_RESULTS}"
            text = f"select * from {kind}{condition} {page_of}"  # noqa: S608  values are quoted by `quoted`
            page = _given(self.query(text))["QueryResponse"].get(kind) or []
            found += page
            if len(page) < MAX_RESULTS:
                return found

    def find(self, kind: str, field: str, values: Sequence[str]) -> list[Json]:
        """The entities of a kind whose `field` is one of `values`."""
        return self.select(kind, where=f"{field} in ({', '.join(quoted(value) for value in values)})")

    def update(self, kind: str, body: Json, *, request_id: str) -> Json:
        """Change an entity; a sparse body names its Id and SyncToken. Returns it as it now stands."""
        made = _given(self.update_object(kind, canonical(body), request_id=request_id))
        entity: Json = made[kind]
        return entity

    def preferences(self) -> Preferences:
        """The company's switches, as they are now."""
        url = f"{self.api_url}/company/{self.company_id}/preferences"
        read: Json = _given(self.get(url))["Preferences"]
        sales = read.get("SalesFormsPrefs") or {}
        home = (read.get("CurrencyPrefs") or {}).get("HomeCurrency") or {}
        return Preferences(
            auto_apply_credit=_true(sales.get("AutoApplyCredit")),
            custom_numbers=_true(sales.get("CustomTxnNumbers")),
            home_currency=str(home.get("value", "")),
            uses_sales_tax=_true((read.get("TaxPrefs") or {}).get("UsingSalesTax")),
            closed_until=(read.get("AccountingInfoPrefs") or {}).get("BookCloseDate"),
        )


def _given(answer: Json | None) -> Json:
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


# --- faults, in all the forms in which they come

_TITLE: Final = re.compile(rb"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def read_fault(content: bytes) -> Fault | None:
    """The fault in an answer: `Fault`, a gateway's lower-case `fault`, XML, or an HTML page's title."""
    start = content.lstrip()[:1]
    if start == b"{":
        return _json_fault(content)
    if start == b"<":
        return _markup_fault(content)
    return None


def _json_fault(content: bytes) -> Fault | None:
    try:
        read = parse(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    given = read.get("Fault") or read.get("fault")
    return None if given is None else fault_of(given)


def fault_of(given: Json) -> Fault | None:
    """The first error of a fault's JSON, with the words of the others in its detail."""
    errors = [
        {str(key).lower(): value for key, value in error.items()}
        for error in given.get("Error") or given.get("error") or []
    ]
    return _joined([(e.get("code"), e.get("message"), e.get("detail")) for e in errors])


def _markup_fault(content: bytes) -> Fault | None:
    try:
        root = ET.fromstring(content)  # noqa: S314  entities are not expanded from outside, and Intuit is known
    except ET.ParseError:
        return _page_fault(content)
    errors = [node for node in root.iter() if _tag(node) == "error"]
    if not errors:
        return _page_fault(content)
    return _joined([(node.get("code"), _child(node, "message"), _child(node, "detail")) for node in errors])


def _tag(node: ET.Element) -> str:
    return node.tag.rpartition("}")[2].lower()


def _child(node: ET.Element, name: str) -> str:
    return next(((child.text or "") for child in node if _tag(child) == name), "")


def _page_fault(content: bytes) -> Fault | None:
    title = _TITLE.search(content)
    return (
        None if title is None else Fault(code="", message=unescape(title[1].decode(errors="replace")).strip())
    )


def _joined(errors: Sequence[tuple[Any, Any, Any]]) -> Fault | None:
    if not errors:
        return None
    code, message, detail = errors[0]
    others = "; ".join(f"{other} {words or ''} {more or ''}".strip() for other, words, more in errors[1:])
    return Fault(
        code=str(code or ""),
        message=str(message or ""),
        detail="; ".join(part for part in (str(detail or ""), others) if part),
    )
