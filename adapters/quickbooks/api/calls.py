"""One call to QuickBooks, from its stored bytes to what became of each of its documents. No database here."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from adapters.quickbooks.api.client import INACTIVE, Answered, Client, Created, Missing, Outcome
from adapters.quickbooks.api.errors import (
    MAX_CALLS,
    UNCERTAIN,
    Barred,
    CallError,
    Failure,
    Fault,
    JobState,
    Lost,
    Refused,
    Rule,
    SignIn,
    Throttled,
    pauses,
    rule,
)
from adapters.quickbooks.mapping.canonical import Json, parse, same_document
from adapters.quickbooks.mapping.document import NUMBER_FIELD, DocumentKind
from projections.views.export_reasons import ExportReason

UNGUARDED: Final[frozenset[DocumentKind]] = frozenset({"Payment", "JournalEntry"})
"""Kinds whose number QuickBooks may take twice: if their request id has expired, only looking first helps."""


# --- what an answer makes of a document


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A document's next state. With `ask` it holds only if it is not in QuickBooks; what is there is adopted."""

    state: JobState
    reason: ExportReason | None = None
    error: str = ""
    ask: bool = False


def step(outcome: Outcome, *, resent: bool, calls: int) -> Step:
    """What becomes of a document. `resent`: its call had been sent before; `calls`: how many it was in."""
    match outcome:
        case Created():
            return Step(state=JobState.CONFIRMED)
        case Missing():
            return _ruled(UNCERTAIN, "The answer does not name the document.", calls)
        case Fault():
            return _ruled(rule(outcome, resent=resent), str(outcome), calls)


def _ruled(ruled: Rule, error: str, calls: int) -> Step:
    spent = ruled.max_calls is not None and calls >= ruled.max_calls
    state = JobState.DEAD if spent else ruled.state
    reason = None if state is JobState.PENDING else ruled.reason
    return Step(state=state, reason=reason, error=error, ask=ruled.ask)


# --- calls, and what became of them


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it is sent. `calls` counts the calls it was in, this one included, but not those that were divided.

    `changes` says that it is there already, and becomes what its body says.
    """

    id: int
    kind: DocumentKind
    number: str
    customer: str | None
    body: bytes
    calls: int
    changes: bool = False


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A stored call. `resent`: it may have been sent before, last at `sent_at` (monotonic seconds).

    `look`: it is only looked for, since an answer to it left open what became of it.
    """

    id: int
    request_id: str
    body: bytes
    jobs: tuple[Job, ...]
    resent: bool
    sent_at: float
    look: bool = False


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one document."""

    job_id: int
    state: JobState
    quickbooks_id: str | None = None
    sync_token: str | None = None
    reason: ExportReason | None = None
    error: str | None = None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """The call is over. `pause` says why nothing more can be sent for the tenant, if so.

    `divide`: it was refused as a whole over one of its documents, nobody says which. What is pending now goes again
    in two calls, and this one counts against none of it.
    """

    results: tuple[Result, ...]
    pause: str | None = None
    divide: bool = False


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """The same call must be sent again: after `seconds`, or after the caller's own back-off.

    `quiet`: QuickBooks wants to hear nothing of this company until then. `harmless`: this time it was
    refused before anything happened, which is as good as not sent. `look`: it is not sent again, but looked
    for, since it was answered and what comes of it may still be on its way.
    """

    reason: str
    seconds: float | None = None
    quiet: bool = False
    harmless: bool = False
    look: bool = False


class Halted(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing can be sent for the tenant until a person has acted; the call stays open."""

    reason: str
    sign_in: bool = False


Verdict = Settled | Again | Halted


def perform(client: Client, call: Call, *, settle_seconds: float) -> Verdict:
    """Send a call, and look for what its answer leaves open. Never raises for what QuickBooks does."""
    try:
        verdict = _attempt(client, call, settle_seconds)
        if isinstance(verdict, Halted) and verdict.sign_in:
            # a gateway may say so after the call went through
            verdict = _attempt(client, msgspec.structs.replace(call, resent=True), settle_seconds)
    except CallError as error:  # a look-up failed: the same call again finds out
        verdict = _unsettled(error.failure)
        if isinstance(verdict, Again):
            verdict = msgspec.structs.replace(verdict, harmless=False)
    return verdict


