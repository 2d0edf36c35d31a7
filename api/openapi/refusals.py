"""The refusals that a class of operations has in common, and the example of each refusal."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from api.errors import STATUS, HttpCode
from api.operations.form import BulkForm, Codes, CommandForm, ReadForm
from api.operations.shared import REVERSAL, TRANSACTION
from domain.errors import Code, ErrorCode

_ALL: Final[Codes] = (HttpCode.INTERNAL_ERROR, Code.UNAVAILABLE)
_WITH_KEY: Final[Codes] = (*_ALL, Code.UNAUTHENTICATED, Code.FEATURE_DISABLED)
_WITH_BODY: Final[Codes] = (
    *_WITH_KEY,
    HttpCode.MALFORMED_JSON,
    HttpCode.BAD_HEADER,
    HttpCode.REQUEST_TIMEOUT,
    HttpCode.PAYLOAD_TOO_LARGE,
    HttpCode.UNSUPPORTED_MEDIA_TYPE,
    Code.INVALID_REQUEST,
    Code.NOT_SUPPORTED,
)
_COMMAND: Final[Codes] = (
    *_WITH_BODY,
    Code.CAPABILITY_MISSING,
    Code.IDEMPOTENCY_KEY_INVALID,
    Code.IDEMPOTENCY_KEY_REUSED,
    Code.OUTCOME_UNKNOWN,
)


def of_command(form: CommandForm, *, key_required: bool) -> Codes:
    """Every refusal of a command, its own ones first."""
    required = (Code.IDEMPOTENCY_KEY_REQUIRED,) if key_required else ()
    return (*form.codes, *_COMMAND, *required)


def of_read(form: ReadForm, *, public: bool) -> Codes:
    """Every refusal of a read, its own ones first."""
    common = _ALL if public else (*_WITH_KEY, Code.CAPABILITY_MISSING, HttpCode.BAD_HEADER)
    return (*form.codes, Code.INVALID_REQUEST, HttpCode.READ_TIMEOUT, *common)


def of_bulk(form: BulkForm, commands: Iterable[CommandForm]) -> Codes:
    """Every refusal of a bulk request as a whole; where it is atomic, that of any of the commands."""
    own = (*form.codes, *_COMMAND, Code.IDEMPOTENCY_KEY_REQUIRED)
    return tuple(dict.fromkeys((*own, *(code for command in commands for code in command.codes))))


# --- examples

_FACTS: Final[dict[ErrorCode, dict[str, Any]]] = {
    Code.INVALID_REQUEST: {
        "detail": "/amount: Give a whole number of minor units from 1 to 1000000000000000, not text.",
        "errors": [
            {
                "pointer": "/amount",
                "detail": "Give a whole number of minor units from 1 to 1000000000000000, not text.",
            }
        ],
    },
    Code.UNAUTHENTICATED: {"tenant": None},
    Code.CAPABILITY_MISSING: {"capability": "wallet.top_up"},
    Code.EFFECTIVE_DATE_TOO_EARLY: {"earliest": "1970-01-01"},
    Code.INSUFFICIENT_FUNDS: {"account": "STU-0042", "available": 150000, "required": 180000},
    Code.CAPTURE_EXCEEDS_HOLD: {"available": 30000, "required": 35000},
    Code.REFUND_EXCEEDS_SALE: {"available": 25000, "required": 30000},
    Code.REFERENCE_ALREADY_USED: {"transaction_id": TRANSACTION, "amount": 150000, "account": "STU-0042"},
    Code.ALREADY_REVERSED: {"transaction_id": REVERSAL},
    HttpCode.RECEIPT_NOT_FOUND: {
        "tenant": None,
        "instance": "/v2/finance/receipts/k1.greenhill.RCT-2026-000017.x",
    },
}


def problem(code: ErrorCode) -> dict[str, Any]:
    """The answer of a refusal."""
    status = STATUS[code]
    return {
        "type": f"urn:bursar:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": code.meaning,
        "instance": "/v2/finance/wallets/STU-0042/top-up",
        "code": code,
        "request_id": "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e99",
        "tenant": "greenhill",
        "errors": [],
        **_FACTS.get(code, {}),
    }
