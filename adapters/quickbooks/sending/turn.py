"""A tenant's turn: from its open batches to nothing left to send, or to what holds it up."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import psycopg
import structlog
from psycopg import Connection

from adapters.postgres.failure import LOST, told
from adapters.quickbooks.api.client import Client
from adapters.quickbooks.registry import batches, counts, jobs, names, realms, tenants
from adapters.quickbooks.registry.tenants import Work
from adapters.quickbooks.sending.budget import Budget
from adapters.quickbooks.sending.documents import Sending
from adapters.quickbooks.sending.interruptions import AwayError, PausedError
from adapters.quickbooks.sending.preparation import Preparation
from adapters.quickbooks.sending.waits import growing, seconds_after
from adapters.quickbooks.sending.workers import Workers
from adapters.quickbooks.settings import NOT_CONNECTED, QuickBooksSettings

MIN_REST_SECONDS: Final = 1.0
MAX_PATIENCE_TURNS: Final = 3
"""After how many turns in vain a person is told; the attempts go on all the same."""

_log = structlog.get_logger(__name__)


class _FailedError(Exception):
    """The turn raised what nobody expected."""


class Absences:
    """Which tenants' QuickBooks did not answer, and until when each is left alone. It may be forgotten."""

    def __init__(self, settings: QuickBooksSettings) -> None:
        self._growing = growing(first_seconds=MIN_REST_SECONDS, max_seconds=settings.max_wait_seconds)
        self._turns: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def resting(self, tenant: str) -> bool:
        """Tell whether the tenant is to be left alone."""
        return time.monotonic() < self._until.get(tenant, 0.0)

    def note(self, tenant: str) -> int:
        """Another turn in vain: leave the tenant alone for longer. Returns how many there were by now."""
        turns = self._turns[tenant] = self._turns.get(tenant, 0) + 1
        self._until[tenant] = time.monotonic() + seconds_after(turns, self._growing)
        return turns

    def forget(self, tenant: str) -> None:
        """QuickBooks answers again."""
        self._turns.pop(tenant, None)
        self._until.pop(tenant, None)


def take_turn(
    connection: Connection[Any],
    settings: QuickBooksSettings,
    work: Work,
    stop: threading.Event,
    absences: Absences,
) -> bool:
    """Send what a tenant's batches ask for, whatever comes of it. False if another sender has the company.

    What goes wrong is this tenant's alone; only the loss of the database is raised.
    """
    turn = _Turn(connection, settings, work, stop)
    try:
        if not turn.take():
            return False
    except AwayError as error:
        turns = absences.note(work.tenant)
        _log.warning("QuickBooks does not answer", tenant=work.tenant, turns=turns, error=str(error))
        if work.away or turns >= MAX_PATIENCE_TURNS:
            reason = f"QuickBooks does not answer; it is asked again and again. {error}"
            turn.pause(reason, until_answered=True)
    except LOST:
        raise
    except Exception as error:
        if connection.closed:
            raise psycopg.OperationalError("The connection was lost in a turn.") from error
        # Logged with where it was raised, but not with the error itself, whose message may quote a row.
        failed = _FailedError(told(error)).with_traceback(error.__traceback__)
        _log.error("the export failed", tenant=work.tenant, exc_info=failed)
        turn.pause(str(failed))
    else:
        absences.forget(work.tenant)
    return True


