"""What each answer of QuickBooks makes of a document."""

import time
from typing import Any

import msgspec
import pytest

from adapters.quickbooks.api.calls import Again, Call, Job, Settled, Step, perform, step
from adapters.quickbooks.api.client import Answered, Created, Missing
from adapters.quickbooks.api.errors import MAX_CALLS, Fault, JobState, Refused
from projections.views.export_reasons import ExportReason


def refused(code: str, *, resent: bool = False, calls: int = 1, detail: str = "") -> Step:
    return step(Fault(code=code, message="m", detail=detail), resent=resent, calls=calls)


def test_what_was_made_is_confirmed() -> None:
    assert step(Created(id="7", sync_token="0"), resent=False, calls=1) == Step(state=JobState.CONFIRMED)


@pytest.mark.parametrize(
    ("code", "state", "ask"),
    [
        ("429", JobState.PENDING, False),
        ("3001", JobState.PENDING, False),
        ("3200", JobState.NEEDS_SIGN_IN, False),
        ("3100", JobState.PENDING, False),
        ("5010", JobState.PENDING, False),
        ("6140", JobState.PENDING, True),
        ("620", JobState.PENDING, True),
        ("600", JobState.PENDING, True),
        ("6540", JobState.PENDING, True),
        ("10000", JobState.PENDING, True),
        ("6210", JobState.HELD, False),
        ("2500", JobState.NEEDS_MAPPING, False),
        ("2020", JobState.DEAD, False),
        ("2050", JobState.DEAD, False),
        ("2170", JobState.DEAD, False),
        ("6000", JobState.DEAD, False),
        ("6070", JobState.DEAD, False),
        ("610", JobState.DEAD, False),
        ("99999", JobState.DEAD, False),
    ],
)
def test_a_refusal_by_its_code(code: str, state: JobState, ask: bool) -> None:
    assert (refused(code).state, refused(code).ask) == (state, ask)


def test_6000_on_a_replay_proves_nothing() -> None:
    assert refused("6000", resent=True) == Step(state=JobState.PENDING, ask=True, error="6000 m")


def test_an_inactive_reference_is_a_mapping_to_mend() -> None:
    assert refused("610", detail="Item 7 has been made inactive").state is JobState.NEEDS_MAPPING


@pytest.mark.parametrize(
    ("code", "detail", "reason"),
    [
        ("6210", "", ExportReason.CLOSED_PERIOD),
        ("3200", "", ExportReason.SIGN_IN),
        ("2500", "", ExportReason.REFERENCE_MISSING),
        ("610", "has been made inactive", ExportReason.REFERENCE_INACTIVE),
        ("610", "has been deleted", ExportReason.REFUSED),
        ("6070", "", ExportReason.REFUSED),
        ("6140", "", ExportReason.NUMBER_TAKEN),
        ("620", "", ExportReason.LINK_REFUSED),
        ("10000", "", ExportReason.REFUSED_TOO_OFTEN),
    ],
)
def test_what_stays_has_a_reason_and_what_goes_again_has_none(
    code: str, detail: str, reason: ExportReason
) -> None:
    assert refused(code, calls=MAX_CALLS, detail=detail).reason is reason
    first = refused(code, detail=detail)
    assert first.reason is (None if first.state is JobState.PENDING else reason)


def test_an_answer_without_the_document_makes_us_look() -> None:
    assert step(Missing(), resent=False, calls=1).ask


@pytest.mark.parametrize("code", ["600", "10000", "5010", "620", "6140"])
def test_nothing_is_tried_for_ever(code: str) -> None:
    assert refused(code, calls=MAX_CALLS).state is JobState.DEAD


def test_throttling_never_kills_a_document() -> None:
    assert refused("3001", calls=1000).state is JobState.PENDING


# --- a call with answers that the emulator cannot be made to give


