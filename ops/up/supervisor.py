"""Runs parts as processes of their own and keeps them running until it is told to end.

Each part has its own session and a parent-death signal: Ctrl-C reaches the supervisor alone, and no part
outlives it. The signals that matter are blocked and waited for, so nothing happens between two steps.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from adapters.system.files import write_atomically
from adapters.system.processes import Account, spawn, start_time

SETTLED_SECONDS = 2.0  # one that dies later than this after it was ready is started again at once
LONGEST_DELAY_SECONDS = 5.0
_FIRST_DELAY_SECONDS = 0.1
_POLL_SECONDS = 0.05  # while something is starting; otherwise a signal wakes us
_IDLE_SECONDS = 1.0
_FOUNDATIONS_AFTER_SECONDS = 3.0  # at the latest, so that they too have time to drain
_KILL_AFTER_SECONDS = 4.0
_LOG_LIMIT_BYTES = 10_000_000


class AlreadyRunningError(Exception):
    """Another supervisor works in this folder."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One process to keep running. Parts start side by side, each once those that it names have been ready."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: Callable[[], bool]  # quick: asked again and again while the part starts
    after: Sequence[
        str
    ] = ()  # parts before it in the list, for its first start; later it starts without them
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL  # what it gets when the supervisor died
    foundation: bool = False  # others stand on it: it is ended when they are gone
    before_start: Callable[[], None] | None = None  # before each start
    once_ready: Callable[[], None] | None = None  # once, when first ready, before those after it start


class _Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A part's process as noted for the next supervisor, should this one be killed."""

    pid: int
    started: int
    orphan_signal: int


@dataclass(kw_only=True)
class _Child:
    part: Part
    process: subprocess.Popen[bytes] | None = None
    started: int | None = None  # of the process, as `start_time` gives it
    ready_at: float | None = None
    was_ready: bool = False  # ever; its `once_ready` has succeeded
    delay: float = 0.0
    not_before: float = 0.0

    def postpone(self) -> None:
        """Wait before the next start, longer each time."""
        self.delay = min(max(2 * self.delay, _FIRST_DELAY_SECONDS), LONGEST_DELAY_SECONDS)
        self.not_before = time.monotonic() + self.delay


