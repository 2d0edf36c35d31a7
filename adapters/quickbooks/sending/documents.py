"""The sending of a tenant's documents: bound, put into calls, sent, settled, until none is left that could go."""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, Final

import msgspec
import structlog
from psycopg import Connection

from adapters.quickbooks.api.calls import Again, Call, Halted, Job, Result, Settled, Verdict
from adapters.quickbooks.api.client import MAX_BATCH_ITEMS, BatchItem, batch_body
from adapters.quickbooks.api.errors import JobState
from adapters.quickbooks.mapping.canonical import bind, fingerprint
from adapters.quickbooks.registry import batches, calls, jobs
from adapters.quickbooks.registry.rows import columns, select
from adapters.quickbooks.registry.tenants import Work
from adapters.quickbooks.sending.budget import Budget
from adapters.quickbooks.sending.interruptions import MAX_LOSSES, AwayError, PausedError
from adapters.quickbooks.sending.preparation import QuickBooksNames
from adapters.quickbooks.sending.waits import growing, seconds_after
from adapters.quickbooks.sending.workers import Workers
from adapters.quickbooks.settings import QuickBooksSettings
from projections.views.export_reasons import ExportReason

MAX_BIND_ROWS: Final = 600
MIN_WAIT_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 0.2

_log = structlog.get_logger(__name__)


