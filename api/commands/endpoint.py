"""The way of every command over HTTP: authenticate, key, decode, submit, answer."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from api.credentials import Authenticator, Credential, check_capability
from api.errors import STATUS, ApiError, FieldError, HttpCode, validation_error
from api.exchange import MAX_BODY_BYTES, MAX_BULK_BODY_BYTES, Exchange, new_id
from application.commands import COMMANDS
from application.pipeline.command import Command, CommandSpec, Envelope, Outcome
from application.pipeline.writer import Writer
from domain.errors import Code
from domain.ids import NAME_PATTERN, UUID_PATTERN

PREFIX: Final = "/v2/finance"
BULK_PATH: Final = f"{PREFIX}/bulk"
MAX_BULK_ELEMENTS: Final = 10_000
ELEMENT_OBJECTS: Final = 125
"""No element holds more objects: itself, its data, 100 lines, 20 tenders, and some."""

ROUTES: Final = {
    ("POST", "wallets"): "wallet.open",
    ("POST", "wallets/{}/top-up"): "wallet.top_up",
    ("POST", "wallets/{}/charge"): "wallet.charge",
    ("POST", "invoices"): "invoice.create",
    ("POST", "invoices/{}/issue"): "invoice.issue",
    ("PATCH", "invoices/{}"): "invoice.settle",
    ("POST", "pos/checkout"): "pos.checkout",
    ("POST", "pos/refund"): "pos.refund",
    ("POST", "quickbooks/export"): "quickbooks.export",
}
"""Method and path (a `{}` stands for the command's path parameter) of each command's route."""

BULK_ACTIONS: Final = frozenset(ROUTES.values()) - {"quickbooks.export"}

_PATH_PARAMETERS: Final = {
    "account": (re.compile(NAME_PATTERN), Code.WALLET_NOT_FOUND),
    "invoice": (re.compile(UUID_PATTERN), Code.INVOICE_NOT_FOUND),
}
_SPECS: Final[Mapping[tuple[str, str], CommandSpec]] = {
    route: COMMANDS[action] for route, action in ROUTES.items()
}
_BELOW: Final = f"{PREFIX}/"
_PARAMETRIC: Final = frozenset(path.split("/")[0] for _, path in ROUTES if "{}" in path)
_decoders: Final = {spec.action: msgspec.json.Decoder(spec.command_type) for spec in _SPECS.values()}


class BulkElement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One command of a bulk request; its data is the body of its own route with the path's parameter in it."""

    action: str
    idempotency_key: str
    data: msgspec.Raw


class _Element(msgspec.Struct):
    """Anything that is an object."""


_bulk_shape = msgspec.json.Decoder(list[_Element])
_bulk_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_element_decoder = msgspec.json.Decoder(BulkElement)
_encoder = msgspec.json.Encoder()


def match(method: str, path: str) -> tuple[CommandSpec, str | None] | None:
    """The command of a route, and its path parameter where the route has one."""
    if not path.startswith(_BELOW):
        return None
    rest = path[len(_BELOW) :]
    spec = _SPECS.get((method, rest))
    if spec is not None:
        return spec, None
    steps = rest.split("/", 2)
    if len(steps) < 2 or steps[0] not in _PARAMETRIC:
        return None
    parameter, steps[1] = steps[1], "{}"
    spec = _SPECS.get((method, "/".join(steps)))
    return None if spec is None else (spec, parameter)


class CommandEndpoint:
    """Answers every command's route, and bulk."""

    def __init__(self, writer: Writer, authenticator: Authenticator) -> None:
        self._writer = writer
        self._authenticator = authenticator

    async def __call__(self, exchange: Exchange, spec: CommandSpec, parameter: str | None) -> None:
        """Answer one command."""
        credential = await authenticate(exchange, self._authenticator)
        check_capability(credential, spec.capability)
        if b"if-match" in exchange.headers:
            # Nobody's precondition is dropped in silence.
            raise ApiError(Code.NOT_SUPPORTED, "If-Match is not supported yet.")
        dry_run = _dry_run(exchange)
        key = _idempotency_key(exchange.headers.get(b"idempotency-key"), required=spec.key_required)
        command = decode(spec, await exchange.body(MAX_BODY_BYTES), parameter)
        outcome = await self._writer.submit(
            _envelope(
                exchange,
                credential,
                spec,
                command,
                key=key,
                reason=exchange.header(b"bursar-reason", least=1, most=500),
                trace_id=exchange.trace_id(),
                dry_run=dry_run,
            )
        )
        self._authenticator.wrote(credential, outcome.position)
        position = (b"bursar-position", b"%d" % outcome.position)
        if outcome.replayed:
            await exchange.answer(spec.status, outcome.response, position, (b"idempotency-replayed", b"true"))
        else:
            await exchange.answer(200 if dry_run else spec.status, outcome.response, position)

    async def bulk(self, exchange: Exchange) -> None:
        """Answer many commands, each standing alone, in order."""
        credential = await authenticate(exchange, self._authenticator)
        if "FINANCE_V2" not in credential.features:
            raise ApiError(Code.FEATURE_DISABLED, "FINANCE_V2 is off for this tenant.")
        if exchange.scope["query_string"]:
            raise ApiError(Code.NOT_SUPPORTED, "Bulk takes no query parameters yet.")
        body = await exchange.body(MAX_BULK_BODY_BYTES)
        if len(body) > MAX_BODY_BYTES:
            _check_bulk_shape(body)
        elements = decode_json(_bulk_decoder, body)
        if len(elements) > MAX_BULK_ELEMENTS:
            raise ApiError(Code.INVALID_REQUEST, f"A bulk request has at most {MAX_BULK_ELEMENTS} elements.")
        reason = exchange.header(b"bursar-reason", least=1, most=500)
        trace_id = exchange.trace_id()
        prepared: list[Envelope | ApiError] = []
        for element in elements:
            try:
                prepared.append(_element(exchange, credential, element, reason=reason, trace_id=trace_id))
            except ApiError as error:
                prepared.append(error)
        envelopes = [item for item in prepared if isinstance(item, Envelope)]
        futures = await self._writer.submit_all(envelopes)
        outcomes = iter(await asyncio.gather(*futures, return_exceptions=True))
        results = [
            _bulk_error(item) if isinstance(item, ApiError) else _bulk_result(exchange, item, next(outcomes))
            for item in prepared
        ]
        last = max((result["position"] or 0 for result in results), default=0) or max(
            self._writer.position, 0
        )
        self._authenticator.wrote(credential, last)
        await exchange.answer(200, _encoder.encode({"data": results}), (b"bursar-position", b"%d" % last))


async def authenticate(exchange: Exchange, authenticator: Authenticator) -> Credential:
    """The caller's credential. Raises `ApiError` (`unauthenticated`)."""
    authorization = exchange.headers.get(b"authorization", b"")
    credential = authenticator.cached(authorization)
    if credential is None:
        credential = await authenticator.authenticate(authorization)
    exchange.tenant = credential.tenant
    return credential


def decode_json(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:
    """Decode a body. Raises `ApiError` (`malformed_json`, `invalid_request` with a pointer)."""
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            # It stopped at the first value of a wrong shape; what follows may be no JSON at all.
            msgspec.json.decode(body, type=msgspec.Raw)
            raise validation_error(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(HttpCode.MALFORMED_JSON, f"The body is not JSON: {error}") from None


def decode(spec: CommandSpec, body: bytes, parameter: str | None) -> Command:
    """Decode a command from its body, and its path's parameter where there is one (None in bulk)."""
    command = decode_json(_decoders[spec.action], body or b"{}")
    assert isinstance(command, Command)
    name = command.path
    if parameter is not None:
        pattern, missing = _PATH_PARAMETERS[name]
        if not pattern.match(parameter):
            raise ApiError(missing, f"There is no {name} {parameter[:40]!r}.")
        value = parameter.upper() if name in command.uppercase else parameter
        if getattr(command, name) not in ("", value):
            raise _field_error(f"/{name}", f"`{name}` is not the one of the path")
        msgspec.structs.force_setattr(command, name, value)
    elif name and not getattr(command, name):
        raise _field_error(f"/{name}", f"Object missing required field `{name}`")
    return command


def _field_error(pointer: str, detail: str) -> ApiError:
    return ApiError(Code.INVALID_REQUEST, detail, errors=(FieldError(pointer, detail),))


def _check_bulk_shape(body: bytes) -> None:
    """Look at a large bulk before it is decoded: 16 MB of "0," or "{}," would become millions of objects."""
    if body.count(b"{") > MAX_BULK_ELEMENTS * ELEMENT_OBJECTS:
        raise ApiError(Code.INVALID_REQUEST, f"A bulk request has at most {MAX_BULK_ELEMENTS} elements.")
    decode_json(_bulk_shape, body)


def _dry_run(exchange: Exchange) -> bool:
    if not exchange.scope["query_string"]:
        return False
    query = exchange.query()
    value = query.pop("dry_run", "false")
    if query:
        raise ApiError(Code.INVALID_REQUEST, f"Unknown query parameter {next(iter(query))!r}.")
    if value not in ("true", "false"):
        raise ApiError(Code.INVALID_REQUEST, "dry_run is true or false.")
    return value == "true"


def _idempotency_key(given: bytes | str | None, *, required: bool) -> str | None:
    if given is None:
        if required:
            raise ApiError(
                Code.IDEMPOTENCY_KEY_REQUIRED, "Send an Idempotency-Key, and the same one when you retry."
            )
        return None
    key = given.decode("latin-1") if isinstance(given, bytes) else given
    if not 8 <= len(key) <= 200 or not key.isascii() or not key.isprintable() or " " in key:
        raise ApiError(
            Code.IDEMPOTENCY_KEY_INVALID, "An idempotency key has 8 to 200 visible ASCII characters."
        )
    return key


def _envelope(
    exchange: Exchange,
    credential: Credential,
    spec: CommandSpec,
    command: Command,
    *,
    key: str | None,
    reason: str,
    trace_id: str,
    dry_run: bool = False,
) -> Envelope:
    return Envelope(
        spec=spec,
        command=command,
        command_id=new_id(),
        tenant=credential.tenant,
        client=credential.client,
        actor=credential.actor,
        idempotency_key=key,
        credential=credential.prefix,
        reason=reason,
        correlation_id=exchange.request_id,
        trace_id=trace_id,
        dry_run=dry_run,
    )


def _element(
    exchange: Exchange, credential: Credential, raw: msgspec.Raw, *, reason: str, trace_id: str
) -> Envelope:
    try:
        element = decode_json(_element_decoder, bytes(raw))
    except ApiError as error:
        if any(field.pointer == "/idempotency_key" for field in error.errors) and "missing" in error.detail:
            raise ApiError(Code.IDEMPOTENCY_KEY_REQUIRED, "Every element needs an idempotency_key.") from None
        raise
    assert isinstance(element, BulkElement)
    if element.action not in BULK_ACTIONS:
        raise _field_error("/action", f"There is no action {element.action!r} in bulk.")
    spec = COMMANDS[element.action]
    check_capability(credential, spec.capability)
    key = _idempotency_key(element.idempotency_key, required=True)
    try:
        command = decode(spec, bytes(element.data), None)
    except ApiError as error:
        error.errors = tuple(FieldError(f"/data{field.pointer}", field.detail) for field in error.errors)
        raise
    return _envelope(exchange, credential, spec, command, key=key, reason=reason, trace_id=trace_id)


def _bulk_result(exchange: Exchange, envelope: Envelope, outcome: Outcome | BaseException) -> dict[str, Any]:
    if isinstance(outcome, BaseException):
        return _bulk_error(exchange.as_refusal(outcome))
    return {
        "status": envelope.spec.status,
        "code": None,
        "position": outcome.position,
        "replayed": outcome.replayed,
        "data": msgspec.Raw(outcome.response),
    }


def _bulk_error(error: ApiError) -> dict[str, Any]:
    return {
        "status": STATUS[error.code],
        "code": error.code,
        "position": None,
        "replayed": False,
        "data": None,
        "detail": error.detail,
        "errors": error.errors,
        **error.extra,
    }