class _Turn:
    """One tenant's turn with a connection."""

    def __init__(
        self, connection: Connection[Any], settings: QuickBooksSettings, work: Work, stop: threading.Event
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._work = work
        self._stop = stop
        self._of_tenant = {"tenant": work.tenant}
        self._covered = {"tenant": work.tenant, "last_position": work.last_position}

    def take(self) -> bool:
        """False if another sender has the company.

        Raises `AwayError` where QuickBooks does not answer; the batches stay as they are.
        """
        if self._work.realm == NOT_CONNECTED:
            self._connect()
        with self._company() as ours:
            if not ours:
                return False
            self._begin()
            try:
                self._send()
            except PausedError as paused:
                self.pause(str(paused), sign_in=paused.sign_in)
                return True
            if not self._stop.is_set():
                self._finish()
        return True

    def _connect(self) -> None:
        """Give what was registered before a company was named its company."""
        realm = self._settings.realm_for(self._work.tenant)
        if realm == NOT_CONNECTED:
            return
        with self._connection.transaction():
            for statement in (tenants.CONNECT, names.CONNECT, jobs.CONNECT):
                self._connection.execute(statement, {**self._of_tenant, "realm": realm})
        self._work = msgspec.structs.replace(self._work, realm=realm)

    @contextmanager
    def _company(self) -> Generator[bool]:
        """Have the company for this connection alone; yields False if another sender has it."""
        realm = {"realm": self._work.realm}
        row = self._connection.execute(realms.TRY_LOCK, realm).fetchone()
        if row is None or not row[0]:
            yield False
            return
        try:
            yield True
        finally:
            if not self._connection.closed:
                self._connection.execute(realms.UNLOCK, realm)

    def _begin(self) -> None:
        """Take up the batches. A new one, or the end of a pause, gives what waits for a mapping another chance.

        That is done here, and not when the batch is registered, so that no turn that began before it, with
        the names of then, sets the same documents aside again.
        """
        connection, work = self._connection, self._work
        with connection.transaction():
            if work.paused:
                self._resume()
            started = connection.execute(batches.START, self._covered).rowcount
            if started or work.paused or work.away:
                connection.execute(names.FORGET_ERRORS, self._of_tenant)
                connection.execute(jobs.RETRY_MAPPINGS, self._of_tenant)
            connection.execute(jobs.LIFT_SIGN_IN, self._of_tenant)

    def _send(self) -> None:
        settings, work = self._settings, self._work
        if work.realm == NOT_CONNECTED:
            raise PausedError("No QuickBooks company is connected for this tenant.")
        budget = Budget(self._connection, settings, work.realm)
        client = self._client()
        with client.session:
            prepared = Preparation(self._connection, settings, work, self._stop, budget, client).run()
        if prepared is None:  # told to stop
            return
        workers = Workers(budget.max_in_flight(), self._client, settle_seconds=settings.settle_seconds)
        try:
            Sending(self._connection, settings, work, self._stop, budget, prepared, workers).run()
        finally:
            workers.close()

    def _client(self) -> Client:
        """Make a client of the company; for one thread alone."""
        return Client(
            url=self._settings.url,
            realm=self._work.realm,
            access_token=self._settings.access_token,
            timeout_seconds=self._settings.timeout_seconds,
        )

    def _finish(self) -> None:
        """End every batch: completed where all that it covers is confirmed, else a person must look."""
        reason = "Some documents were not taken; see their errors."
        with self._connection.transaction():
            if self._work.away:
                self._resume()
            self._connection.execute(batches.COMPLETE, self._of_tenant)
            self._connection.execute(counts.FORGET_EMPTY, self._of_tenant)
            self._connection.execute(batches.CALL_FOR_ATTENTION, {**self._covered, "reason": reason})

    def _resume(self) -> None:
        self._connection.execute(tenants.LIFT_PAUSE, self._of_tenant)
        self._connection.execute(batches.RESUME, self._of_tenant)

    def pause(self, reason: str, *, until_answered: bool = False, sign_in: bool = False) -> None:
        """Stop until a person acts or another access token comes, or only until QuickBooks answers."""
        _log.warning("the export is paused", tenant=self._work.tenant, error=reason)
        token = None if until_answered else self._settings.token_hash
        with self._connection.transaction():
            self._connection.execute(tenants.PAUSE, {**self._of_tenant, "reason": reason, "token": token})
            if sign_in:
                self._connection.execute(jobs.MARK_SIGN_IN, {**self._covered, "error": reason})
            if self._work.away:  # what an absence had ended must tell the new reason
                self._connection.execute(batches.RESUME, self._of_tenant)
            self._connection.execute(batches.COMPLETE, self._of_tenant)
            self._connection.execute(batches.CALL_ALL_FOR_ATTENTION, {**self._of_tenant, "reason": reason})
