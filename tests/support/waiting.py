"""What a test waits for, because another process or thread does it."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(ask: Callable[[], T | None], what: str = "", seconds: float = 60.0) -> T:
    """Ask until the answer is neither None nor False, and return it. Fails with `what` at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer is not None and answer is not False:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)
