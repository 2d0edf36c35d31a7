"""The one pipeline that owns idempotency, group commit and retry: every command of a process passes here.

The writer is a task on its process's event loop. While it waits for the store, the loop takes in the
next batch. It decides a batch against its cache of states and appends it in one call, as long as nobody
else writes; once somebody does, it takes the lock first for a while. Nobody hears "done" of what is not
durable, and nobody hears "refused" of what was decided on a stale state.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from application.pipeline.command import Envelope, Outcome, UnitOfWork
from application.pipeline.ports import (
    AppendBatch,
    Appended,
    ContentRefusedError,
    EventStore,
    Known,
    LoggedEvent,
    Moved,
    NewCommand,
    OutcomeUnknownError,
    StoreUnavailableError,
)
from domain import tenant
from domain.aggregates import apply
from domain.errors import Code, DomainError
from domain.event import State, decode, encode
from domain.ids import tenant_stream
from domain.receipt import ReceiptSigner

MAX_QUEUE_COMMANDS: Final = 10_000
MAX_BATCH_COMMANDS: Final = 512
MAX_CACHED_STATES: Final = 100_000
MAX_COMMAND_BYTES: Final = 256_000
"""So much of events and answer a command may make; messages and records are sized for it."""
CAREFUL_BATCHES: Final = 20
"""How many batches take the lock first after somebody else wrote."""
MAX_RECOVERY_SECONDS: Final = 5.0
"""How long callers wait for the fate of a commit whose connection broke, before they hear `outcome_unknown`."""
MAX_BREAKS: Final = 3
"""How often a command is decided again after its commit lost the connection and was found not to be there."""

_encoder = msgspec.json.Encoder()


class _NotLoaded(Exception):  # noqa: N818  no error: the state is loaded, and the decision made again
    def __init__(self, stream: str) -> None:
        self.stream = stream


class _Pending:
    """A command that waits for its outcome; `followers` sent the same key and body in the same batch."""

    __slots__ = ("breaks", "envelope", "followers", "future", "request_hash")

    def __init__(self, envelope: Envelope, future: asyncio.Future[Outcome]) -> None:
        self.envelope = envelope
        self.future = future
        self.breaks = 0
        self.request_hash = envelope.request_hash()
        self.followers: list[asyncio.Future[Outcome]] = []

    def key(self) -> tuple[str, str, str] | None:
        own = self.envelope
        if own.idempotency_key is None or own.dry_run:
            return None
        return own.tenant, own.client, own.idempotency_key

    def answer(self, outcome: Outcome) -> None:
        if not self.future.done():
            self.future.set_result(outcome)
        for future in self.followers:
            if not future.done():
                future.set_result(msgspec.structs.replace(outcome, replayed=True))

    def refuse(self, error: Exception) -> None:
        for future in (self.future, *self.followers):
            if not future.done():
                future.set_exception(error)


class _Decided(msgspec.Struct):
    """A batch as decided: what to append, whom to refuse, and the states as they will be."""

    accepted: list[tuple[_Pending, NewCommand]]
    answered: list[tuple[_Pending, bytes]]
    """Commands that change nothing: dry runs, and what already is as asked."""
    refused: list[tuple[_Pending, Exception]]
    """A refusal is a `DomainError`; anything else is a bug in the command's handler, which ends as its own 500."""
    denied: list[_Pending]
    """Those refused because the credential or the tenant may not act."""
    overlay: dict[str, State]
    recorded_at: datetime


