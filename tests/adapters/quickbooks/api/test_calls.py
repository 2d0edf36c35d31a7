"""What each answer of QuickBooks makes of a document."""

import pytest

from adapters.quickbooks.api.calls import Step, step
from adapters.quickbooks.api.client import Created, Missing
from adapters.quickbooks.api.errors import MAX_CALLS, Fault, JobState


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


def test_an_answer_without_the_document_makes_us_look() -> None:
    assert step(Missing(), resent=False, calls=1).ask


@pytest.mark.parametrize("code", ["600", "10000", "5010", "620", "6140"])
def test_nothing_is_tried_for_ever(code: str) -> None:
    assert refused(code, calls=MAX_CALLS).state is JobState.DEAD


def test_throttling_never_kills_a_document() -> None:
    assert refused("3001", calls=1000).state is JobState.PENDING
