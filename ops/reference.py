"""The parts of docs/reference that are made from the code: `python -m ops.reference` writes them."""

import json
import types
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from adapters.kafka import contract
from adapters.postgres.store import PostgresStore
from api.app import Application
from api.errors import STATUS, HttpCode
from api.openapi.document import document
from api.services import Services
from application.pipeline.writer import Writer
from domain.aggregates import AGGREGATES
from domain.chart import COUNTRIES, INCOME_ROLES
from domain.errors import Code
from domain.event import TOPICS, Event
from domain.journal import INCOME, RECIPES, TENDER, TENDER_ROLES, Leg
from domain.receipt import ReceiptSigner

FOLDER: Final = Path(__file__).parents[1] / "docs" / "reference"

_WORDS: Final[dict[type, str]] = {
    str: "text",
    int: "integer",
    bool: "true or false",
    datetime: "time, RFC 3339 UTC",
    date: "date, ISO",
}

MEANINGS: Final[dict[Code | HttpCode, str]] = {
    HttpCode.MALFORMED_JSON: "The body is not JSON.",
    HttpCode.BAD_HEADER: "A header is not as it must be; the detail names it.",
    Code.IDEMPOTENCY_KEY_REQUIRED: "The command needs an `Idempotency-Key`, in bulk an `idempotency_key`.",
    Code.IDEMPOTENCY_KEY_INVALID: "A key has 8 to 200 visible ASCII characters.",
    Code.UNAUTHENTICATED: "No key, or one that is unknown, revoked or expired.",
    Code.CAPABILITY_MISSING: "The key's role may not do this; `capability` names what is missing.",
    HttpCode.NOT_FOUND: "There is nothing at this path.",
    HttpCode.RECEIPT_NOT_FOUND: "The token is not of a receipt of ours.",
    HttpCode.EXPORT_NOT_FOUND: "The tenant has no such export batch.",
    Code.FEATURE_DISABLED: "FINANCE_V2 is off for the tenant.",
    Code.TENANT_NOT_FOUND: "The tenant is not registered.",
    Code.WALLET_NOT_FOUND: "The tenant has no such wallet.",
    Code.INVOICE_NOT_FOUND: "The tenant has no such invoice.",
    Code.SALE_NOT_FOUND: "The tenant has no such sale.",
    Code.ACCOUNT_NOT_FOUND: "The tenant's chart has no such account.",
    Code.KEY_NOT_FOUND: "No live API key has this prefix.",
    HttpCode.METHOD_NOT_ALLOWED: "The path takes another method; `Allow` names it.",
    Code.INSUFFICIENT_FUNDS: "The wallet has less than is required; `available` and `required` say what.",
    Code.WALLET_EXISTS: "The wallet is already there.",
    Code.WALLET_NOT_OPEN: "The wallet is frozen or closed.",
    Code.NO_WALLET_FOR_EXCESS: "The tenders exceed what is open, and no wallet takes the rest.",
    Code.INVOICE_NOT_DRAFT: "Only a draft can be issued.",
    Code.INVOICE_NOT_OPEN: "The invoice is a draft, or nothing of it is open.",
    Code.REFUND_EXCEEDS_SALE: "More would be given back than is left of the sale or its line.",
    Code.REFERENCE_ALREADY_USED: "This money was booked before; `transaction_id` names the first.",
    Code.ACCOUNT_NOT_OPEN: "The ledger account is frozen or closed.",
    Code.TENANT_EXISTS: "The tenant is already registered.",
    Code.KEY_EXISTS: "The tenant has a key of this prefix.",
    Code.SERIES_EXHAUSTED: "The numbering series has no number left in its format.",
    HttpCode.PAYLOAD_TOO_LARGE: "A body has at most 1 MB, in bulk 16 MB.",
    HttpCode.UNSUPPORTED_MEDIA_TYPE: "Send `Content-Type: application/json`.",
    Code.INVALID_REQUEST: "The payload or a parameter is wrong; `errors` points at it.",
    Code.CURRENCY_MISMATCH: "The currency is not the tenant's.",
    Code.UNKNOWN_INCOME_ROLE: "The role is none that a line may name as its income.",
    Code.NOT_SUPPORTED: "This is not there yet.",
    Code.EFFECTIVE_DATE_IN_FUTURE: "The date lies after today in the tenant's time zone.",
    Code.AMOUNT_TOO_LARGE: "An amount is above 10^15 minor units.",
    Code.COMMAND_TOO_LARGE: "The command would make more than 256,000 bytes of events and answer; split it.",
    Code.TENDERS_EXCEED_TOTAL: "The tenders pay more than is due, where that is not allowed.",
    Code.TENDERS_TOO_LOW: "The tenders pay less than they must.",
    Code.TENDERS_AMBIGUOUS: "More than one tender that is no wallet is without amount.",
    Code.TENDER_WITHOUT_WALLET: "A wallet tender names no wallet, and the request has none.",
    Code.UNKNOWN_COUNTRY: "There is no chart template for this country.",
    Code.UNKNOWN_FEATURE: "There is no such feature.",
    Code.UNKNOWN_ROLE: "There is no such role for a key.",
    Code.UNKNOWN_TIME_ZONE: "The time zone is not in the IANA database.",
    Code.IDEMPOTENCY_KEY_REUSED: "The key was used before with another body.",
    HttpCode.INTERNAL_ERROR: "A bug; the request id finds it in the service's log.",
    Code.UNAVAILABLE: "Nothing was written, or the read would be stale. Ask again after `Retry-After`.",
    Code.OUTCOME_UNKNOWN: "The database broke off during the commit. Ask again with the same key.",
}
"""What each code tells a client."""


