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

from adapters.backoff import Backoff
from adapters.quickbooks import statements
from adapters.quickbooks.budget import Budget
from adapters.quickbooks.calls import Again, Call, Halted, Job, Result, Settled
from adapters.quickbooks.client import BatchItem, batch_body
from adapters.quickbooks.preparation import Names, PausedError, Preparation, Work, make_client
from adapters.quickbooks.registration import handler
from adapters.quickbooks.settings import NOT_CONNECTED, QuickBooksSettings
from adapters.quickbooks.workers import Workers
from application.quickbooks_documents import bind, fingerprint

__all__ = ["handler", "run_sender"]

BATCH_ITEMS: Final = 30
BIND_ROWS: Final = 600
_IDLE_SECONDS: Final = 1.0
_TURN_SECONDS: Final = 0.2
_FIRST_WAIT_SECONDS: Final = 0.25

_log: Final = logging.getLogger(__name__)


def run_sender(
    exporter_url: str, settings: QuickBooksSettings, stop: threading.Event, ready: Callable[[], None]
) -> None:
    """Send what batches ask for until `stop` is set, through every loss of the database."""
    backoff = Backoff(longest=settings.longest_wait_seconds)
    while not stop.is_set():
        try:
            with psycopg.connect(
                exporter_url, autocommit=True, application_name="bursar exporter"
            ) as connection:
                connection.execute("LISTEN bursar_export")
                ready()
                backoff.reset()
                while not stop.is_set():
                    if not send_open_batches(connection, settings, stop):
                        list(connection.notifies(timeout=_IDLE_SECONDS, stop_after=1))
        except psycopg.OperationalError as error:
            _log.warning("the sender lost its database and will be back: %s", error)
            backoff.wait(stop)


def send_open_batches(
    connection: Connection[Any], settings: QuickBooksSettings, stop: threading.Event
) -> bool:
    """Bring every tenant's open batches to their end. Tells whether there was anything to do."""
    worked = False
    rows = connection.execute(statements.SELECT_WORK, (settings.token_hash,)).fetchall()
    for tenant, realm, name, country, currency, limit, paused in rows:
        work = Work(
            tenant=tenant,
            realm=realm or _connect(connection, settings, tenant),
            name=name,
            country=country,
            currency=currency,
            limit=limit,
            paused=paused,
        )
        locked = connection.execute(statements.TRY_LOCK_REALM, (work.realm,)).fetchone()
        if stop.is_set() or locked is None or not locked[0]:  # another sender has the company
            continue
        try:
            _Drive(connection, settings, work, stop).run()
        finally:
            if not connection.closed:
                connection.execute(statements.UNLOCK_REALM, (work.realm,))
        worked = True
    return worked


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
        work, connection = self._work, self._connection
        with connection.transaction():
            if work.paused:
                connection.execute(statements.RESUME_BATCHES, (work.tenant, work.limit))
                connection.execute(statements.LIFT_PAUSE, (work.tenant,))
            connection.execute(statements.START_BATCHES, (work.tenant, work.limit))
            connection.execute(statements.LIFT_SIGN_IN, (work.tenant,))
        try:
            self._send()
        except PausedError as paused:
            self._pause(str(paused), sign_in=paused.sign_in)
        if not self._stop.is_set():
            self._finish("Some documents were not taken; see their errors.")

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

    def _pause(self, reason: str, *, sign_in: bool) -> None:
        work = self._work
        _log.warning("%s: export paused: %s", work.tenant, reason)
        with self._connection.transaction():
            self._connection.execute(
                statements.PAUSE_TENANT, (reason, self._settings.token_hash, work.tenant)
            )
            if sign_in:
                self._connection.execute(statements.MARK_SIGN_IN, (reason, work.tenant, work.limit))
            self._finish(reason)

    def _finish(self, reason: str) -> None:
        """End every batch: completed where all that it covers is confirmed, else a person must look."""
        with self._connection.transaction():
            self._connection.execute(statements.COMPLETE_BATCHES, (self._work.tenant,))
            self._connection.execute(
                statements.CALL_FOR_ATTENTION, (reason, self._work.tenant, self._work.limit)
            )


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
        self._quiet_until = 0.0

    def run(self) -> None:
        """Raises `PausedError` where nothing more can be sent; its calls stay open."""
        self._waiting = [(0.0, call) for call in self._open_calls()]
        while not self._stop.is_set():
            idle = not self._launch()
            if idle and not self._flying and not self._waiting:
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
        self._lost.pop(call.id, None)

    def _again(self, call: Call, verdict: Again, send_id: int) -> None:
        if verdict.quiet:
            wait = self._budget.be_quiet(verdict.seconds)
        elif verdict.seconds is not None:
            wait = verdict.seconds
        else:
            lost = self._lost[call.id] = self._lost.get(call.id, 0) + 1
            wait = min(_FIRST_WAIT_SECONDS * 2.0 ** min(lost, 20), self._settings.longest_wait_seconds)
        with self._connection.transaction():
            self._budget.answered(send_id, verdict.reason)
            if not verdict.harmless:
                self._connection.execute(statements.MARK_UNKNOWN, (verdict.reason, call.id))
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