@contextmanager
def sole_owner(folder: Path) -> Generator[None]:
    """Hold the folder for one supervisor, and end what a killed one left behind in it.

    Raises AlreadyRunningError if one is at work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600), "r+") as lock:  # noqa: PTH123 - by descriptor
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(f"process {lock.read().strip()} already runs on {folder}") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        _end_leftovers(_record(folder))
        yield


def _record(folder: Path) -> Path:
    return folder / "parts.json"


def _end_leftovers(record: Path) -> None:
    try:
        recorded = msgspec.json.decode(record.read_bytes(), type=list[_Recorded])
    except FileNotFoundError:
        return
    for each in recorded:
        _signal_recorded(each, signal.Signals(each.orphan_signal))
    deadline = time.monotonic() + _KILL_AFTER_SECONDS
    while left := [each for each in recorded if start_time(each.pid) == each.started]:
        if time.monotonic() > deadline:
            for each in left:
                _signal_recorded(each, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
    record.unlink()


def _signal_recorded(recorded: _Recorded, number: signal.Signals) -> None:
    """Signal that process and no other that may have its pid by now."""
    with suppress(ProcessLookupError):  # gone already: as wished
        descriptor = os.pidfd_open(recorded.pid)
        try:
            if start_time(recorded.pid) == recorded.started:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


class Supervisor:
    """Starts, watches and ends parts. `announce` gets the pids once all are ready and after each restart."""

    def __init__(
        self, parts: Sequence[Part], folder: Path, announce: Callable[[Mapping[str, int]], None]
    ) -> None:
        for place, part in enumerate(parts):  # so that no two wait for each other
            assert {*part.after} <= {before.name for before in parts[:place]}, part
        self._children = [_Child(part=part) for part in parts]
        self._folder = folder
        self._announce = announce
        self._complete = False  # all have been ready at one time

    def run(self) -> None:
        """Keep the parts running until SIGINT, SIGTERM or SIGHUP, then drain them. From the main thread.

        Raises what a part's `once_ready` raised while the part lived; parts are drained then too.
        """
        ending = {signal.SIGINT, signal.SIGTERM}
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
            ending.add(signal.SIGHUP)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {*ending, signal.SIGCHLD})
        try:
            try:
                while not self._told_to_end(ending):
                    self._step()
            finally:
                self._drain()
        finally:
            while signal.sigtimedwait({*ending, signal.SIGCHLD}, 0):
                pass  # a second Ctrl-C was meant for the drain that is now over
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _told_to_end(self, ending: set[signal.Signals]) -> bool:
        settled = all(child.ready_at is not None for child in self._children)
        seconds = _IDLE_SECONDS if settled else _POLL_SECONDS
        received = signal.sigtimedwait({*ending, signal.SIGCHLD}, seconds)
        return received is not None and received.si_signo != signal.SIGCHLD

    def _step(self) -> None:
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._note_death(child)
        for child in self._children:
            if child.process is None and self._may_start(child):
                self._start(child)
            if child.process is not None and child.ready_at is None and child.part.ready():
                self._note_ready(child)

    def _may_start(self, child: _Child) -> bool:
        have_been_ready = {each.part.name for each in self._children if each.was_ready}
        return have_been_ready.issuperset(child.part.after) and time.monotonic() >= child.not_before

    def _start(self, child: _Child) -> None:
        try:
            self._spawn(child)
            self._write_record()
            if self._complete and all(each.process is not None for each in self._children):
                self._announce(self._pids())
        except OSError as error:  # no process, no room on the disk: it may pass, and we never give up
            child.postpone()
            self._say(f"{child.part.name} could not be started or noted: {error}")

    def _spawn(self, child: _Child) -> None:
        part = child.part
        if part.before_start is not None:
            part.before_start()
        with self._log(part.name).open("ab") as log:
            child.process = spawn(
                part.argv, env=part.env, output=log, account=part.account, orphan_signal=part.orphan_signal
            )
        child.started = start_time(child.process.pid)

    def _note_death(self, child: _Child) -> None:
        assert child.process is not None
        if child.ready_at is None or time.monotonic() - child.ready_at < SETTLED_SECONDS:
            child.postpone()
            when = f"in {child.delay:.1f} s"
        else:
            child.delay = 0.0
            when = "at once"
        status, log = child.process.returncode, self._log(child.part.name)
        self._say(f"{child.part.name} ended with status {status} and starts again {when}; its log: {log}")
        child.process, child.started, child.ready_at = None, None, None

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def _note_ready(self, child: _Child) -> None:
        assert child.process is not None
        if not child.was_ready and child.part.once_ready is not None:
            try:
                child.part.once_ready()
            except Exception:
                if child.process.poll() is None:
                    raise
                return  # the part died under it: it is tried again when the part is back
        child.ready_at = time.monotonic()
        child.was_ready = True
        if not self._complete and all(each.ready_at is not None for each in self._children):
            self._complete = True
            self._announce(self._pids())

    def _pids(self) -> dict[str, int]:
        return {child.part.name: child.process.pid for child in self._children if child.process is not None}

    def _log(self, name: str) -> Path:
        """Return the part's log file; a long one is put aside, replacing the one put aside before."""
        folder = self._folder / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        log = folder / f"{name}.log"
        if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
            log.rename(log.with_suffix(".log.1"))
        return log

    def _write_record(self) -> None:
        recorded = [
            _Recorded(pid=child.process.pid, started=child.started, orphan_signal=child.part.orphan_signal)
            for child in self._children
            if child.process is not None and child.started is not None
        ]
        write_atomically(_record(self._folder), msgspec.json.encode(recorded))

    def _drain(self) -> None:
        begun = time.monotonic()
        users = [child for child in self._children if not child.part.foundation]
        foundations = [child for child in self._children if child.part.foundation]
        _ask_to_end(users, until=begun + _FOUNDATIONS_AFTER_SECONDS)
        _ask_to_end(foundations, until=begun + _KILL_AFTER_SECONDS)
        _wait_for(users, until=begun + _KILL_AFTER_SECONDS)
        for child in self._children:
            if child.process is not None and child.process.poll() is None:
                os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()
        _record(self._folder).unlink(missing_ok=True)


def _ask_to_end(children: Sequence[_Child], *, until: float) -> None:
    for child in children:
        if child.process is not None:
            child.process.send_signal(child.part.stop_signal)
    _wait_for(children, until=until)


def _wait_for(children: Sequence[_Child], *, until: float) -> None:
    for child in children:
        if child.process is not None:
            with suppress(subprocess.TimeoutExpired):  # the caller kills what is left
                child.process.wait(timeout=max(until - time.monotonic(), 0))
