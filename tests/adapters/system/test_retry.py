import threading
from collections.abc import Callable

import pytest

from adapters.system.retry import keep_at


class Lost(Exception):  # noqa: N818  what a session loses
    pass


def run(session: Callable[[Callable[[], None]], None], stop: threading.Event | None = None) -> int:
    """Keep at a session; returns how often it was announced as ready."""
    announced: list[None] = []
    keep_at(
        session,
        name="test",
        stop=stop or threading.Event(),
        ready=lambda: announced.append(None),
        lost=(Lost,),
        max_wait_seconds=0.001,
    )
    return len(announced)


def test_a_session_begins_again_until_it_returns_and_is_ready_once() -> None:
    attempts: list[int] = []

    def session(working: Callable[[], None]) -> None:
        attempts.append(len(attempts))
        if len(attempts) > 1:
            working()
        if len(attempts) < 5:
            raise Lost

    assert run(session) == 1
    assert attempts == [0, 1, 2, 3, 4]


def test_what_is_no_loss_is_raised() -> None:
    def session(_working: Callable[[], None]) -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        run(session)


def test_a_lost_session_ends_when_told_to_stop() -> None:
    stop = threading.Event()
    attempts: list[None] = []

    def session(_working: Callable[[], None]) -> None:
        attempts.append(None)
        stop.set()
        raise Lost

    assert run(session, stop) == 0
    assert len(attempts) == 1


def test_nothing_begins_after_the_stop() -> None:
    stop = threading.Event()
    stop.set()
    assert run(lambda _working: pytest.fail("it began"), stop) == 0