def _attempt(client: Client, call: Call, settle_seconds: float) -> Verdict:
    if call.look or (call.resent and any(job.kind in UNGUARDED for job in call.jobs)):
        seen = _seen_already(client, call, settle_seconds)
        if seen is not None:
            return seen
    # What comes of it is waited for from now on.
    call = msgspec.structs.replace(call, sent_at=time.monotonic())
    outcome = client.send_batch(call.body, request_id=call.request_id, count=len(call.jobs))
    return _verdict(client, call, outcome, settle_seconds)


def _seen_already(client: Client, call: Call, settle_seconds: float) -> Verdict | None:
    """Settle a call by what of it is in QuickBooks; None if nothing is, and it may be sent again."""
    held = look_up(client, call.jobs)
    if not held and not call.look:
        return None
    coming = _coming(call, call.jobs, held, settle_seconds)
    if coming is not None:
        return coming
    steps = [step(Missing(), resent=True, calls=job.calls) for job in call.jobs]
    return Settled(results=tuple(_adopted(job, s, held) for job, s in zip(call.jobs, steps, strict=True)))


def _coming(call: Call, jobs: Sequence[Job], held: "Held", settle_seconds: float) -> Again | None:
    """Wait where one of `jobs` is not in QuickBooks, and may yet come of this call."""
    seconds = call.sent_at + settle_seconds - time.monotonic()
    if seconds <= 0 or all((job.kind, job.number) in held for job in jobs):
        return None
    return Again(reason="Not all of the call is there; the rest may be coming.", seconds=seconds, look=True)


def _is_of_one(call: Call, ruled: Rule) -> bool:
    """Whether a call refused as a whole is to be divided: one of its documents is refused, or all failed too often."""
    if len(call.jobs) == 1:
        return False
    return ruled != UNCERTAIN or any(job.calls >= MAX_CALLS for job in call.jobs)


def _unguarded(jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if job.kind in UNGUARDED]


def _divided(client: Client, call: Call, fault: Fault, ruled: Rule, settle_seconds: float) -> Verdict:
    """What is left of a call that was refused as a whole: what it, or an earlier sending of it, made is there."""
    held: Held = {}
    if call.resent or ruled.ask:
        held = look_up(client, call.jobs)
        awaited = call.jobs if call.resent else _unguarded(call.jobs)
        coming = _coming(call, awaited, held, settle_seconds)
        if coming is not None:
            return coming
    refused = Step(state=JobState.PENDING, error=str(fault))
    return Settled(results=tuple(_adopted(job, refused, held) for job in call.jobs), divide=True)


def _verdict(client: Client, call: Call, answer: Answered | Failure, settle_seconds: float) -> Verdict:
    outcomes: tuple[Outcome, ...]
    match answer:
        case Answered():
            outcomes = answer.outcomes
        case Refused(fault=fault) if not pauses(fault):
            ruled = rule(fault, resent=call.resent)
            if _is_of_one(call, ruled):
                return _divided(client, call, fault, ruled, settle_seconds)
            outcomes = (fault,) * len(call.jobs)
        case _:
            return _unsettled(answer)
    steps = [step(o, resent=call.resent, calls=job.calls) for o, job in zip(outcomes, call.jobs, strict=True)]
    asked = [job for job, s in zip(call.jobs, steps, strict=True) if s.ask]
    held = look_up(client, asked) if asked else {}
    coming = _coming(call, _unguarded(asked), held, settle_seconds)
    if coming is not None:
        return coming
    results: list[Result] = []
    for job, outcome, own in zip(call.jobs, outcomes, steps, strict=True):
        if isinstance(outcome, Created):
            results.append(
                Result(
                    job_id=job.id,
                    state=own.state,
                    quickbooks_id=outcome.id,
                    sync_token=outcome.sync_token,
                )
            )
        elif own.ask:
            results.append(_adopted(job, own, held))
        else:
            told = _inactive(client, job, own) if own.reason is ExportReason.REFERENCE_INACTIVE else own
            results.append(Result(job_id=job.id, state=told.state, reason=told.reason, error=told.error))
    pause = next((str(one) for one in outcomes if isinstance(one, Fault) and pauses(one)), None)
    return Settled(results=tuple(results), pause=pause)


