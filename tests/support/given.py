"""`given(stream, *events).when(decision).then(*events)`, or `.then_refused(code)`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from functools import wraps
from typing import Any

import pytest

from domain.aggregates import apply, decode, initial
from domain.errors import Code, DomainError
from domain.event import Event, Stamp, State, Transaction, encode

AT = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)
TODAY = date(2026, 3, 2)
MOVED: Stamp = {
    "transaction_id": "0195a0c0-0000-7000-8000-000000000001",
    "effective_date": TODAY,
    "recorded_at": AT,
}
TRANSACTION = Transaction(stamp=MOVED, currency="KES")


def untaxed(total: int) -> dict[str, int]:
    """The parts of a line without discount and tax."""
    return {"discount": 0, "net": total, "tax": 0, "total": total}


Decision = Callable[[Any], Event | Sequence[Event] | None]


def on_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test that runs on an event loop of its own, and not for ever."""

    @wraps(test)
    def run(*arguments: object, **options: object) -> None:
        async def within_a_deadline() -> None:
            async with asyncio.timeout(60):
                await test(*arguments, **options)

        asyncio.run(within_a_deadline())

    return run


def fold(stream: str, events: Sequence[Event]) -> State:
    """The state after events, each as it comes back from storage."""
    state = initial(stream)
    for event in events:
        apply(state, decode(event.topic, encode(event)))
    return state


class given:  # noqa: N801  reads as the word that it is
    def __init__(self, stream: str, *events: Event) -> None:
        self.stream = stream
        self.events = events

    def when(self, decision: Decision) -> "_When":
        return _When(self, decision)


class _When:
    def __init__(self, before: given, decision: Decision) -> None:
        self._before = before
        self._decision = decision

    def then(self, *expected: Event, **state: Any) -> None:
        """The decision returns `expected`, changes nothing itself, and its events lead to `state`."""
        stream, events = self._before.stream, self._before.events
        found = self._decide()
        found = [] if found is None else [found] if isinstance(found, Event) else list(found)
        assert found == list(expected)
        after = fold(stream, [*events, *found])
        assert {name: getattr(after, name) for name in state} == state
        assert after.version == len(events) + len(found)

    def then_refused(self, code: Code, detail: str = "", /, **extra: str | int) -> None:
        """It is refused with `code` and `extra`, and with `detail` where the test says what people read."""
        with pytest.raises(DomainError) as refusal:
            self._decide()
        assert refusal.value.code == code
        assert refusal.value.extra == extra
        assert refusal.value.detail == detail if detail else refusal.value.detail

    def then_is_a_programming_error(self, match: str | None = None) -> None:
        with pytest.raises(AssertionError, match=match):
            self._decision(fold(self._before.stream, self._before.events))

    def _decide(self) -> Event | Sequence[Event] | None:
        state = fold(self._before.stream, self._before.events)
        try:
            return self._decision(state)
        finally:
            assert state == fold(self._before.stream, self._before.events), "a decision changes nothing"
