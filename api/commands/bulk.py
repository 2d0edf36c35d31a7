"""Many commands in one request, in order: each standing alone, or (atomic) all of them or none."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import orjson

from api.commands.decoding import decode_element, decode_json
from api.commands.endpoint import checked_key, envelope, flag
from api.commands.receipts import SalesByReceipt
from api.commands.routes import BULK_ACTIONS, BULK_PATH
from api.credentials import Authenticator, Credential, check_capability, check_feature
from api.errors import STATUS, ApiError, FieldError, as_api_error, invalid_request, shown
from api.exchange import MAX_BODY_BYTES, Exchange, new_id
from api.validation import missing
from application.commands import COMMANDS
from application.commands.pos import Refund
from application.pipeline.atomic import MAX_ATOMIC_COMMANDS, together
from application.pipeline.command import Envelope, Outcome
from application.pipeline.writer import Writer
from domain.errors import Code, DomainError

MAX_ELEMENTS: Final = 10_000
ELEMENTS_AT_ONCE: Final = 100
"""After so many elements others have their turn."""
MAX_ELEMENT_OBJECTS: Final = 125
"""No element holds more objects: itself, its data, 100 lines, 20 tenders, and some."""


class BulkElement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One command of a bulk request; its data is the body of its own route with the path's parameter in it."""

    action: str
    idempotency_key: str
    data: msgspec.Raw


class _Element(msgspec.Struct):
    """Anything that is an object."""


class _Answers(msgspec.Struct):
    answers: list[msgspec.Raw]


_shape_decoder = msgspec.json.Decoder(list[_Element])
_bulk_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_element_decoder = msgspec.json.Decoder(BulkElement)
_answer_decoder = msgspec.json.Decoder(_Answers)


class BulkEndpoint:
    """Answers bulk."""

    def __init__(self, writer: Writer, authenticator: Authenticator, sales: SalesByReceipt) -> None:
        self._writer = writer
        self._sales = sales
        self._authenticator = authenticator

    async def __call__(self, exchange: Exchange) -> None:
        """Answer many commands."""
        exchange.route = BULK_PATH
        credential = await self._authenticator.authenticate(exchange)
        check_feature(credential)
        if "dry_run" in exchange.query():
            raise ApiError(Code.NOT_SUPPORTED, "Bulk takes no dry_run yet.")
        atomic = flag(exchange, "atomic", takes="bulk takes atomic")
        elements = _split(await exchange.body(bulk=True))
        if atomic and len(elements) > MAX_ATOMIC_COMMANDS:
            raise invalid_request(
                FieldError("", f"An atomic bulk has at most {MAX_ATOMIC_COMMANDS} elements.")
            )
        reason = exchange.header(b"bursar-reason", least=1, most=500)
        trace_id = exchange.trace_id()
        prepared: list[Envelope | ApiError] = []
        for number, element in enumerate(elements):
            if number % ELEMENTS_AT_ONCE == 0:
                await asyncio.sleep(0)  # so long a bulk must not hold up everybody else
            try:
                prepared.append(
                    _prepare(exchange, credential, element, f"/{number}", reason=reason, trace_id=trace_id)
                )
            except ApiError as error:
                prepared.append(error)
        await self._name_sales(credential, prepared)
        results = await (self._do_atomic(prepared) if atomic else self._do_each(exchange, prepared))
        last = max((result["position"] or 0 for result in results), default=0)
        last = last or max(self._writer.position, 0)
        self._authenticator.wrote(credential, last)
        body = orjson.dumps({"data": results}, default=msgspec.to_builtins)
        await exchange.answer(200, body, (b"bursar-position", b"%d" % last))

    async def _name_sales(self, credential: Credential, prepared: list[Envelope | ApiError]) -> None:
        """Name the sales of refunds; one whose sale is not to be found becomes its refusal."""
        refunds = [
            (number, item.command)
            for number, item in enumerate(prepared)
            if isinstance(item, Envelope) and isinstance(item.command, Refund)
        ]

        async def name(number: int, refund: Refund) -> None:
            try:
                await self._sales.name_sale(credential, refund, at=f"/{number}/data")
            except ApiError as error:
                prepared[number] = error

        for first in range(0, len(refunds), ELEMENTS_AT_ONCE):
            await asyncio.gather(*(name(*each) for each in refunds[first : first + ELEMENTS_AT_ONCE]))

    async def _do_each(
        self, exchange: Exchange, prepared: Sequence[Envelope | ApiError]
    ) -> list[dict[str, Any]]:
        futures = await self._writer.submit_all([item for item in prepared if isinstance(item, Envelope)])
        outcomes = iter(await asyncio.gather(*futures, return_exceptions=True))
        return [
            _refused(item) if isinstance(item, ApiError) else _result(exchange, item, next(outcomes))
            for item in prepared
        ]

    async def _do_atomic(self, prepared: Sequence[Envelope | ApiError]) -> list[dict[str, Any]]:
        """All of them, or the refusal of the first that is refused."""
        commands = _all_good(prepared)
        if not commands:
            return []
        try:
            outcome = await self._writer.submit(together(commands, new_id()))
        except DomainError as error:
            refusal = as_api_error(error)
            facts = dict(refusal.extra)  # the error itself is also that of whoever sent the same at once
            number = facts.pop("element", None)
            if number is None:
                raise
            refusal.extra = facts
            raise _of_element(refusal, int(number)) from error
        answers = _answer_decoder.decode(outcome.response).answers
        return [
            _done(command, outcome, bytes(answer)) for command, answer in zip(commands, answers, strict=True)
        ]


