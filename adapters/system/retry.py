"""Attempts that are made again: the one way in which a worker comes back after what it works with was lost."""

import threading
from collections.abc import Callable
from typing import Final

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

MIN_WAIT_SECONDS: Final = 0.2
MAX_WAIT_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)

Session = Callable[[Callable[[], None]], None]
"""Works until it is told to stop. It calls its argument whenever it got on: what it needs answers, and nothing is left
undone. A connection alone, as to a broker that then takes no message, is not enough: the waits would not grow."""


def keep_at(
    session: Session,
    *,
    name: str,
    stop: threading.Event,
    ready: Callable[[], None],
    lost: tuple[type[Exception], ...],
    max_wait_seconds: float = MAX_WAIT_SECONDS,
) -> None:
    """Run `session` until it returns or `stop` is set; after an exception of `lost`, begin it again.

    The wait before it grows with each attempt in vain, up to `max_wait_seconds`, at random, so that processes do
    not come back in step. `ready` is called once, when a session first works. Any other exception is raised.
    """
    announced = False

    def log(state: RetryCallState) -> None:
        assert state.outcome is not None
        error = state.outcome.exception()
        _log.warning("interrupted", worker=name, attempt=state.attempt_number, error=repr(error))

    attempts = Retrying(
        retry=retry_if_exception_type(lost),
        wait=wait_random_exponential(multiplier=MIN_WAIT_SECONDS, max=max_wait_seconds),
        stop=stop_when_event_set(stop),
        sleep=sleep_using_event(stop),
        before_sleep=log,
        retry_error_callback=lambda _: None,  # told to stop while it was lost
    )
    for attempt in attempts:
        if stop.is_set():
            return

        def working(state: RetryCallState = attempt.retry_state) -> None:
            nonlocal announced
            state.attempt_number = 1
            if not announced:
                announced = True
                ready()

        with attempt:
            session(working)
