"""Deciding a batch: each command in order, on the states as the commands before it leave them."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from application.pipeline.command import MAX_COMMAND_BYTES, Envelope, handle
from application.pipeline.pending import Pending
from application.pipeline.ports import LoggedEvent, NewCommand
from application.pipeline.records import record_name
from application.pipeline.state_cache import StateCache
from application.pipeline.unit_of_work import Caller, UnitOfWork, unreadable
from domain import tenant
from domain.aggregates import initial
from domain.capability import CAPABILITIES
from domain.errors import Code, DomainError
from domain.event import State, encode
from domain.ids import tenant_stream
from domain.receipt import ReceiptSigner

_encoder = msgspec.json.Encoder()


class Decided(msgspec.Struct):
    """A batch as decided: what to append, whom to refuse, and the states as they will be."""

    recorded_at: datetime
    accepted: list[tuple[Pending, NewCommand]]
    answered: list[tuple[Pending, bytes]]
    """Commands that change nothing: dry runs, and what already is as asked."""
    refused: list[tuple[Pending, Exception]]
    """A refusal is a `DomainError`; anything else is a bug in the command's handler, which ends as its own 500."""
    denied: list[Pending]
    """Those refused because the credential or the tenant may not act."""
    overlay: dict[str, State]


async def decide(
    batch: Sequence[Pending], cache: StateCache, *, now: datetime, receipts: ReceiptSigner
) -> Decided:
    """Decide each command of a batch in order, on the states that it asks for.

    What no command foresaw is noted, taken for empty meanwhile, and loaded at once for all of them; then the batch is
    decided anew. What is recorded never goes back, whatever the clock does. Raises `StoreUnavailableError`.
    """
    await load_foreseen(batch, cache)
    recorded_at = max(now, cache.recorded_at)
    while True:
        decided = Decided(
            recorded_at=recorded_at, accepted=[], answered=[], refused=[], denied=[], overlay={}
        )
        missing: set[str] = set()
        for pending in batch:
            _decide_one(pending, decided, cache, missing, receipts)
        if not missing:
            return decided
        await cache.load(missing)


async def load_foreseen(batch: Sequence[Pending], cache: StateCache) -> None:
    """Load what the commands surely ask for. Raises `StoreUnavailableError` or `BehindError`."""
    await cache.load(
        stream for pending in batch for stream in pending.envelope.command.streams(pending.envelope.tenant)
    )


def _decide_one(
    pending: Pending, decided: Decided, cache: StateCache, missing: set[str], receipts: ReceiptSigner
) -> None:
    envelope = pending.envelope
    overlay, states = decided.overlay, cache.states

    def lookup(stream: str) -> State:
        state = overlay.get(stream) or states.get(stream)
        if state is None:
            missing.add(stream)
            return initial(stream)
        return state

    def recorded(transaction_id: str) -> Sequence[LoggedEvent]:
        name = record_name(envelope.tenant, transaction_id)
        record = cache.records.get(name)
        if record is None:
            missing.add(name)
            return ()
        return record

    try:
        caller = _authorise(envelope, lookup, decided.recorded_at)
    except DomainError as error:
        decided.refused.append((pending, error))
        decided.denied.append(pending)
        return
    unit = UnitOfWork(
        tenant_name=envelope.tenant,
        caller=caller,
        command_id=envelope.command_id,
        recorded_at=decided.recorded_at,
        # What a dry run shows must not check as a receipt once its number has been given to another document.
        receipts=receipts.unsigned() if envelope.dry_run else receipts,
        lookup=lookup,
        recorded=recorded,
        assumed_empty=missing,
    )
    try:
        answer = handle(envelope, unit)
        response = _encoder.encode(_dry_run(answer, unit) if envelope.dry_run else answer)
        command = _new_command(pending, unit, response)
    except Exception as error:  # noqa: BLE001  a refusal, or a bug: either way this command's alone
        decided.refused.append((pending, error))
        return
    if envelope.dry_run or not unit.events:
        decided.answered.append((pending, response))
        return
    overlay.update(unit.changed)
    decided.accepted.append((pending, command))


def _authorise(envelope: Envelope, lookup: Callable[[str], State], now: datetime) -> Caller:
    """Who acts, by feature and key on the very state that the command is decided on."""
    capabilities: frozenset[str] = CAPABILITIES
    if envelope.credential is not None:
        stream = tenant_stream(envelope.tenant)
        school = lookup(stream)
        if not isinstance(school, tenant.Tenant):
            raise unreadable(school, stream)
        capabilities = tenant.live_key(school, prefix=envelope.credential, now=now).capabilities
        if "FINANCE_V2" not in school.features:
            raise DomainError(Code.FEATURE_DISABLED, "FINANCE_V2 is off for this tenant.")
    return Caller(client=envelope.client, actor=envelope.actor, capabilities=capabilities)


def _new_command(pending: Pending, unit: UnitOfWork, response: bytes) -> NewCommand:
    envelope = pending.envelope
    events = [
        LoggedEvent(stream, version, event.topic, encode(event)) for stream, version, event in unit.events
    ]
    if len(response) + sum(len(event.state) for event in events) > MAX_COMMAND_BYTES:
        raise DomainError(
            Code.COMMAND_TOO_LARGE, f"A command's events have at most {MAX_COMMAND_BYTES} bytes."
        )
    return NewCommand(
        id=envelope.command_id,
        tenant=envelope.tenant,
        client=envelope.client,
        idempotency_keys=envelope.idempotency_keys,
        request_hash=pending.request_hash,
        action=envelope.spec.action,
        actor=envelope.actor,
        reason=envelope.reason,
        correlation_id=envelope.correlation_id,
        trace_id=envelope.trace_id,
        response=response,
        events=events,
    )


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a command would have answered, and the events that it would have made. Nothing was written."""

    dry_run: bool = True
    answer: object
    events: list["DryRunEvent"]


class DryRunEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that would have been appended to `stream`; `type` is its topic."""

    type: str
    stream: str
    data: object


def _dry_run(answer: object, unit: UnitOfWork) -> DryRun:
    return DryRun(
        answer=answer,
        events=[DryRunEvent(type=event.topic, stream=stream, data=event) for stream, _, event in unit.events],
    )