def render() -> dict[str, str]:
    """Every generated page, by its file name."""
    return {
        "openapi.json": _openapi(),
        "asyncapi.yaml": contract.render(),
        "events.md": _page(_events()),
        "errors.md": _page(_errors()),
        "posting-recipes.md": _page(_recipes()),
    }


def _page(lines: Iterator[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"


def _head(title: str, text: str) -> Iterator[str]:
    yield f"# {title}"
    yield ""
    yield "Generated by `python -m ops.reference`; do not edit."
    yield ""
    yield text
    yield ""


# --- events


def _events() -> Iterator[str]:
    yield from _head(
        "Events",
        "Every event that the log holds, by the kind of its stream. The topic is stored with the event and names its"
        " shape and version; the stored form is JSON of these fields, in this order. Amounts are minor units. Events"
        " of one command that moves money share `transaction_id`, `effective_date` and `recorded_at`.",
    )
    for kind, (state, _) in AGGREGATES.items():
        yield f"## {kind}: `{{tenant}}/{kind}" + ("`" if kind == "tenant" else "/…`")
        yield ""
        for topic in sorted(TOPICS):
            if TOPICS[topic].__module__ == state.__module__:
                yield from _event(TOPICS[topic])


def _event(event: type[Event]) -> Iterator[str]:
    yield f"### `{event.topic}`"
    yield ""
    if event.__doc__:
        yield _one_line(event.__doc__)
        yield ""
    yield from _fields(event)


def _fields(struct: type[msgspec.Struct]) -> Iterator[str]:
    hints = get_type_hints(struct)
    nested: dict[str, type[msgspec.Struct]] = {}
    yield "| field | type |"
    yield "|---|---|"
    for field in msgspec.structs.fields(struct):
        yield f"| `{field.encode_name}` | {_type(hints[field.name], nested)} |"
    yield ""
    for name, inner in nested.items():
        yield f"`{name}`:"
        yield ""
        yield from _fields(inner)


def _type(hint: Any, nested: dict[str, type[msgspec.Struct]]) -> str:
    """A field's type in words; structs inside it are added to `nested`."""
    origin, inner = get_origin(hint), [each for each in get_args(hint) if each is not types.NoneType]
    if origin is Literal:
        words = ", ".join(f"`{value}`" for value in inner)
    elif origin is dict:
        words = f"object of {_type(inner[1], nested)}"
    elif origin is tuple:
        words = f"list of {_type(inner[0], nested)}"
    elif origin in (Union, types.UnionType):
        assert types.NoneType in get_args(hint), hint
        words = " or ".join([*(_type(each, nested) for each in inner), "null"])
    elif issubclass(hint, msgspec.Struct):
        nested[hint.__name__] = hint
        words = f"`{hint.__name__}`"
    else:
        words = _WORDS[hint]
    return words


def _one_line(text: str) -> str:
    return " ".join(text.split())


# --- errors


def _errors() -> Iterator[str]:
    yield from _head(
        "Errors",
        "Every answer that is not a success is `application/problem+json` (RFC 9457) with `type`, `title`, `status`,"
        " `detail`, `instance`, `code`, `request_id`, `tenant` and `errors` (a JSON pointer and a detail each). Branch on"
        " `code` alone: codes are never renamed, details may be. A 503 carries `Retry-After`. In bulk each refused"
        " element has its `status` and `code` in its place.",
    )
    yield "| status | code | when |"
    yield "|---|---|---|"
    for code, status in STATUS.items():
        yield f"| {status} | `{code}` | {MEANINGS[code]} |"


# --- recipes


def _legs(legs: Sequence[Leg], side: str) -> str:
    """The legs of one side; a leg that posts a part of a line says which."""
    return ", ".join(
        f"`{leg.role}`" + ("" if leg.part == "amount" else f" ({leg.part})")
        for leg in legs
        if leg.side == side
    )


def _recipes() -> Iterator[str]:
    yield from _head(
        "Posting recipes",
        "What each operation debits and credits, by role; a tenant's chart gives each role its account. `{tender}` is the"
        " account of the tender that pays, `{income}` the income role of the line or charge, `{tax}` the role of each tax"
        " component, `{sale}` the sale itself: what its tenders pay is what its lines earn. A leg in brackets posts that"
        " part of a line: the price is before discount and without tax, the total is with both; a part of 0 is not"
        " posted. One transaction has one posting per account and side.",
    )
    yield "| operation | debit | credit |"
    yield "|---|---|---|"
    for operation, legs in RECIPES.items():
        yield f"| {operation} | {_legs(legs, 'debit')} | {_legs(legs, 'credit')} |"
    yield ""
    yield f"`{TENDER}`:"
    yield ""
    yield "| tender | role |"
    yield "|---|---|"
    for tender, role in TENDER_ROLES.items():
        yield f"| {tender} | `{role}` |"
    yield ""
    yield f"`{INCOME}` is one of " + ", ".join(f"`{role}`" for role in sorted(INCOME_ROLES)) + "."
    for code, template in COUNTRIES.items():
        yield ""
        yield f"## Chart of accounts, {code} ({template.currency}, {template.time_zone})"
        yield ""
        yield "| code | name | type | role |"
        yield "|---|---|---|---|"
        for account in sorted(template.accounts, key=lambda account: account.code):
            yield f"| {account.code} | {account.name} | {account.type} | `{account.role}` |"


# --- HTTP


def _openapi() -> str:
    """The OpenAPI document, from an application that never connects."""
    receipts = ReceiptSigner(key_id="", key=b"", page_url="")
    services = Services(
        writer=Writer(PostgresStore(""), receipts=receipts),
        reader_url="",
        receipts=receipts,
        version=version("bursar"),
    )
    found = document(Application(services).fastapi)
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every page."""
    for name, text in render().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
