"""The sender: takes what open batches ask for from the registry to QuickBooks, each document exactly once.

Whatever dies, and whenever: a call is stored before it is sent, so the next sender finds it open, and sends
these very bytes again or looks for what became of them. One sender per company, by an advisory lock on the
connection that also records the outcomes: who has lost the lock can record nothing.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any, Final

import msgspec
import psycopg
from psycopg import Connection

from adapters.quickbooks.api.calls import Again, Call, Halted, Job, Result, Settled
from adapters.quickbooks.api.client import BatchItem, batch_body
from adapters.quickbooks.mapping.documents import bind, fingerprint
from adapters.quickbooks.registry import statements
from adapters.quickbooks.registry.registration import handler
from adapters.quickbooks.sending.budget import Budget
from adapters.quickbooks.sending.preparation import (
    MAX_LOSSES,
    AwayError,
    Names,
    PausedError,
    Preparation,
    Work,
    make_client,
)
from adapters.quickbooks.sending.workers import Workers
from adapters.quickbooks.settings import NOT_CONNECTED, QuickBooksSettings
from adapters.system.backoff import Backoff

__all__ = ["handler", "run_sender"]

BATCH_ITEMS: Final = 30
BIND_ROWS: Final = 600
_IDLE_SECONDS: Final = 1.0
_TURN_SECONDS: Final = 0.2
_FIRST_WAIT_SECONDS: Final = 0.25
_FIRST_REST_SECONDS: Final = 1.0
_PATIENCE_TURNS: Final = 3
"""After how many turns in vain a person is told; the attempts go on all the same."""

_log: Final = logging.getLogger(__name__)


def run_sender(
    exporter_url: str, settings: QuickBooksSettings, stop: threading.Event, ready: Callable[[], None]
) -> None:
    """Send what batches ask for until `stop` is set, through every loss of the database."""
    backoff = Backoff(longest=settings.longest_wait_seconds)
    absences = Absences(settings)
    while not stop.is_set():
        try:
            with psycopg.connect(
                exporter_url, autocommit=True, application_name="bursar exporter"
            ) as connection:
                connection.execute("LISTEN bursar_export")
                ready()
                backoff.reset()
                while not stop.is_set():
                    if not send_open_batches(connection, settings, stop, absences):
                        list(connection.notifies(timeout=_IDLE_SECONDS, stop_after=1))
        except psycopg.OperationalError as error:
            _log.warning("the sender lost its database and will be back: %s", error)
            backoff.wait(stop)


class Absences:
    """Which tenants' QuickBooks did not answer, and until when each is left alone. It may be forgotten."""

    def __init__(self, settings: QuickBooksSettings) -> None:
        self._longest = settings.longest_wait_seconds
        self._turns: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def resting(self, tenant: str) -> bool:
        return time.monotonic() < self._until.get(tenant, 0.0)

    def note(self, tenant: str) -> int:
        """Another turn in vain: leave the tenant alone for longer. Returns how many there were by now."""
        turns = self._turns[tenant] = self._turns.get(tenant, 0) + 1
        wait = min(_FIRST_REST_SECONDS * 2.0 ** min(turns - 1, 20), self._longest)
        self._until[tenant] = time.monotonic() + wait
        return turns

    def forget(self, tenant: str) -> None:
        self._turns.pop(tenant, None)
        self._until.pop(tenant, None)


def send_open_batches(
    connection: Connection[Any], settings: QuickBooksSettings, stop: threading.Event, absences: Absences
) -> bool:
    """Give every tenant with open batches a turn. Tells whether there was anything to do.

    What goes wrong with one tenant is that tenant's alone; only the loss of the database is raised.
    """
    worked = False
    rows = connection.execute(statements.SELECT_WORK, (settings.token_hash,)).fetchall()
    for tenant, realm, name, country, currency, limit, paused, away in rows:
        if stop.is_set() or absences.resting(tenant):
            continue
        work = Work(
            tenant=tenant,
            realm=realm,
            name=name,
            country=country,
            currency=currency,
            limit=limit,
            paused=paused,
            away=away,
        )
        worked = _guarded(connection, settings, work, stop, absences) or worked
    return worked


