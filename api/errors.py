"""The error envelope (RFC 9457), and the one table that gives every code its status."""

import re
from enum import StrEnum
from http import HTTPStatus
from typing import Final

import msgspec

from application.commands.fields import CURRENCY_PATTERN, TEXT_PATTERN
from domain.errors import Code, DomainError
from domain.ids import NAME_PATTERN, UUID_PATTERN


class HttpCode(StrEnum):
    """Codes of what never reaches the domain."""

    MALFORMED_JSON = "malformed_json"
    BAD_HEADER = "bad_header"
    NOT_FOUND = "not_found"
    RECEIPT_NOT_FOUND = "receipt_not_found"
    EXPORT_NOT_FOUND = "export_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INTERNAL_ERROR = "internal_error"


STATUS: Final[dict[Code | HttpCode, int]] = {
    HttpCode.MALFORMED_JSON: 400,
    HttpCode.BAD_HEADER: 400,
    Code.IDEMPOTENCY_KEY_REQUIRED: 400,
    Code.IDEMPOTENCY_KEY_INVALID: 400,
    Code.UNAUTHENTICATED: 401,
    Code.CAPABILITY_MISSING: 403,
    HttpCode.NOT_FOUND: 404,
    HttpCode.RECEIPT_NOT_FOUND: 404,
    HttpCode.EXPORT_NOT_FOUND: 404,
    Code.FEATURE_DISABLED: 404,
    Code.TENANT_NOT_FOUND: 404,
    Code.WALLET_NOT_FOUND: 404,
    Code.INVOICE_NOT_FOUND: 404,
    Code.SALE_NOT_FOUND: 404,
    Code.ACCOUNT_NOT_FOUND: 404,
    Code.KEY_NOT_FOUND: 404,
    HttpCode.METHOD_NOT_ALLOWED: 405,
    Code.INSUFFICIENT_FUNDS: 409,
    Code.WALLET_EXISTS: 409,
    Code.WALLET_NOT_OPEN: 409,
    Code.NO_WALLET_FOR_EXCESS: 409,
    Code.INVOICE_NOT_DRAFT: 409,
    Code.INVOICE_NOT_OPEN: 409,
    Code.REFUND_EXCEEDS_SALE: 409,
    Code.REFERENCE_ALREADY_USED: 409,
    Code.ACCOUNT_NOT_OPEN: 409,
    Code.TENANT_EXISTS: 409,
    Code.KEY_EXISTS: 409,
    Code.SERIES_EXHAUSTED: 409,
    HttpCode.PAYLOAD_TOO_LARGE: 413,
    HttpCode.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.INVALID_REQUEST: 422,
    Code.CURRENCY_MISMATCH: 422,
    Code.UNKNOWN_INCOME_ROLE: 422,
    Code.NOT_SUPPORTED: 422,
    Code.EFFECTIVE_DATE_IN_FUTURE: 422,
    Code.AMOUNT_TOO_LARGE: 422,
    Code.COMMAND_TOO_LARGE: 422,
    Code.TENDERS_EXCEED_TOTAL: 422,
    Code.TENDERS_TOO_LOW: 422,
    Code.TENDERS_AMBIGUOUS: 422,
    Code.TENDER_WITHOUT_WALLET: 422,
    Code.UNKNOWN_COUNTRY: 422,
    Code.UNKNOWN_FEATURE: 422,
    Code.UNKNOWN_ROLE: 422,
    Code.UNKNOWN_TIME_ZONE: 422,
    Code.IDEMPOTENCY_KEY_REUSED: 422,
    HttpCode.INTERNAL_ERROR: 500,
    Code.UNAVAILABLE: 503,
    Code.OUTCOME_UNKNOWN: 503,
}
"""Every code's status. A test fails if a code has no row."""

RETRY_AFTER_SECONDS: Final = 1
"""What a 503 asks its client to wait."""


_MEANINGS: Final = {
    NAME_PATTERN: "an id: at most 40 letters, digits, dots, hyphens and underscores, the first a letter or digit",
    UUID_PATTERN: "an id that the service made, in lower case",
    CURRENCY_PATTERN: "a currency's three capital letters",
    TEXT_PATTERN: "one line of text without control characters",
}
"""What the patterns of fields ask for, in words."""
_NAMED_FIELD: Final = re.compile("(?:unknown|missing required) field `(.*)`")


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong at a place of the payload; `pointer` is a JSON pointer (RFC 6901)."""

    pointer: str
    detail: str


class ApiError(Exception):
    """A refusal at the edge: the request never became a command."""

    def __init__(
        self, code: Code | HttpCode, detail: str, *, errors: tuple[FieldError, ...] = (), **extra: str | int
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = errors
        self.extra = extra


def validation_error(error: msgspec.ValidationError) -> ApiError:
    """Translate msgspec's message, which ends in a JSON path: "… - at `$.lines[0].amount`"."""
    detail, _, path = str(error).partition(" - at `")
    for pattern, meaning in _MEANINGS.items():
        detail = detail.replace(f"`str` matching regex {pattern!r}", meaning)
    detail = detail.replace(
        "Expected `int`, got `float`", "Expected a whole number (of minor units), got a fraction"
    )
    steps = path.rstrip("`").replace("[", ".").replace("]", "").split(".")[1:]
    named = _NAMED_FIELD.search(detail)
    pointer = "".join(f"/{step}" for step in (*steps, *(named.groups() if named else ())))
    return ApiError(Code.INVALID_REQUEST, detail, errors=(FieldError(pointer, detail),))


def as_api_error(error: BaseException) -> ApiError:
    """Whatever was raised, as what the client hears. A bug is sanitised."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, DomainError):
        found = ApiError(error.code, error.detail)
        found.extra = error.extra
        return found
    return ApiError(HttpCode.INTERNAL_ERROR, "The service failed; the request id finds it in the log.")


def problem(error: ApiError, *, instance: str, request_id: str, tenant: str | None) -> tuple[int, bytes]:
    """The status and body of an error's answer, `application/problem+json`."""
    status = STATUS[error.code]
    body: dict[str, object] = {
        "type": f"urn:bursar:problem:{error.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.detail,
        "instance": instance,
        "code": error.code,
        "request_id": request_id,
        "tenant": tenant,
        "errors": error.errors,
    }
    for name, value in error.extra.items():
        body.setdefault(name, value)
    return status, msgspec.json.encode(body)
