"""The error envelope (RFC 9457), and the one table that gives every kind of error its status."""

from http import HTTPStatus
from typing import Final

import msgspec
import orjson

from domain.errors import Code, DomainError, ErrorCode


class HttpCode(ErrorCode):
    """Codes of what never reaches the domain."""

    # fmt: off
    MALFORMED_JSON = "malformed_json", "bad_request", "The body is not JSON."
    BAD_HEADER = "bad_header", "bad_request", "A header is not as it must be; the detail names it."
    NOT_FOUND = "not_found", "not_found", "There is nothing at this path."
    RECEIPT_NOT_FOUND = "receipt_not_found", "not_found", "The token is not of a receipt of ours."
    EXPORT_NOT_FOUND = "export_not_found", "not_found", "The tenant has no such export batch."
    METHOD_NOT_ALLOWED = "method_not_allowed", "method_not_allowed", "The path takes another method; `Allow` names it."
    REQUEST_TIMEOUT = "request_timeout", "timeout", "The body did not come in time: nothing of it for 10 seconds, or not all within 60. Nothing was written; send it again."
    PAYLOAD_TOO_LARGE = "payload_too_large", "too_large", "A body has at most 1 MB, in bulk 16 MB."
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", "unsupported_media_type", "Send `Content-Type: application/json`."
    READ_TIMEOUT = "read_timeout", "unavailable", "The read took too long and was given up. Ask for less of it, fewer days or a smaller page; one thing, again later."
    INTERNAL_ERROR = "internal_error", "internal", "A bug; the request id finds it in the service's log."
    # fmt: on


_STATUS_OF_KIND: Final = {
    "bad_request": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "timeout": 408,
    "conflict": 409,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid": 422,
    "internal": 500,
    "unavailable": 503,
}

STATUS: Final[dict[ErrorCode, int]] = {
    code: status
    for kind, status in _STATUS_OF_KIND.items()
    for code in (*HttpCode, *Code)
    if code.kind == kind
}
"""Every code's status, in the order of the statuses."""

RETRY_AFTER_SECONDS: Final = 1
"""What a 503 asks its client to wait."""
MAX_ERRORS: Final = 20
"""How many errors of one request are told."""
MAX_SHOWN_CHARACTERS: Final = 40
"""How much of what a client wrote is shown to it."""


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong at a place of the payload; `pointer` is a JSON pointer (RFC 6901)."""

    pointer: str
    detail: str


class ApiError(Exception):
    """A refusal at the edge: the request never became a command."""

    def __init__(
        self, code: ErrorCode, detail: str, *, errors: tuple[FieldError, ...] = (), **extra: str | int
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = errors
        self.extra = extra


def invalid_request(*errors: FieldError) -> ApiError:
    """What is wrong at each place (at most `MAX_ERRORS` are told), the first of them in the detail too."""
    first, *more = told = errors[:MAX_ERRORS]
    detail = f"{first.pointer}: {first.detail}" if first.pointer else first.detail
    if more:
        detail += f" `errors` has {len(told)} in all."
    return ApiError(Code.INVALID_REQUEST, detail, errors=told)


def shown(text: str) -> str:
    """What a client wrote, fit to be shown: at most 40 characters, all of them printable."""
    cut = text[:MAX_SHOWN_CHARACTERS]
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in cut)


def escaped(name: str) -> str:
    """A member's name as a step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def as_api_error(error: BaseException) -> ApiError:
    """Whatever was raised, as what the client hears. A bug is sanitised."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, DomainError):
        refusal = ApiError(error.code, error.detail)
        refusal.extra = error.extra
        return refusal
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
    return status, orjson.dumps(body, default=msgspec.to_builtins)
