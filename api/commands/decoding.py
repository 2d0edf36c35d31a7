"""From a body to a command: one fast look, and where it refuses, a second that tells of every error."""

import re
from typing import Final, TypeVar

import msgspec

from api.commands.routes import ROUTES
from api.errors import ApiError, FieldError, HttpCode, invalid_request, shown
from api.validation import errors_in, missing
from application.commands import COMMANDS
from application.commands.fields import TAX_CODE_PATTERN
from application.pipeline.command import Command, CommandSpec
from domain.errors import Code
from domain.ids import NAME_PATTERN, UUID_PATTERN

_T = TypeVar("_T")

_PATH_PARAMETERS: Final = {
    "account": (re.compile(NAME_PATTERN), Code.WALLET_NOT_FOUND, "wallet"),
    "hold": (re.compile(UUID_PATTERN), Code.HOLD_NOT_FOUND, "hold"),
    "tax_code": (re.compile(TAX_CODE_PATTERN), Code.UNKNOWN_TAX_CODE, "tax code"),
    "invoice": (re.compile(UUID_PATTERN), Code.INVOICE_NOT_FOUND, "invoice"),
    "transaction": (re.compile(UUID_PATTERN), Code.TRANSACTION_NOT_FOUND, "transaction"),
}
_decoders: Final = {action: msgspec.json.Decoder(COMMANDS[action].command_type) for action in ROUTES.values()}


def decode_json(decoder: "msgspec.json.Decoder[_T]", body: bytes, *, at: str = "", required: str = "") -> _T:
    """Decode a body, or a part of one: `at` is its pointer, `required` a field that it must have in bulk.

    Raises `ApiError` (`malformed_json`, `invalid_request` with every error).
    """
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError:
            # It stopped at the first value of a wrong shape; what follows may be no JSON at all.
            msgspec.json.decode(body, type=msgspec.Raw)
            raise invalid_request(*errors_in(body, decoder.type, at=at, required=required)) from None
    except RecursionError:
        raise ApiError(HttpCode.MALFORMED_JSON, "The body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise ApiError(HttpCode.MALFORMED_JSON, "The body is not JSON: it is not UTF-8.") from None
    except msgspec.DecodeError as error:
        why = (
            str(error)
            .removeprefix("JSON is malformed: ")
            .replace("Input data was truncated", "it ends too soon")
        )
        raise ApiError(HttpCode.MALFORMED_JSON, f"The body is not JSON: {why}.") from None


def decode(spec: CommandSpec, body: bytes, parameter: str | None) -> Command:
    """Decode a command from the body of its route, and its path's parameter where the route has one."""
    command: Command = decode_json(_decoders[spec.action], body or b"{}")
    if parameter is not None:
        name = command.path
        pattern, code, thing = _PATH_PARAMETERS[name]
        if not pattern.match(parameter):
            raise ApiError(code, f"There is no {thing} {shown(parameter)}.")
        value = parameter.upper() if name in command.uppercase else parameter
        if getattr(command, name) not in ("", value):
            raise invalid_request(FieldError(f"/{name}", "This is not the one of the path; leave it out."))
        msgspec.structs.force_setattr(command, name, value)
    return command


def decode_element(spec: CommandSpec, data: bytes, at: str) -> Command:
    """Decode a command from the data of a bulk element at a pointer, the path's parameter among it."""
    decoder, name = _decoders[spec.action], spec.command_type.path
    command: Command = decode_json(decoder, data, at=at, required=name)
    if name and not getattr(command, name):
        raise invalid_request(missing(decoder.type, name, at))
    return command