class _WaitingCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call to be sent again, not before `due` (monotonic seconds)."""

    due: float
    call: Call


class _UnmappedError(Exception):
    """QuickBooks has nothing for a reference; the message says for which."""

    def __init__(self, reason: ExportReason, error: str) -> None:
        super().__init__(error)
        self.reason = reason


class Sending:
    """The documents of one turn. Every call is stored before it goes, and is with us until it is settled."""

    def __init__(
        self,
        connection: Connection[Any],
        settings: QuickBooksSettings,
        work: Work,
        stop: threading.Event,
        budget: Budget,
        names: QuickBooksNames,
        workers: Workers,
    ) -> None:
        self._connection = connection
        self._work = work
        self._stop = stop
        self._budget = budget
        self._names = names
        self._workers = workers
        self._growing = growing(first_seconds=MIN_WAIT_SECONDS, max_seconds=settings.max_wait_seconds)
        self._waiting: list[_WaitingCall] = []
        # By the call's id: the send of each that is with QuickBooks, and how often each was sent in vain.
        self._sends: dict[int, int] = {}
        self._losses: dict[int, int] = {}
        # How many calls were given up for this turn since the last that was settled.
        self._given_up = 0
        self._given_up_reason = ""
        # Documents that go in calls of their own, each the half of one that was refused as a whole.
        self._halves: list[Sequence[int]] = []
        self._quiet_until = 0.0

    def run(self) -> None:
        """Raises `PausedError` where nothing more can be sent, and in the end `AwayError` where calls got no
        answer; their calls stay open.
        """
        self._waiting = [_WaitingCall(due=0.0, call=call) for call in self._open_calls()]
        while not self._stop.is_set():
            idle = not self._launch()
            if idle and not self._sends and not self._waiting:
                if self._given_up_reason:
                    raise AwayError(self._given_up_reason)
                return
            answered = self._workers.take(_POLL_SECONDS)
            if answered is not None:
                self._conclude(*answered)

    # --- sending

    def _launch(self) -> bool:
        """Send what may go now. False if there is nothing that could."""
        now = time.monotonic()
        if now < self._quiet_until:
            return True
        due = [waiting for waiting in self._waiting if waiting.due <= now]
        for waiting in due[: self._workers.count - len(self._sends)]:
            call = waiting.call
            if not self._may_send(len(call.jobs)):
                return True
            self._waiting.remove(waiting)
            self._sends[call.id] = self._budget.spend(call.id, len(call.jobs))
            self._workers.submit(call)
        if self._given_up > self._workers.count:  # none of so many got an answer: new ones would not either
            return False
        while len(self._sends) + len(self._waiting) < self._workers.count:
            if not self._may_send(MAX_BATCH_ITEMS):
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
        """Store the next call as sent. None if no document is ready."""
        work = self._work
        pending = self._half() or self._pending()
        if not pending:
            return None
        seed = b"".join(job.fingerprint + b"%d" % job.attempts for job in pending)
        request_id = sha256(seed).hexdigest()[:32]
        body = batch_body(
            [BatchItem(kind=job.kind, body=job.body, changes=job.version > 1) for job in pending]
        )
        job_ids = [job.id for job in pending]
        with self._connection.transaction():
            (stored,) = select(
                self._connection,
                calls.StoredCall,
                calls.INSERT,
                tenant=work.tenant,
                realm=work.realm,
                request_id=request_id,
                job_ids=job_ids,
                body=body,
            )
            self._connection.execute(calls.MARK_SENT, {"call_id": stored.id, "job_ids": job_ids})
            send_id = self._budget.spend(stored.id, len(pending))
        self._sends[stored.id] = send_id
        sent = [
            Job(
                id=job.id,
                kind=job.kind,
                number=job.number,
                customer=job.customer,
                body=job.body,
                calls=job.counted + 1,
                changes=job.version > 1,
            )
            for job in pending
        ]
        return Call(
            id=stored.id,
            request_id=request_id,
            body=body,
            jobs=tuple(sent),
            resent=False,
            sent_at=time.monotonic(),
        )

    def _half(self) -> list[jobs.PendingJob]:
        """The documents of the next half of a call that was refused as a whole."""
        while self._halves:
            half = select(self._connection, jobs.PendingJob, jobs.SELECT_APART, ids=self._halves.pop())
            if half:
                return half
        return []

    def _pending(self) -> list[jobs.PendingJob]:
        """The next documents that are ready, bound as far as it takes."""
        pending = self._bound()
        while len(pending) < MAX_BATCH_ITEMS and self._bind():
            pending = self._bound()
        return pending

    def _bound(self) -> list[jobs.PendingJob]:
        work = self._work
        return select(
            self._connection,
            jobs.PendingJob,
            jobs.SELECT_PENDING,
            tenant=work.tenant,
            last_position=work.last_position,
            apart=[job_id for half in self._halves for job_id in half],
            rows=MAX_BATCH_ITEMS,
        )

    def _bind(self) -> bool:
        """Fix the bytes of documents that are ready for it, or set them aside. False if there was none."""
        bindable = select(
            self._connection,
            jobs.BindableJob,
            jobs.SELECT_BINDABLE,
            tenant=self._work.tenant,
            last_position=self._work.last_position,
            rows=MAX_BIND_ROWS,
        )
        bound: list[jobs.BoundJob] = []
        unmapped: list[jobs.UnmappedJob] = []
        for job in bindable:
            own = {
                f"Customer/{job.customer}": job.customer_id,
                f"Invoice/{job.invoice}": job.invoice_id,
                f"CreditMemo/{job.credit_memo}": job.credit_memo_id,
                f"{job.kind}/{job.number}": job.changed_id,
                f"SyncToken/{job.number}": job.sync_token,
            }
            try:
                body = bind(job.template, partial(self._identifier, own=own))
            except _UnmappedError as error:
                unmapped.append(jobs.UnmappedJob(id=job.id, reason=error.reason, error=str(error)))
            else:
                bound.append(jobs.BoundJob(id=job.id, body=body, fingerprint=fingerprint(body)))
        with self._connection.transaction():
            self._connection.execute(jobs.BIND, columns(jobs.BoundJob, bound))
            if unmapped:
                self._connection.execute(jobs.MARK_NEEDS_MAPPING, columns(jobs.UnmappedJob, unmapped))
        return bool(bindable)

    def _identifier(self, reference: str, own: Mapping[str, str | None]) -> str:
        """QuickBooks' id for a reference of `canonical.reference`. Raises `_UnmappedError`."""
        kind, _, key = reference.partition("/")
        match kind:
            case "Account":
                identifier = self._names.quickbooks_accounts.get(key)
            case "Item":
                identifier = self._names.quickbooks_items.get(key)
            case "TaxCode":
                identifier = self._names.tax_codes.get(key)
            case "TaxRate":
                identifier = self._names.tax_rates.get(key)
            case "AccountOfRole" | "ItemOfRole":
                code = self._work.chart.get(key)
                if code is None:
                    error = f"No account stands for the role {key}."
                    raise _UnmappedError(ExportReason.ROLE_WITHOUT_ACCOUNT, error)
                return self._identifier(f"{kind.removesuffix('OfRole')}/{code}", own)
            case _:
                identifier = own.get(reference)
        if identifier is None:
            refused = self._names.refused.get((kind, key)) or self._names.refused.get(("Account", key))
            if refused is not None:
                raise _UnmappedError(refused.reason, refused.error)
            raise _UnmappedError(ExportReason.REFERENCE_MISSING, f"QuickBooks has no {kind} {key}.")
        return identifier

    # --- what came back

    def _conclude(self, call: Call, verdict: Verdict) -> None:
        send_id = self._sends.pop(call.id)
        match verdict:
            case Settled():
                with self._connection.transaction():
                    self._settle(call, verdict)
                    self._budget.answered(send_id, "settled")
                    self._connection.execute(batches.COMPLETE, {"tenant": self._work.tenant})
                if verdict.divide:
                    self._divide([one.job_id for one in verdict.results if one.state is JobState.PENDING])
                states = Counter(result.state.value for result in verdict.results)
                _log.info(
                    "documents were sent",
                    tenant=self._work.tenant,
                    call=call.id,
                    milliseconds=int((time.monotonic() - call.sent_at) * 1000),
                    **states,
                )
                if verdict.pause is not None:
                    raise PausedError(verdict.pause)
            case Again():
                self._send_again(call, verdict, send_id)
            case Halted():
                self._budget.answered(send_id, verdict.reason)
                raise PausedError(verdict.reason, sign_in=verdict.sign_in)

    def _settle(self, call: Call, verdict: Settled) -> None:
        settled = {"call_id": call.id, "divided": verdict.divide, **columns(Result, verdict.results)}
        self._connection.execute(calls.SETTLE_JOBS, settled)
        self._connection.execute(calls.CLOSE, {"call_id": call.id})
        self._given_up = 0

    def _divide(self, job_ids: Sequence[int]) -> None:
        middle = (len(job_ids) + 1) // 2
        self._halves += [half for half in (job_ids[middle:], job_ids[:middle]) if half]

    def _send_again(self, call: Call, verdict: Again, send_id: int) -> None:
        if verdict.seconds is None or verdict.quiet:
            self._losses[call.id] = self._losses.get(call.id, 0) + 1
        losses = self._losses.get(call.id, 0)
        if verdict.quiet:
            wait = self._budget.be_quiet(verdict.seconds)
        elif verdict.seconds is not None:
            wait = verdict.seconds
        else:
            wait = seconds_after(losses, self._growing)
        with self._connection.transaction():
            self._budget.answered(send_id, verdict.reason)
            if not verdict.harmless:
                self._connection.execute(calls.MARK_UNKNOWN, {"error": verdict.reason, "call_id": call.id})
        if losses >= MAX_LOSSES:
            self._given_up, self._given_up_reason = self._given_up + 1, verdict.reason
            return
        resent = call.resent or not verdict.harmless
        look = verdict.look or call.look
        sent_at = call.sent_at if look else time.monotonic()
        self._waiting.append(
            _WaitingCall(
                due=time.monotonic() + wait,
                call=msgspec.structs.replace(call, resent=resent, sent_at=sent_at, look=look),
            )
        )

    def _open_calls(self) -> list[Call]:
        """The calls that an earlier sender left without an outcome."""
        open_calls: dict[int, Call] = {}
        for row in select(self._connection, calls.OpenCallJob, calls.SELECT_OPEN, tenant=self._work.tenant):
            job = Job(
                id=row.job_id,
                kind=row.kind,
                number=row.number,
                customer=row.customer,
                body=row.job_body,
                calls=row.counted,
                changes=row.version > 1,
            )
            call = open_calls.get(row.call_id) or Call(
                id=row.call_id,
                request_id=row.request_id,
                body=row.call_body,
                jobs=(),
                resent=True,
                sent_at=time.monotonic() - row.sent_seconds_ago,
            )
            open_calls[row.call_id] = msgspec.structs.replace(call, jobs=(*call.jobs, job))
        return list(open_calls.values())
