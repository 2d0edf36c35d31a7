"""Faults armed over HTTP: what may go wrong between a client and QuickBooks, on demand."""

from collections.abc import Callable, Collection, Mapping
from typing import Literal

import msgspec

from adapters.quickbooks.emulator import refusals, statements
from adapters.quickbooks.emulator.books import KIND_BY_RESOURCE
from adapters.quickbooks.emulator.refusals import Body, Refusal
from adapters.quickbooks.emulator.store import Store, encode

MOST_ARMED = 1_000_000

RETRY_AFTER_SECONDS = 1
JSON = "application/json;charset=UTF-8"
XML = "application/xml;charset=UTF-8"
HTML = "text/html;charset=UTF-8"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back to the client; `delivery` says whether it arrives."""

    status: int
    body: bytes
    content_type: str = JSON
    retry_after_seconds: int | None = None
    delivery: Literal["send", "drop", "hang"] = "send"


def _throttled(body: bytes, content_type: str) -> Answer:
    return Answer(status=429, body=body, content_type=content_type, retry_after_seconds=RETRY_AFTER_SECONDS)


def _page(status: int, title: str) -> Answer:
    text = f"<html><head><title>{status} {title}</title></head><body>{title}</body></html>"
    return Answer(status=status, body=text.encode(), content_type=HTML)


_THROTTLE = "message=ThrottleExceeded; errorCode=003001; statusCode=429"
_THROTTLE_JSON = encode(
    {"Fault": {"Error": [{"Message": _THROTTLE, "code": "3001"}], "type": "ThrottleFault"}}
)
_THROTTLE_XML = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<IntuitResponse xmlns="http://schema.intuit.com/finance/v3"><Fault type="ThrottleFault">'
    f'<Error code="3001"><Message>{_THROTTLE}</Message></Error></Fault></IntuitResponse>'
).encode()
# A 401 as the gateway words it, with a lower-case `fault`.
_EXPIRED_ERROR = {
    "message": "message=AuthenticationFailed; errorCode=003200; statusCode=401",
    "detail": "Token expired",
    "code": "3200",
    "element": None,
}
EXPIRED = Answer(
    status=401,
    body=encode(
        {
            "warnings": None,
            "intuitObject": None,
            "fault": {"error": [_EXPIRED_ERROR], "type": "AUTHENTICATION"},
        }
    ),
)

_REFUSED = refusals.invalid_property("This refusal of the whole call was armed.")

EXPIRED_TOKEN = "expired_token"  # noqa: S105 - the name of a fault
REPLAY_6000 = "6000_on_batch_replay"
PARTIAL_BATCH = "partial_batch"
EXPIRED_REQUEST_IDS = "expired_request_ids"

# The call is refused, as a whole, before anything happens.
BEFORE: Mapping[str, Answer] = {
    "429": _throttled(_THROTTLE_JSON, JSON),
    "429_xml": _throttled(_THROTTLE_XML, XML),
    "500": _page(500, "Internal Server Error"),
    "503": _page(503, "Service Unavailable"),
    EXPIRED_TOKEN: EXPIRED,
    "2010": Answer(status=_REFUSED.status, body=encode({"Fault": _REFUSED.fault()})),
}
# The call happens, and then its answer is lost on the way.
AFTER: Mapping[str, Callable[[Answer], Answer]] = {
    "drop_after_commit": lambda answer: msgspec.structs.replace(answer, delivery="drop"),
    "hang_after_commit": lambda answer: msgspec.structs.replace(answer, delivery="hang"),
    "401_after_commit": lambda _: EXPIRED,
}
# One create, update, delete or void, alone or in a batch, is refused with this code.
CODES: Mapping[str, Callable[[], Refusal]] = {
    "6140": lambda: refusals.duplicate_number("This refusal was armed."),
    "6240": lambda: refusals.duplicate_name("This refusal was armed."),
    "5010": refusals.stale,
    "6210": lambda: refusals.closed_period("This refusal was armed."),
}
FAULTS = (*BEFORE, *AFTER, *CODES, REPLAY_6000, PARTIAL_BATCH, EXPIRED_REQUEST_IDS)
ALIASES = {"dropped_after_commit": "drop_after_commit", "hung_after_commit": "hang_after_commit"}


class Arming(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /emulator/faults."""

    fault: str | int
    count: int = 1
    entity: str | None = None


def arm(store: Store, arming: Arming) -> None:
    """Arms a fault for its next `count` calls or items. Raises ValueError naming what there is."""
    fault = ALIASES.get(str(arming.fault), str(arming.fault))
    if fault not in FAULTS:
        raise ValueError(f"unknown fault {arming.fault!r}; there are {', '.join(FAULTS)}")
    if not 1 <= arming.count <= MOST_ARMED:
        raise ValueError(f"count must lie between 1 and {MOST_ARMED}")
    entity = None if arming.entity is None else KIND_BY_RESOURCE.get(arming.entity.lower())
    if arming.entity is not None and entity is None:
        raise ValueError(
            f"unknown entity {arming.entity!r}; there are {', '.join(KIND_BY_RESOURCE.values())}"
        )
    store.run(statements.INSERT_ARMED, fault, entity, arming.count)


def armed(store: Store) -> list[Body]:
    rows = store.rows(statements.SELECT_ARMED)
    return [{"fault": fault, "entity": entity, "count": count} for _, fault, entity, count in rows]


def take(store: Store, faults: Collection[str], kinds: Collection[str]) -> str | None:
    """The fault armed first among `faults` that hits one of `kinds`, counted down; else None."""
    for number, fault, entity, _ in store.rows(statements.SELECT_ARMED):
        if fault in faults and (entity is None or entity in kinds):
            store.run(statements.SPEND_ARMED, number)
            store.run(statements.DELETE_SPENT)
            return str(fault)
    return None


def item_failed() -> Refusal:
    message = "An application error has occurred while processing your request"
    return Refusal("10000", message, "System Failure Error", status=500, fault_type="SystemFault")


def replay_refused() -> Refusal:
    return refusals.business("The batch was sent before under this request id")
