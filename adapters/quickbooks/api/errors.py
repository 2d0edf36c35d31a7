"""What QuickBooks answers where it does not do what it was asked: how it is read, and what it means.

Codes and their meaning: Intuit's list of error codes for QuickBooks Online; docs/reference/quickbooks.md has
the table. An answer that does not prove that a document was made, or was not, makes us look for it
(`Rule.ask`); only a document proved absent is ever sent again in another call.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from html import unescape
from typing import Any, Final
from xml.etree import ElementTree as ET

import msgspec

from adapters.quickbooks.mapping.canonical import Json, parse
from projections.views.export_reasons import ExportReason

MAX_CALLS: Final = 5
"""In how many calls a document may be refused for reasons that pass, before it is put aside."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal in QuickBooks' words; `code` is a number from Intuit's list, or empty."""

    code: str
    message: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.code} {self.message}: {self.detail}".strip(" :")


# --- what a refusal makes of a document


class JobState(StrEnum):
    """What became of a document so far."""

    BLOCKED = "blocked"
    """It needs the QuickBooks id of a customer, an item, an account or another document."""
    PENDING = "pending"
    SENT = "sent"
    CONFIRMED = "confirmed"
    UNKNOWN = "unknown"
    """Sent, and the answer was lost."""
    HELD = "held"
    """Its date lies in a period that is closed in QuickBooks."""
    NEEDS_MAPPING = "needs_mapping"
    NEEDS_SIGN_IN = "needs_sign_in"
    DEAD = "dead"
    """QuickBooks refuses it; a person must look."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a refusal makes of a document. With `max_calls` it is dead once it was in so many calls.

    With `ask` the state holds only if the document is not in QuickBooks; what is there is adopted. `reason` is why
    it stays where it is then, dead or not.
    """

    state: JobState
    reason: ExportReason
    ask: bool = False
    max_calls: int | None = None


_TOO_OFTEN: Final = ExportReason.REFUSED_TOO_OFTEN

UNCERTAIN: Final = Rule(state=JobState.PENDING, reason=_TOO_OFTEN, ask=True, max_calls=MAX_CALLS)
"""Nobody knows whether the document was made."""

_LATER: Final = Rule(state=JobState.PENDING, reason=_TOO_OFTEN)  # refused before anything happened
_SIGN_IN: Final = Rule(state=JobState.NEEDS_SIGN_IN, reason=ExportReason.SIGN_IN)
_INACTIVE: Final = Rule(state=JobState.NEEDS_MAPPING, reason=ExportReason.REFERENCE_INACTIVE)
_DEAD: Final = Rule(state=JobState.DEAD, reason=ExportReason.REFUSED)

_RULES: Final = {
    "429": _LATER,
    "3001": _LATER,
    "401": _SIGN_IN,
    "3200": _SIGN_IN,
    "120": _LATER,
    "3100": _LATER,
    "6190": _LATER,
    "600": UNCERTAIN,
    "6540": UNCERTAIN,
    "500": UNCERTAIN,
    "503": UNCERTAIN,
    "10000": UNCERTAIN,
    # another document of the same call changed what this one links
    "5010": Rule(state=JobState.PENDING, reason=_TOO_OFTEN, max_calls=MAX_CALLS),
    "6140": Rule(state=JobState.PENDING, reason=ExportReason.NUMBER_TAKEN, ask=True, max_calls=2),
    "620": Rule(state=JobState.PENDING, reason=ExportReason.LINK_REFUSED, ask=True, max_calls=2),
    "6210": Rule(state=JobState.HELD, reason=ExportReason.CLOSED_PERIOD),
    "2500": Rule(state=JobState.NEEDS_MAPPING, reason=ExportReason.REFERENCE_MISSING),
}
"""By QuickBooks' code. Any other is a refusal for good."""

_PAUSES: Final = frozenset({"120", "3100", "6190", "401", "3200"})
_THROTTLES: Final = frozenset({"429", "3001"})
_SIGNS_IN: Final = frozenset({"401", "3200"})


def rule(fault: Fault, *, resent: bool) -> Rule:
    """What a fault makes of its document. `resent`: its call had been sent before."""
    if fault.code == "6000" and resent:  # replays of batches have been seen to answer so
        return UNCERTAIN
    if fault.code == "610" and "inactive" in str(fault).lower():
        return _INACTIVE
    return _RULES.get(fault.code, _DEAD)


def pauses(fault: Fault) -> bool:
    """Tell whether nothing more can be sent for the tenant until a person has acted."""
    return fault.code in _PAUSES


# --- what an answer that is no success says about its call


class Throttled(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing happened; ask again after `seconds`, where QuickBooks named them."""

    seconds: float | None


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody knows whether it happened."""

    reason: str


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The whole call was refused."""

    fault: Fault


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """The access token is not taken."""

    reason: str


class Barred(msgspec.Struct, frozen=True, kw_only=True):
    """Something refuses us without a code of QuickBooks', as a gateway does; asking again does not help."""

    reason: str


Failure = Throttled | Lost | Refused | SignIn | Barred


class CallError(Exception):
    """An answer that is no success, or none at all. `failure` says what it means for the call."""

    def __init__(self, failure: Failure, *, intuit_tid: str = "") -> None:
        super().__init__(f"{failure} (intuit_tid {intuit_tid})" if intuit_tid else str(failure))
        self.failure = failure
        self.intuit_tid = intuit_tid


def classify(*, status: int, fault: Fault | None, retry_after_seconds: float | None) -> Failure:
    """What an HTTP answer that is no success says about its call."""
    code = fault.code if fault is not None else ""
    shown = fault or Fault(code="", message=f"HTTP status {status}")
    if status == 429 or code in _THROTTLES:
        return Throttled(seconds=retry_after_seconds)
    if status == 401 or code in _SIGNS_IN:
        return SignIn(reason=str(shown))
    if 400 <= status < 500 and status != 408 and not code:  # 408: a gateway grew tired of waiting
        return Barred(reason=f"HTTP status {status}: {shown}")
    if status >= 500 or fault is None or not code:
        return Lost(reason=f"HTTP status {status}: {shown}")
    return Refused(fault=fault)


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
        answer = parse(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    fault = answer.get("Fault") or answer.get("fault")
    return None if fault is None else fault_of(fault)


def fault_of(fault: Json) -> Fault | None:
    """The first error of a fault's JSON, with the words of the others in its detail."""
    errors = [
        {str(key).lower(): value for key, value in error.items()}
        for error in fault.get("Error") or fault.get("error") or []
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
    if title is None:
        return None
    return Fault(code="", message=unescape(title[1].decode(errors="replace")).strip())


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