def _all_good(prepared: Sequence[Envelope | ApiError]) -> tuple[Envelope, ...]:
    """The commands of an atomic bulk. Raises `ApiError`: what the first that is wrong would hear alone."""
    keys: set[str] = set()
    commands: list[Envelope] = []
    for number, item in enumerate(prepared):
        if isinstance(item, ApiError):
            raise _of_element(item, number)
        [key] = item.idempotency_keys
        if key in keys:
            pointer = f"/{number}/idempotency_key"
            raise invalid_request(FieldError(pointer, "Another element has this key; each needs its own."))
        keys.add(key)
        commands.append(item)
    return tuple(commands)


def _of_element(error: ApiError, number: int) -> ApiError:
    """A refusal that points at its element, where it points nowhere yet."""
    error.errors = error.errors or (FieldError(f"/{number}", error.detail),)
    return error


def _split(body: bytes) -> list[msgspec.Raw]:
    if len(body) > MAX_BODY_BYTES:
        # Before it is decoded: 16 MB of "0," or "{}," would become millions of objects.
        if body.count(b"{") > MAX_ELEMENTS * MAX_ELEMENT_OBJECTS:
            raise _too_many()
        decode_json(_shape_decoder, body)
    elements = decode_json(_bulk_decoder, body)
    if len(elements) > MAX_ELEMENTS:
        raise _too_many()
    return elements


def _too_many() -> ApiError:
    return invalid_request(FieldError("", f"A bulk request has at most {MAX_ELEMENTS} elements."))


def _prepare(
    exchange: Exchange, credential: Credential, raw: msgspec.Raw, at: str, *, reason: str, trace_id: str
) -> Envelope:
    try:
        element = decode_json(_element_decoder, bytes(raw), at=at)
    except ApiError as error:
        if error.errors == (missing(BulkElement, "idempotency_key", at),):
            error.code = Code.IDEMPOTENCY_KEY_REQUIRED
        raise
    if element.action not in BULK_ACTIONS:
        actions = ", ".join(sorted(BULK_ACTIONS))
        raise invalid_request(
            FieldError(
                f"{at}/action", f"There is no action {shown(element.action)} in bulk; give one of {actions}."
            )
        )
    spec = COMMANDS[element.action]
    check_capability(credential, spec.capability)
    return envelope(
        exchange,
        credential,
        spec,
        key=checked_key(element.idempotency_key, required=True),
        command=decode_element(spec, bytes(element.data), f"{at}/data"),
        reason=reason,
        trace_id=trace_id,
    )


def _result(exchange: Exchange, envelope: Envelope, outcome: Outcome | BaseException) -> dict[str, Any]:
    if isinstance(outcome, BaseException):
        return _refused(exchange.as_refusal(outcome))
    return _done(envelope, outcome, outcome.response)


def _done(envelope: Envelope, outcome: Outcome, answer: bytes) -> dict[str, Any]:
    return {
        "status": envelope.spec.status,
        "code": None,
        "position": outcome.position,
        "replayed": outcome.replayed,
        "data": orjson.Fragment(answer),
    }


def _refused(error: ApiError) -> dict[str, Any]:
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
