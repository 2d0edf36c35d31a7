"""A few calls in flight at once: threads that wait for QuickBooks, each with a client of its own."""

import queue
import threading
from collections.abc import Callable

from adapters.quickbooks.api.calls import Call, Verdict, perform
from adapters.quickbooks.api.client import Client


class Workers:
    """Performs calls and hands back their verdicts, in the order in which they come.

    The threads are daemons: a process that must end does not wait for an answer, since a call without one
    is stored as open and sent again. `count` is how many calls can be at work at once.
    """

    def __init__(self, count: int, make_client: Callable[[], Client], *, settle_seconds: float) -> None:
        self._make_client = make_client
        self._settle_seconds = settle_seconds
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._verdicts: queue.SimpleQueue[tuple[Call, Verdict | Exception]] = queue.SimpleQueue()
        self.count = count
        for number in range(count):
            threading.Thread(target=self._work, name=f"quickbooks-{number}", daemon=True).start()

    def _work(self) -> None:
        client = self._make_client()
        while (call := self._calls.get()) is not None:
            try:
                verdict: Verdict | Exception = perform(client, call, settle_seconds=self._settle_seconds)
            except Exception as error:  # noqa: BLE001  handed over to the thread that asked
                verdict = error
            self._verdicts.put((call, verdict))
        client.session.close()

    def submit(self, call: Call) -> None:
        """Have a call performed."""
        self._calls.put(call)

    def take(self, timeout_seconds: float) -> tuple[Call, Verdict] | None:
        """The next verdict, or None after the time-out. Raises what broke a worker."""
        try:
            call, verdict = self._verdicts.get(timeout=timeout_seconds)
        except queue.Empty:
            return None
        if isinstance(verdict, Exception):
            raise verdict
        return call, verdict

    def close(self) -> None:
        """Let each thread end after the call that it is at."""
        for _ in range(self.count):
            self._calls.put(None)