class Writer:
    """Submits commands to the store, in the order in which they come.

    `clock` gives the time in UTC; what is recorded never goes back, whatever the clock does.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        receipts: ReceiptSigner,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        queue_limit: int = MAX_QUEUE_COMMANDS,
        cache_limit: int = MAX_CACHED_STATES,
    ) -> None:
        self._store = store
        self._receipts = receipts
        # What a dry run shows must not check as a receipt once its number has been given to another document.
        self._unsigned = msgspec.structs.replace(receipts, key_id="dry-run", key=b"")
        self._clock = clock
        self._queue: deque[_Pending] = deque()
        self._queue_limit = queue_limit
        self._cache_limit = cache_limit
        self._cache: dict[str, State] = {}
        self._position = -1
        self._recorded_at = datetime.min.replace(tzinfo=UTC)
        self._careful = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    @property
    def position(self) -> int:
        """The last position that this writer knows of; -1 before the first batch."""
        return self._position

    def start(self) -> None:
        """Begin to work; call it on the running event loop."""
        self._task = asyncio.create_task(self._run(), name="writer")

    async def close(self) -> None:
        """Refuse new commands, finish those in the queue, and give up the store."""
        self._closing = True
        self._arrived.set()
        if self._task:
            await self._task
        await self._store.close()

    def submit(self, envelope: Envelope) -> asyncio.Future[Outcome]:
        """Queue a command. Its future gives the outcome, or raises `DomainError`.

        Raises `DomainError` (`unavailable`) at once where the queue is full or the writer is closing.
        """
        if self._closing or len(self._queue) >= self._queue_limit:
            raise DomainError(Code.UNAVAILABLE, "The service takes no more commands at the moment.")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.append(_Pending(envelope, future))
        self._arrived.set()
        return future

    async def submit_all(self, envelopes: Sequence[Envelope]) -> list[asyncio.Future[Outcome]]:
        """Queue commands in order as there is room; `unavailable` only where there is none at all."""
        futures: list[asyncio.Future[Outcome]] = []
        for envelope in envelopes:
            while futures and not self._closing and len(self._queue) >= self._queue_limit:
                self._room.clear()
                await self._room.wait()
            try:
                futures.append(self.submit(envelope))
            except DomainError as error:
                if not futures:
                    raise
                refused: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
                refused.set_exception(error)
                futures.append(refused)
        return futures

    # --- the loop

    async def _run(self) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            batch = self._take()
            try:
                await self._process(batch)
            except Exception as error:  # noqa: BLE001  passed on to every caller
                # A bug must not leave callers hanging, nor a wrong cache behind; each hears of it as a 500.
                self._forget()
                _refuse_all(batch, error)
            while len(self._cache) > self._cache_limit:
                del self._cache[next(iter(self._cache))]

    def _take(self) -> list[_Pending]:
        """The next batch. Equal keys share one outcome where body and credential are equal too; else they wait."""
        batch: list[_Pending] = []
        by_key: dict[tuple[str, str, str], _Pending] = {}
        while self._queue and len(batch) < MAX_BATCH_COMMANDS:
            pending = self._queue[0]
            key = pending.key()
            first = by_key.get(key) if key else None
            if first is None:
                if key:
                    by_key[key] = pending
                batch.append(pending)
            elif (
                first.request_hash == pending.request_hash
                and first.envelope.credential == pending.envelope.credential
            ):
                first.followers.append(pending.future)
            else:
                break
            self._queue.popleft()
        self._room.set()
        return batch

    async def _process(self, batch: list[_Pending]) -> None:
        try:
            await self._write(batch)
        except StoreUnavailableError as error:
            self._forget()
            _refuse_all(
                batch, DomainError(Code.UNAVAILABLE, f"The database is away, nothing was written: {error}")
            )
        except OutcomeUnknownError:
            await self._recover(batch)
        except ContentRefusedError as error:
            self._forget()
            if len(batch) == 1:
                _refuse_all(
                    batch, DomainError(Code.INVALID_REQUEST, f"The database refuses the content: {error}")
                )
            else:
                middle = len(batch) // 2
                await self._process(batch[:middle])
                await self._process(batch[middle:])

    async def _write(self, batch: list[_Pending]) -> None:
        """Append a batch: in one call while nobody else writes, else with the lock first."""
        if self._position < 0:
            head = await self._store.head()
            self._position, self._recorded_at = head.position, head.recorded_at
        while batch:
            if self._careful == 0:
                batch = await self._append(batch)
                continue
            self._careful -= 1
            try:
                await self._catch_up()
                batch = await self._append(batch)
            finally:
                await self._store.unlock()

    async def _append(self, batch: list[_Pending]) -> list[_Pending]:
        """Decide and append once; returns the commands that are still to be decided.

        A refused command's key goes along, and the call is made even where there is nothing to append:
        a refusal counts only if the head is where it was decided, and its key has no answer yet. A
        command that may not act at all is refused whatever its key.
        """
        decided = await self._decide(batch)
        denied = {id(pending) for pending in decided.denied}
        keyed = [pending for pending in batch if pending.key() and id(pending) not in denied]
        result = await self._store.append(
            AppendBatch(
                decided_at=self._position,
                recorded_at=decided.recorded_at,
                keys=[key for pending in keyed if (key := pending.key())],
                commands=[command for _, command in decided.accepted],
            )
        )
        match result:
            case Appended(position=position):
                self._finish(decided, position)
                return []
            case Moved():
                self._careful = CAREFUL_BATCHES
                return batch
            case Known(keys=known):
                for found in known:
                    _replay(keyed[found.index], found.request_hash, found.response, found.position)
                answered = {id(keyed[found.index]) for found in known}
                return [pending for pending in batch if id(pending) not in answered]

    def _finish(self, decided: _Decided, position: int) -> None:
        """The batch is durable: take its states over, and only now tell the callers."""
        last = self._position
        if decided.accepted:
            self._position, self._recorded_at = position, decided.recorded_at
        for stream, state in decided.overlay.items():
            self._cache.pop(stream, None)
            self._cache[stream] = state
        for pending, command in decided.accepted:
            last += len(command.events)
            pending.answer(Outcome(position=last, response=command.response))
        assert last == self._position
        for pending, response in decided.answered:
            pending.answer(Outcome(position=position, response=response))
        for pending, error in decided.refused:
            pending.refuse(error)

    async def _catch_up(self) -> None:
        """Lock the head, and bring the cache up to it."""
        tail = await self._store.lock(after=self._position)
        self._position, self._recorded_at = tail.head.position, tail.head.recorded_at
        if tail.events is None:
            self._cache.clear()
            return
        for event in tail.events:
            state = self._cache.get(event.stream)
            if state is not None:
                assert state.version == event.version - 1, event.stream
                apply(event.stream, state, decode(event.topic, event.state))

    def _forget(self) -> None:
        self._cache.clear()
        self._position = -1

    async def _recover(self, batch: list[_Pending]) -> None:
        """Find out what became of a batch whose commit lost its connection, and decide the rest again.

        The look-up takes the lock first: until the lost connection's backend has ended, its commit
        may still come, and it holds the lock as long as it may.
        """
        after = max(self._position, 0)
        deadline = asyncio.get_running_loop().time() + MAX_RECOVERY_SECONDS
        while True:
            try:
                await self._store.lock(after=after)
                found = await self._store.find(
                    [pending.envelope.command_id for pending in batch], after=after
                )
                await self._store.unlock()
                break
            except (StoreUnavailableError, OutcomeUnknownError):
                if asyncio.get_running_loop().time() > deadline:
                    self._forget()
                    _refuse_all(
                        batch,
                        DomainError(
                            Code.OUTCOME_UNKNOWN,
                            "The database broke off during the commit; ask again with the same key.",
                        ),
                    )
                    return
                await asyncio.sleep(0.1)
        self._forget()
        for pending in batch:
            if pending.envelope.command_id in found:
                position, response = found[pending.envelope.command_id]
                pending.answer(Outcome(position=position, response=response))
        self._careful = CAREFUL_BATCHES
        left = [pending for pending in batch if pending.envelope.command_id not in found]
        for pending in left:
            pending.breaks += 1
        _refuse_all(
            [pending for pending in left if pending.breaks >= MAX_BREAKS],
            DomainError(Code.UNAVAILABLE, "The database breaks off again and again, nothing was written."),
        )
        left = [pending for pending in left if pending.breaks < MAX_BREAKS]
        if left:
            await self._process(left)

    # --- deciding

    async def _decide(self, batch: Sequence[_Pending]) -> _Decided:
        """Decide each command of a batch in order, loading the states that it asks for."""
        decided = _Decided(
            accepted=[],
            answered=[],
            refused=[],
            denied=[],
            overlay={},
            recorded_at=max(self._clock(), self._recorded_at),
        )
        hinted = {
            stream
            for pending in batch
            for stream in pending.envelope.command.streams(pending.envelope.tenant)
            if stream not in self._cache
        }
        await self._load(hinted)
        for pending in batch:
            while True:
                try:
                    self._decide_one(pending, decided)
                    break
                except _NotLoaded as missing:
                    await self._load({missing.stream})
        return decided

    async def _load(self, streams: set[str]) -> None:
        if streams:
            self._cache.update(await self._store.load(list(streams), at=self._position))

    def _decide_one(self, pending: _Pending, decided: _Decided) -> None:
        envelope = pending.envelope
        overlay, cache = decided.overlay, self._cache

        def lookup(stream: str) -> State:
            state = overlay.get(stream) or cache.get(stream)
            if state is None:
                raise _NotLoaded(stream)
            return state

        unit = UnitOfWork(
            tenant_name=envelope.tenant,
            command_id=envelope.command_id,
            recorded_at=decided.recorded_at,
            receipts=self._unsigned if envelope.dry_run else self._receipts,
            lookup=lookup,
        )
        try:
            _authorise(envelope, unit)
        except DomainError as error:
            decided.refused.append((pending, error))
            decided.denied.append(pending)
            return
        try:
            answer = envelope.spec.handler(envelope.command, unit)
            response = _encoder.encode(_dry_run(answer, unit) if envelope.dry_run else answer)
            command = _new_command(pending, unit, response)
        except _NotLoaded:
            raise
        except Exception as error:  # noqa: BLE001  a refusal, or a bug: either way this command's alone
            decided.refused.append((pending, error))
            return
        if envelope.dry_run or not unit.events:
            decided.answered.append((pending, response))
            return
        overlay.update(unit.changed)
        decided.accepted.append((pending, command))


def _new_command(pending: _Pending, unit: UnitOfWork, response: bytes) -> NewCommand:
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
        idempotency_key=envelope.idempotency_key,
        request_hash=pending.request_hash,
        action=envelope.spec.action,
        actor=envelope.actor,
        reason=envelope.reason,
        correlation_id=envelope.correlation_id,
        trace_id=envelope.trace_id,
        response=response,
        events=events,
    )


def _authorise(envelope: Envelope, unit: UnitOfWork) -> None:
    """Check feature and key where they act, on the state that the command is decided on."""
    if envelope.credential is None:
        return
    school = unit.state(tenant.Tenant, tenant_stream(envelope.tenant))
    tenant.check_key(school, prefix=envelope.credential, now=unit.recorded_at)
    if "FINANCE_V2" not in school.features:
        raise DomainError(Code.FEATURE_DISABLED, "FINANCE_V2 is off for this tenant.")


def _dry_run(answer: object, unit: UnitOfWork) -> dict[str, object]:
    events = [{"type": event.topic, "stream": stream, "data": event} for stream, _, event in unit.events]
    return {"dry_run": True, "answer": answer, "events": events}


def _replay(pending: _Pending, request_hash: bytes, response: bytes, position: int) -> None:
    if request_hash == pending.request_hash:
        pending.answer(Outcome(position=position, response=response, replayed=True))
    else:
        pending.refuse(
            DomainError(
                Code.IDEMPOTENCY_KEY_REUSED,
                f"The idempotency key was used before, by another command: the one at position {position}.",
                first_position=position,
            )
        )


def _refuse_all(batch: Sequence[_Pending], error: Exception) -> None:
    for pending in batch:
        pending.refuse(error)