def _unsettled(failure: Failure) -> Verdict:
    match failure:
        case Throttled(seconds=seconds):
            return Again(reason="Throttled.", seconds=seconds, quiet=True, harmless=True)
        case Lost(reason=reason):
            return Again(reason=reason)
        case SignIn(reason=reason):
            return Halted(reason=reason, sign_in=True)
        case Barred(reason=reason):
            return Halted(reason=reason)
        case Refused(fault=fault):
            return Halted(reason=str(fault)) if pauses(fault) else Again(reason=str(fault))


Held = Mapping[tuple[str, str], Sequence[Json]]
"""Documents in QuickBooks by kind and number."""


def look_up(client: Client, jobs: Sequence[Job]) -> Held:
    """What QuickBooks holds under the jobs' kinds and numbers. Raises `CallError`.

    A document that is to be changed is held once it is as it is to be.
    """
    numbers: dict[DocumentKind, list[str]] = {}
    for job in jobs:
        numbers.setdefault(job.kind, []).append(job.number)
    held: dict[tuple[str, str], list[Json]] = {}
    for kind, wanted in numbers.items():
        for document in client.find(kind, NUMBER_FIELD[kind], wanted):
            held.setdefault((kind, document[NUMBER_FIELD[kind]]), []).append(document)
    for job in jobs:
        if job.changes:
            found = held.pop((job.kind, job.number), [])
            changed = [document for document in found if same_document(job.kind, job.body, document)]
            if changed:
                held[job.kind, job.number] = changed
    return held


def _adopted(job: Job, absent: Step, held: Held) -> Result:
    """Adopt the document that is there and equal; what is there and differs is a person's to judge."""
    documents = held.get((job.kind, job.number), ())
    if not documents:
        return Result(job_id=job.id, state=absent.state, reason=absent.reason, error=absent.error)
    if len(documents) > 1:
        return _taken(job, f"QuickBooks has {len(documents)} documents {job.kind} {job.number}.")
    document = documents[0]
    if not same_document(job.kind, job.body, document):
        return _taken(job, f"QuickBooks has another {job.kind} {job.number}, with id {document['Id']}.")
    return Result(
        job_id=job.id,
        state=JobState.CONFIRMED,
        quickbooks_id=str(document["Id"]),
        sync_token=str(document.get("SyncToken", "0")),
    )


def _taken(job: Job, error: str) -> Result:
    return Result(job_id=job.id, state=JobState.DEAD, reason=ExportReason.NUMBER_TAKEN, error=error)


# --- which of the names that a document refers to is inactive

_NAMES: Final = (
    ("Customer", ("CustomerRef",), ExportReason.CUSTOMER_INACTIVE),
    ("Item", ("ItemRef",), ExportReason.ITEM_INACTIVE),
    ("Account", ("DepositToAccountRef", "AccountRef"), ExportReason.ACCOUNT_INACTIVE),
)


def _inactive(client: Client, job: Job, found: Step) -> Step:
    """Say which name of a document is inactive, as QuickBooks' own words do not. Raises `CallError`."""
    body = parse(job.body)
    for kind, references, reason in _NAMES:
        ids = sorted({identifier for name in references for identifier in _references(body, name)})
        inactive = client.find(kind, "Id", ids, also=INACTIVE) if ids else []
        if inactive:
            names = {"Customer": job.customer, "Account": inactive[0].get("AcctNum")}
            name = names.get(kind) or inactive[0].get("Name") or ""
            error = f"The {kind.lower()} {name}".rstrip() + " is inactive in QuickBooks."
            return msgspec.structs.replace(found, reason=reason, error=error)
    return found


def _references(node: Any, name: str) -> Iterator[str]:
    """The ids under each reference of a name, wherever it stands."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == name:
                yield str(value["value"])
            else:
                yield from _references(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value, name)