def _guarded(
    connection: Connection[Any],
    settings: QuickBooksSettings,
    work: Work,
    stop: threading.Event,
    absences: Absences,
) -> bool:
    """A tenant's turn, whatever comes of it. False if another sender has the company."""
    try:
        took = _take_turn(connection, settings, work, stop)
    except AwayError as error:
        turns = absences.note(work.tenant)
        _log.warning("%s: QuickBooks does not answer, turn %d: %s", work.tenant, turns, error)
        if work.away or turns >= _PATIENCE_TURNS:
            _pause(
                connection, work, f"QuickBooks does not answer; it is asked again and again. {error}", None
            )
        return True
    except psycopg.OperationalError:
        raise
    except Exception as error:
        if connection.closed:
            raise psycopg.OperationalError("The connection was lost in a turn.") from error
        _log.exception("%s: the export failed", work.tenant)
        _pause(connection, work, f"{type(error).__name__}: {error}", settings.token_hash)
        return True
    if took:
        absences.forget(work.tenant)
    return took


def _take_turn(
    connection: Connection[Any], settings: QuickBooksSettings, work: Work, stop: threading.Event
) -> bool:
    realm = work.realm or _connect(connection, settings, work.tenant)
    locked = connection.execute(statements.TRY_LOCK_REALM, (realm,)).fetchone()
    if locked is None or not locked[0]:  # another sender has the company
        return False
    try:
        _Drive(connection, settings, msgspec.structs.replace(work, realm=realm), stop).run()
    finally:
        if not connection.closed:
            connection.execute(statements.UNLOCK_REALM, (realm,))
    return True


def _pause(
    connection: Connection[Any], work: Work, reason: str, token: bytes | None, *, sign_in: bool = False
) -> None:
    """Stop until a person acts or another access token comes; without `token`, until QuickBooks answers."""
    _log.warning("%s: export paused: %s", work.tenant, reason)
    with connection.transaction():
        connection.execute(statements.PAUSE_TENANT, (reason, token, work.tenant))
        if sign_in:
            connection.execute(statements.MARK_SIGN_IN, (reason, work.tenant, work.limit))
        if work.away:  # what an absence had ended must tell the new reason
            connection.execute(statements.RESUME_BATCHES, (work.tenant,))
        connection.execute(statements.COMPLETE_BATCHES, (work.tenant,))
        connection.execute(statements.CALL_ALL_FOR_ATTENTION, (reason, work.tenant))


def _connect(connection: Connection[Any], settings: QuickBooksSettings, tenant: str) -> str:
    """Give rows that were registered before a company was named their realm."""
    realm = settings.realm_for(tenant)
    if realm != NOT_CONNECTED:
        with connection.transaction():
            for statement in (statements.CONNECT_TENANT, statements.CONNECT_MAP, statements.CONNECT_JOBS):
                connection.execute(statement, (realm, tenant))
    return realm


