"""Attempts that are made again: the one way in which a worker comes back after what it works with was lost."""

import threading
import time
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
"""Works until it is told to stop. It calls its argument once it has what it needs, such as a connection."""


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

    The wait before it grows with each attempt, up to `max_wait_seconds`, at random, so that processes do not come
    back in step. It begins anew after a session that lasted longer than that: one that has a connection and is
    lost over the same write again and again waits longer each time. `ready` is called once, when a session first
    works. Any other exception is raised.
    """
    announced = False

    def log(state: RetryCallState) -> None:
        assert state.outcome is not None
        error = state.outcome.exception()
        _log.warning("interrupted", worker=name, attempt=state.attempt_number, error=repr(error))

    def working() -> None:
        nonlocal announced
        if not announced:
            announced = True
            ready()

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

        began = time.monotonic()
        with attempt:
            try:
                session(working)
            finally:
                if time.monotonic() - began > max_wait_seconds:
                    attempt.retry_state.attempt_number = 1
