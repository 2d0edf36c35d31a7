"""What each answer of QuickBooks makes of a document and of a call."""

import pytest

from adapters.quickbooks.api.outcomes import (
    MAX_CALLS,
    Barred,
    Created,
    Fault,
    JobState,
    Lost,
    Missing,
    Preferences,
    Refused,
    SignIn,
    Step,
    Throttled,
    classify,
    pauses,
    step,
    wrong_preference,
)


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


@pytest.mark.parametrize("code", ["120", "3100", "6190", "3200"])
def test_what_a_person_must_mend_pauses_the_tenant(code: str) -> None:
    assert pauses(Fault(code=code, message=""))
    assert not pauses(Fault(code="6000", message=""))


def test_http_answers() -> None:
    fault = Fault(code="6000", message="business")
    page = Fault(code="", message="Bad Gateway")
    assert classify(status=429, fault=None, retry_after_seconds=7.0) == Throttled(seconds=7.0)
    assert classify(status=400, fault=Fault(code="3001", message=""), retry_after_seconds=None) == Throttled(
        seconds=None
    )
    assert isinstance(classify(status=401, fault=None, retry_after_seconds=None), SignIn)
    assert isinstance(classify(status=502, fault=page, retry_after_seconds=None), Lost)
    assert isinstance(classify(status=500, fault=fault, retry_after_seconds=None), Lost)
    assert isinstance(classify(status=200, fault=page, retry_after_seconds=None), Lost)
    assert isinstance(classify(status=408, fault=None, retry_after_seconds=None), Lost)
    assert classify(status=400, fault=fault, retry_after_seconds=None) == Refused(fault=fault)
    assert classify(status=413, fault=page, retry_after_seconds=None) == Barred(
        reason="HTTP status 413: Bad Gateway"
    )
    assert isinstance(classify(status=403, fault=None, retry_after_seconds=None), Barred)


RIGHT = {
    "auto_apply_credit": False,
    "custom_numbers": True,
    "home_currency": "KES",
    "uses_sales_tax": False,
    "closed_until": None,
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"auto_apply_credit": True},
        {"custom_numbers": False},
        {"home_currency": "USD"},
        {"uses_sales_tax": True},
    ],
)
def test_a_wrong_preference_says_where_to_click(wrong: dict[str, object]) -> None:
    assert wrong_preference(Preferences(**RIGHT), currency="KES") is None
    reason = wrong_preference(Preferences(**{**RIGHT, **wrong}), currency="KES")
    assert reason is not None
    assert "Account and settings" in reason or "Taxes" in reason
