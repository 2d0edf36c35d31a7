"""Waiting between attempts of a process that never gives up."""

import random
import threading


class Backoff:
    """A wait that doubles up to `longest` seconds, spread so that processes do not come back in step."""

    def __init__(self, *, first: float = 0.1, longest: float = 5.0) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def wait(self, stop: threading.Event) -> None:
        """Wait for the next attempt; return at once when `stop` is set."""
        stop.wait(self._next * random.uniform(0.5, 1.0))  # noqa: S311 - no secret depends on it
        self._next = min(self._next * 2, self._longest)

    def reset(self) -> None:
        """Begin anew after something worked."""
        self._next = self._first
