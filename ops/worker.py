"""The one frame of all workers: how a projector, relay or exporter lives as a process, and how it ends."""

import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

from adapters.system.retry import keep_at
from ops.settings import Settings

MAX_PROJECTOR_WAIT_SECONDS: Final = 2.0
"""How long a projector that lost the database waits at most before it tries again: readers wait for it."""

Work = Callable[[threading.Event, Callable[[], None]], None]
"""What a worker does until its event is set; it calls its other argument once it works."""


def run_worker(settings: Settings, work: Work, *, niceness: int) -> None:
    """Run a worker until SIGTERM or SIGINT; it makes the ready file once it works. Raises what ends `work`.

    On a full machine whoever waits for an answer comes first: a worker yields the processor to the API,
    the more the nicer it is, and catches up when there is room.
    """
    os.nice(niceness)
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)

    def ready() -> None:
        if settings.ready_file:
            Path(settings.ready_file).touch()

    work(stop, ready)


def run_projector(url: str, stop: threading.Event, ready: Callable[[], None], *, snapshot_key: bytes) -> None:
    """Project until `stop` is set, through every loss of the database. Raises `UnknownTopicError`.

    `url` connects as bursar_projector; `ready` is called once all that was there has been folded, `snapshot_key`
    seals snapshots.
    """
    from projections.engine import runner  # no other worker needs the projections

    keep_at(
        partial(runner.follow, url, stop, snapshot_key=snapshot_key),
        name="projector",
        stop=stop,
        ready=ready,
        lost=runner.LOST,
        max_wait_seconds=MAX_PROJECTOR_WAIT_SECONDS,
    )