class _Drive:
    """One tenant's way from its open batches to nothing left to send."""

    def __init__(
        self, connection: Connection[Any], settings: QuickBooksSettings, work: Work, stop: threading.Event
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._work = work
        self._stop = stop

    def run(self) -> None:
        """Raises `AwayError` where QuickBooks does not answer; the batches stay as they are."""
        work, connection = self._work, self._connection
        with connection.transaction():
            if work.paused:
                self._resume()
            connection.execute(statements.START_BATCHES, (work.tenant, work.limit))
            connection.execute(statements.LIFT_SIGN_IN, (work.tenant,))
        try:
            self._send()
        except PausedError as paused:
            _pause(connection, work, str(paused), self._settings.token_hash, sign_in=paused.sign_in)
            return
        if not self._stop.is_set():
            with connection.transaction():
                if work.away:
                    self._resume()
                self._finish("Some documents were not taken; see their errors.")

    def _resume(self) -> None:
        self._connection.execute(statements.LIFT_PAUSE, (self._work.tenant,))
        self._connection.execute(statements.RESUME_BATCHES, (self._work.tenant,))

    def _send(self) -> None:
        settings, work = self._settings, self._work
        if work.realm == NOT_CONNECTED:
            raise PausedError("No QuickBooks company is connected for this tenant.")
        self._connection.execute(
            statements.INSERT_REALM,
            (work.realm, settings.batches_per_minute, settings.items_per_minute, settings.in_flight),
        )
        budget = Budget(self._connection, settings, work.realm)
        names = Preparation(self._connection, settings, work, self._stop, budget).run()
        if names is None:  # told to stop
            return
        workers = Workers(
            budget.in_flight(),
            lambda: make_client(settings, work.realm),
            settle_seconds=settings.settle_seconds,
        )
        try:
            _Sending(self._connection, settings, work, self._stop, budget, names, workers).run()
        finally:
            workers.close()

    def _finish(self, reason: str) -> None:
        """End every batch: completed where all that it covers is confirmed, else a person must look."""
        work, connection = self._work, self._connection
        connection.execute(statements.COMPLETE_BATCHES, (work.tenant,))
        connection.execute(statements.CALL_FOR_ATTENTION, (reason, work.tenant, work.limit))


class _Sending:
    """The documents: bound, put into calls, sent, settled, until none is left that could go."""

    def __init__(
        self,
        connection: Connection[Any],
        settings: QuickBooksSettings,
        work: Work,
        stop: threading.Event,
        budget: Budget,
        names: Names,
        workers: Workers,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._work = work
        self._stop = stop
        self._budget = budget
        self._names = names
        self._workers = workers
        self._most = budget.in_flight()
        self._waiting: list[tuple[float, Call]] = []
        self._flying: dict[int, int] = {}
        self._lost: dict[int, int] = {}
        self._left = 0
        self._left_reason = ""
        self._quiet_until = 0.0

    def run(self) -> None:
        """Raises `PausedError` where nothing more can be sent, and in the end `AwayError` where calls got no
        answer; their calls stay open.
        """
        self._waiting = [(0.0, call) for call in self._open_calls()]
        while not self._stop.is_set():
            idle = not self._launch()
            if idle and not self._flying and not self._waiting:
                if self._left_reason:
                    raise AwayError(self._left_reason)
                return
            verdict = self._workers.take(_TURN_SECONDS)
            if verdict is not None:
                self._conclude(*verdict)

    # --- sending

    def _launch(self) -> bool:
        """Send what may go now. False if there is nothing that could."""
        now = time.monotonic()
        if now < self._quiet_until:
            return True
        due = [entry for entry in self._waiting if entry[0] <= now]
        for entry in due[: self._most - len(self._flying)]:
            call = entry[1]
            if not self._may_send(len(call.jobs)):
                return True
            self._waiting.remove(entry)
            self._flying[call.id] = self._budget.spend(call.id, len(call.jobs))
            self._workers.submit(call)
        if self._left > self._most:  # none of so many got an answer: new ones would not either
            return False
        while len(self._flying) + len(self._waiting) < self._most:
            if not self._may_send(BATCH_ITEMS):
                return True
            new = self._new_call()
            if new is None:
                return False
            self._workers.submit(new)
        return True

    def _may_send(self, items: int) -> bool:
        wait = self._budget.wait_seconds(items)
        if wait:
            self._quiet_until = time.monotonic() + wait
        return not wait

    def _new_call(self) -> Call | None:
        """Store the next call as sent. None if no row is ready."""
        work = self._work
        rows = self._pending()
        if len(rows) < BATCH_ITEMS and self._bind():
            rows = self._pending()
        if not rows:
            return None
        jobs = tuple(
            Job(id=id_, kind=kind, number=number, body=body, calls=calls + 1)
            for id_, kind, number, body, calls, _ in rows
        )
        seed = b"".join(mark + b"%d" % calls for _, _, _, _, calls, mark in rows)
        request_id = sha256(seed).hexdigest()[:32]
        body = batch_body([BatchItem(kind=job.kind, body=job.body) for job in jobs])
        ids = [job.id for job in jobs]
        with self._connection.transaction():
            row = self._connection.execute(
                statements.INSERT_CALL, (work.tenant, work.realm, request_id, ids, body)
            ).fetchone()
            assert row is not None
            call_id = int(row[0])
            self._connection.execute(statements.MARK_SENT, (call_id, ids))
            self._flying[call_id] = self._budget.spend(call_id, len(jobs))
        return Call(
            id=call_id, request_id=request_id, body=body, jobs=jobs, resent=False, sent_at=time.time()
        )

    def _pending(self) -> list[tuple[Any, ...]]:
        work = self._work
        with self._connection.cursor(binary=True) as cursor:
            return cursor.execute(
                statements.SELECT_PENDING, (work.tenant, work.limit, BATCH_ITEMS)
            ).fetchall()

    def _bind(self) -> bool:
        """Fix the bytes of rows whose references all have their ids. False if there was none."""
        bound: list[tuple[int, bytes]] = []
        unmapped: list[tuple[int, str]] = []
        with self._connection.cursor(binary=True) as cursor:
            rows = cursor.execute(
                statements.SELECT_BINDABLE, (self._work.tenant, self._work.limit, BIND_ROWS)
            ).fetchall()
        for id_, template, customer, customer_id, invoice, invoice_id, memo, memo_id in rows:
            own = {
                f"Customer/{customer}": customer_id,
                f"Invoice/{invoice}": invoice_id,
                f"CreditMemo/{memo}": memo_id,
            }
            try:
                bound.append((id_, bind(template, partial(self._identifier, own=own))))
            except KeyError as error:
                unmapped.append((id_, f"QuickBooks has no {error.args[0]}."))
        with self._connection.transaction():
            self._connection.execute(
                statements.BIND,
                ([id_ for id_, _ in bound], [body for _, body in bound], [fingerprint(b) for _, b in bound]),
            )
            if unmapped:
                self._connection.execute(
                    statements.MARK_NEEDS_MAPPING, ([id_ for id_, _ in unmapped], [e for _, e in unmapped])
                )
        return bool(bound)

    def _identifier(self, key: str, own: Mapping[str, str]) -> str:
        kind, _, name = key.partition("/")
        known = {"Account": self._names.accounts, "Item": self._names.items}.get(kind)
        try:
            return own[key] if known is None else known[name]
        except KeyError:
            raise KeyError(key) from None

    # --- what came back

    def _conclude(self, call: Call, verdict: Settled | Again | Halted) -> None:
        send_id = self._flying.pop(call.id)
        match verdict:
            case Settled():
                with self._connection.transaction():
                    self._settle(call, verdict.results)
                    self._budget.answered(send_id, "settled")
                    self._connection.execute(statements.COMPLETE_BATCHES, (self._work.tenant,))
                if verdict.pause is not None:
                    raise PausedError(verdict.pause)
            case Again():
                self._again(call, verdict, send_id)
            case Halted():
                self._budget.answered(send_id, verdict.reason)
                raise PausedError(verdict.reason, sign_in=verdict.sign_in)

    def _settle(self, call: Call, results: Iterable[Result]) -> None:
        columns = [(r.job_id, r.state.value, r.quickbooks_id, r.sync_token, r.error) for r in results]
        self._connection.execute(
            statements.SETTLE_JOBS, (*(list(column) for column in zip(*columns, strict=True)), call.id)
        )
        self._connection.execute(statements.CLOSE_CALL, (call.id,))
        self._left = 0

    def _again(self, call: Call, verdict: Again, send_id: int) -> None:
        if verdict.seconds is None or verdict.quiet:
            self._lost[call.id] = self._lost.get(call.id, 0) + 1
        lost = self._lost.get(call.id, 0)
        if verdict.quiet:
            wait = self._budget.be_quiet(verdict.seconds)
        elif verdict.seconds is not None:
            wait = verdict.seconds
        else:
            wait = min(_FIRST_WAIT_SECONDS * 2.0 ** min(lost, 20), self._settings.longest_wait_seconds)
        with self._connection.transaction():
            self._budget.answered(send_id, verdict.reason)
            if not verdict.harmless:
                self._connection.execute(statements.MARK_UNKNOWN, (verdict.reason, call.id))
        if lost >= MAX_LOSSES:
            self._left, self._left_reason = self._left + 1, verdict.reason
            return
        resent = call.resent or not verdict.harmless
        sent_at = call.sent_at if verdict.seconds is not None else time.time()
        self._waiting.append(
            (time.monotonic() + wait, msgspec.structs.replace(call, resent=resent, sent_at=sent_at))
        )

    def _open_calls(self) -> list[Call]:
        """The calls that an earlier sender left without an outcome."""
        with self._connection.cursor(binary=True) as cursor:
            rows = cursor.execute(statements.SELECT_OPEN_CALLS, (self._work.tenant,)).fetchall()
        calls: dict[int, Call] = {}
        for call_id, request_id, body, sent_at, job_id, kind, number, job_body, attempts in rows:
            job = Job(id=job_id, kind=kind, number=number, body=job_body, calls=attempts)
            known = calls.get(call_id) or Call(
                id=call_id, request_id=request_id, body=body, jobs=(), resent=True, sent_at=sent_at
            )
            calls[call_id] = msgspec.structs.replace(known, jobs=(*known.jobs, job))
        return list(calls.values())