class QuickBooks:
    """Answers every call alike, and holds nothing."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def send_batch(self, body: bytes, *, request_id: str, count: int) -> Any:
        return self.answer

    def find(self, kind: str, field: str, values: Any, *, also: str = "") -> list[Any]:
        return []


def call(*kinds: Any, sent_at: float, resent: bool = False) -> Call:
    documents = tuple(
        Job(id=n, kind=kind, number=f"N-{n}", customer=None, body=b"{}", calls=1)
        for n, kind in enumerate(kinds)
    )
    return Call(id=1, request_id="r", body=b"", jobs=documents, resent=resent, sent_at=sent_at)


@pytest.mark.parametrize("outcome", [Missing(), Fault(code="10000", message="m")])
@pytest.mark.parametrize("kind", ["Payment", "JournalEntry"])
def test_what_may_yet_come_is_waited_for_where_its_number_does_not_guard_it(kind: Any, outcome: Any) -> None:
    client: Any = QuickBooks(Answered(outcomes=(Created(id="1", sync_token="0"), outcome)))
    just_sent = call("Invoice", kind, sent_at=time.monotonic())
    waited = perform(client, just_sent, settle_seconds=60)
    assert isinstance(waited, Again)
    assert waited.seconds is not None
    assert 50 < waited.seconds <= 60
    assert waited.look, "and not sent again, which might come too"
    long_ago = msgspec.structs.replace(just_sent, sent_at=time.monotonic() - 61, resent=True, look=True)
    client.answer = None
    settled = perform(client, long_ago, settle_seconds=60)
    assert isinstance(settled, Settled)
    assert [result.state for result in settled.results] == [JobState.PENDING] * 2


def test_a_call_that_is_sent_again_is_waited_for_from_then_on() -> None:
    """It was lost long ago; what its second sending leaves open may come as late as that of any first."""
    client: Any = QuickBooks(Answered(outcomes=(Fault(code="10000", message="m"),)))
    waited = perform(client, call("Payment", sent_at=time.monotonic() - 500, resent=True), settle_seconds=60)
    assert isinstance(waited, Again)
    assert waited.seconds is not None
    assert waited.seconds > 50


def test_a_call_refused_as_a_whole_is_divided_once_no_sending_of_it_is_open() -> None:
    client: Any = QuickBooks(Refused(fault=Fault(code="2010", message="m")))
    first = perform(client, call("Invoice", "Invoice", sent_at=time.monotonic()), settle_seconds=60)
    assert isinstance(first, Settled)
    assert first.divide
    assert [result.state for result in first.results] == [JobState.PENDING] * 2
    again = perform(
        client, call("Invoice", "Invoice", sent_at=time.monotonic(), resent=True), settle_seconds=60
    )
    assert isinstance(again, Again)
    alone = perform(client, call("Invoice", sent_at=time.monotonic()), settle_seconds=60)
    assert isinstance(alone, Settled)
    assert [result.state for result in alone.results] == [JobState.DEAD]


@pytest.mark.parametrize("code", ["6140", "620", "5010"])
def test_a_number_or_a_link_refused_with_a_whole_call_is_one_documents(code: str) -> None:
    client: Any = QuickBooks(Refused(fault=Fault(code=code, message="m")))
    settled = perform(client, call("Invoice", "Invoice", sent_at=time.time()), settle_seconds=60)
    assert isinstance(settled, Settled)
    assert settled.divide
    assert [result.state for result in settled.results] == [JobState.PENDING] * 2


def test_a_document_is_given_up_only_for_what_befell_it_alone() -> None:
    """One document may be why QuickBooks fails on all of a call."""
    client: Any = QuickBooks(Refused(fault=Fault(code="10000", message="m")))
    together = call("Invoice", "Invoice", sent_at=time.time())
    settled = perform(client, together, settle_seconds=60)
    assert isinstance(settled, Settled)
    assert not settled.divide
    often = tuple(msgspec.structs.replace(job, calls=MAX_CALLS) for job in together.jobs)
    settled = perform(client, msgspec.structs.replace(together, jobs=often), settle_seconds=60)
    assert isinstance(settled, Settled)
    assert settled.divide
    assert [result.state for result in settled.results] == [JobState.PENDING] * 2
    settled = perform(client, msgspec.structs.replace(together, jobs=often[:1]), settle_seconds=60)
    assert isinstance(settled, Settled)
    assert [result.state for result in settled.results] == [JobState.DEAD]
