"""The way of one command over HTTP: authenticate, key, decode, submit, answer."""

from typing import Final

from api.commands.decoding import decode
from api.commands.receipts import SalesByReceipt
from api.commands.routes import Route
from api.credentials import Authenticator, Credential, check_capability
from api.errors import ApiError, FieldError, escaped, invalid_request, shown
from api.exchange import Exchange, new_id
from application.pipeline.command import Command, CommandSpec, Envelope
from application.pipeline.writer import Writer
from domain.errors import Code

_TRANSACTION: Final = b'{"transaction_id":"'
_TRANSACTION_END: Final = len(_TRANSACTION) + 36


class CommandEndpoint:
    """Answers every command's route."""

    def __init__(self, writer: Writer, authenticator: Authenticator, sales: SalesByReceipt) -> None:
        self._writer = writer
        self._sales = sales
        self._authenticator = authenticator

    async def __call__(self, exchange: Exchange, route: Route, parameter: str | None) -> None:
        """Answer one command."""
        exchange.route = route.template
        spec = route.spec
        credential = await self._authenticator.authenticate(exchange)
        check_capability(credential, spec.capability)
        if b"if-match" in exchange.headers:
            # Nobody's precondition is dropped in silence.
            raise ApiError(Code.NOT_SUPPORTED, "If-Match is not supported yet.")
        dry_run = flag(exchange, "dry_run", takes="a command takes dry_run")
        key = exchange.headers.get(b"idempotency-key")
        command = envelope(
            exchange,
            credential,
            spec,
            key=checked_key(None if key is None else key.decode("latin-1"), required=spec.key_required),
            command=decode(spec, await exchange.body(), parameter),
            reason=exchange.header(b"bursar-reason", least=1, most=500),
            trace_id=exchange.trace_id(),
            dry_run=dry_run,
        )
        await self._sales.name_sale(credential, command.command)
        outcome = await self._writer.submit(command)
        self._authenticator.wrote(credential, outcome.position)
        if outcome.response.startswith(_TRANSACTION):
            exchange.transaction_id = outcome.response[len(_TRANSACTION) : _TRANSACTION_END].decode()
        position = (b"bursar-position", b"%d" % outcome.position)
        if outcome.replayed:
            await exchange.answer(spec.status, outcome.response, position, (b"idempotency-replayed", b"true"))
        else:
            await exchange.answer(200 if dry_run else spec.status, outcome.response, position)


def flag(exchange: Exchange, name: str, *, takes: str) -> bool:
    """The one query parameter, true or false, of a route; false where it is absent. Raises `ApiError`."""
    if not exchange.scope["query_string"]:
        return False
    query = exchange.query()
    value = query.pop(name, "false")
    errors = [
        FieldError(f"/query/{escaped(other)}", f"There is no parameter {shown(other)}; {takes}.")
        for other in query
    ]
    if value not in ("true", "false"):
        errors.append(FieldError(f"/query/{name}", "Give true or false."))
    if errors:
        raise invalid_request(*errors)
    return value == "true"


def checked_key(key: str | None, *, required: bool) -> str | None:
    """An idempotency key. Raises `ApiError` (`idempotency_key_required`, `idempotency_key_invalid`)."""
    if key is None:
        if required:
            raise ApiError(
                Code.IDEMPOTENCY_KEY_REQUIRED, "Send an Idempotency-Key, and the same one when you retry."
            )
        return None
    if not 8 <= len(key) <= 200 or not key.isascii() or not key.isprintable() or " " in key:
        raise ApiError(
            Code.IDEMPOTENCY_KEY_INVALID, "An idempotency key has 8 to 200 visible ASCII characters."
        )
    return key


def envelope(
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
    """A command with who sends it, why, and under which request."""
    return Envelope(
        spec=spec,
        command=command,
        command_id=new_id(),
        tenant=credential.tenant,
        client=credential.client,
        actor=credential.actor,
        idempotency_keys=(key,) if key else (),
        credential=credential.prefix,
        reason=reason,
        correlation_id=exchange.request_id,
        trace_id=trace_id,
        dry_run=dry_run,
    )
