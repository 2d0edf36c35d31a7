"""The export's state machine: what an answer of QuickBooks makes of a row, pure.

Codes and their meaning: Intuit's list of error codes for QuickBooks Online; docs/reference/quickbooks.md has
the table. An answer that does not prove that a document was made, or was not, makes us look for it
(`Step.ask`); only a row proved absent is ever sent again in another call.
"""

from enum import StrEnum
from typing import Final

import msgspec

MAX_CALLS: Final = 5
"""In how many calls a row may be refused for reasons that pass, before it is put aside."""


class JobState(StrEnum):
    """What became of a document so far."""

    BLOCKED = "blocked"
    """It needs the QuickBooks id of a customer, an item, an account or another document."""
    PENDING = "pending"
    SENT = "sent"
    CONFIRMED = "confirmed"
    UNKNOWN = "unknown"
    """Sent, and the answer was lost."""
    HELD = "held"
    """Its date lies in a period that is closed in QuickBooks."""
    NEEDS_MAPPING = "needs_mapping"
    NEEDS_SIGN_IN = "needs_sign_in"
    DEAD = "dead"
    """QuickBooks refuses it; a person must look."""


# --- what comes back for one document


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """QuickBooks made it, under this id."""

    id: str
    sync_token: str


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal in QuickBooks' words; `code` is a number from Intuit's list, or empty."""

    code: str
    message: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.code} {self.message}: {self.detail}".strip(" :")


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """The answer says nothing of it."""


Outcome = Created | Fault | Missing


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A row's next state. With `ask` it holds only if the document is not there; what is there is adopted."""

    state: JobState
    error: str = ""
    ask: bool = False


class _Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a refusal makes of a row. With `calls` it becomes dead once it was in so many calls."""

    state: JobState
    ask: bool = False
    calls: int | None = None


_LATER: Final = _Rule(state=JobState.PENDING)  # refused before anything happened
_SIGN_IN: Final = _Rule(state=JobState.NEEDS_SIGN_IN)
_UNKNOWN: Final = _Rule(state=JobState.PENDING, ask=True, calls=MAX_CALLS)
_MAPPING: Final = _Rule(state=JobState.NEEDS_MAPPING)
_ONCE_MORE: Final = _Rule(state=JobState.PENDING, ask=True, calls=2)
_DEAD: Final = _Rule(state=JobState.DEAD)

_RULES: Final = {
    "429": _LATER,
    "3001": _LATER,
    "401": _SIGN_IN,
    "3200": _SIGN_IN,
    "120": _LATER,
    "3100": _LATER,
    "6190": _LATER,
    "600": _UNKNOWN,
    "6540": _UNKNOWN,
    "500": _UNKNOWN,
    "503": _UNKNOWN,
    "10000": _UNKNOWN,
    # another document of the same call changed what this one links
    "5010": _Rule(state=JobState.PENDING, calls=MAX_CALLS),
    "6140": _ONCE_MORE,
    "620": _ONCE_MORE,
    "6210": _Rule(state=JobState.HELD),
    "2500": _MAPPING,
}
"""By QuickBooks' code. Any other is a refusal for good."""

_PAUSES: Final = frozenset({"120", "3100", "6190", "401", "3200"})
_THROTTLES: Final = frozenset({"429", "3001"})
_SIGNS_IN: Final = frozenset({"401", "3200"})


def step(outcome: Outcome, *, resent: bool, calls: int) -> Step:
    """What becomes of a row. `resent`: the call had been sent before; `calls`: how many calls it was in."""
    match outcome:
        case Created():
            return Step(state=JobState.CONFIRMED)
        case Missing():
            return _ruled(_UNKNOWN, "The answer does not name the document.", calls)
        case Fault():
            return _ruled(_rule(outcome, resent=resent), str(outcome), calls)


def _rule(fault: Fault, *, resent: bool) -> _Rule:
    if fault.code == "6000" and resent:  # replays of batches have been seen to answer so
        return _UNKNOWN
    if fault.code == "610" and "inactive" in str(fault).lower():
        return _MAPPING
    return _RULES.get(fault.code, _DEAD)


def _ruled(rule: _Rule, error: str, calls: int) -> Step:
    spent = rule.calls is not None and calls >= rule.calls
    return Step(state=JobState.DEAD if spent else rule.state, error=error, ask=rule.ask)


def pauses(fault: Fault) -> bool:
    """Tell whether nothing more can be sent for the tenant until a person has acted."""
    return fault.code in _PAUSES


# --- what comes back for a call


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome for each document of the call, in its order."""

    outcomes: tuple[Outcome, ...]


class Throttled(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing happened; ask again after `seconds`, where QuickBooks named them."""

    seconds: float | None


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody knows whether it happened."""

    reason: str


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The whole call was refused."""

    fault: Fault


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """The access token is not taken."""

    reason: str


class Barred(msgspec.Struct, frozen=True, kw_only=True):
    """Something refuses us without a code of QuickBooks', as a gateway does; asking again does not help."""

    reason: str


CallOutcome = Answered | Throttled | Lost | Refused | SignIn | Barred


def classify(*, status: int, fault: Fault | None, retry_after_seconds: float | None) -> CallOutcome:
    """What an HTTP answer that is no success says about its call."""
    code = fault.code if fault is not None else ""
    shown = fault or Fault(code="", message=f"HTTP status {status}")
    if status == 429 or code in _THROTTLES:
        return Throttled(seconds=retry_after_seconds)
    if status == 401 or code in _SIGNS_IN:
        return SignIn(reason=str(shown))
    if 400 <= status < 500 and status != 408 and not code:  # 408: a gateway grew tired of waiting
        return Barred(reason=f"HTTP status {status}: {shown}")
    if status >= 500 or fault is None or not code:
        return Lost(reason=f"HTTP status {status}: {shown}")
    return Refused(fault=fault)


# --- the company's preferences


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """What of a company's preferences decides whether we may post. `closed_until` is an ISO date."""

    auto_apply_credit: bool
    custom_numbers: bool
    home_currency: str
    uses_sales_tax: bool
    closed_until: str | None


def wrong_preference(preferences: Preferences, *, currency: str) -> str | None:
    """Why nothing may be posted with these preferences, and where to click; None if all is well."""
    if preferences.auto_apply_credit:
        return (
            "QuickBooks would use up credit memos by itself. Turn off Account and settings > Advanced >"
            " Automation > Automatically apply credits."
        )
    if not preferences.custom_numbers:
        return (
            "QuickBooks would take the same number twice. Turn on Account and settings > Sales > Sales form"
            " content > Custom transaction numbers."
        )
    if preferences.home_currency != currency:
        return (
            f"The company's home currency is {preferences.home_currency}, the ledger's is {currency}."
            " Connect the company of this school (Account and settings > Advanced > Currency)."
        )
    if preferences.uses_sales_tax:
        return (
            "Sales tax is set up in this company, and documents without tax codes would be refused."
            " Turn it off under Taxes > Sales tax settings, or connect another company."
        )
    return None
