"""Child processes that never outlive their parent, the identity of a process, and ports for servers.

Linux only: the parent-death signal is `prctl(2)`, identity is read from `/proc`.
"""

import ctypes
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

from adapters.system.files import write_atomically

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MIN_PORT = 10_000
_libc = ctypes.CDLL(None, use_errno=True)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A system user, by number, that a child runs as."""

    uid: int
    gid: int


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    output: IO[bytes] | int | None = None,
    account: Account | None = None,
    orphan_signal: signal.Signals = signal.SIGKILL,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own; the kernel sends it `orphan_signal` when we die.

    Call it from the main thread: the signal is sent when the thread that forked ends. `output` takes
    standard output and error (None: ours); `account` needs root. Raises OSError if it cannot start.
    """
    return subprocess.Popen(
        list(argv),
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=True,
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
        cwd=cwd,
        preexec_fn=_bound_to_parent(os.getpid(), orphan_signal),  # noqa: PLW1509 - the only place after the change of user
    )


def _bound_to_parent(parent: int, orphan_signal: signal.Signals) -> Callable[[], None]:
    """Make what runs in the child, after the change of user, which clears the parent-death signal."""

    def bind() -> None:
        # A shell that starts its job with `&` leaves these ignored; a part that ignores them never drains.
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if _libc.prctl(_PR_SET_PDEATHSIG, int(orphan_signal), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:  # it died before the signal was set: nobody would send it
            os.kill(os.getpid(), signal.SIGKILL)

    return bind


def end(process: subprocess.Popen[bytes], *, stop: signal.Signals, seconds: float) -> int:
    """Send `stop`, wait `seconds`, then kill the process's group. Returns its exit status."""
    if process.poll() is None:
        process.send_signal(stop)
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def start_time(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; None if none runs under this pid.

    A pid and its start time name one process for ever; a pid alone may be taken by another.
    Source: `proc_pid_stat(5)`, fields 3 (state) and 22 (starttime). A zombie does not run.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(b")")[2].split()  # the name before it may hold blanks and brackets
    return None if fields[0] in {b"Z", b"X"} else int(fields[19])


def free_port() -> int:
    """Find a TCP port on 127.0.0.1 that is free now and stays so while its server is being restarted.

    Below the range from which outgoing connections take theirs: a port of that range may be taken by any
    client, even by a client of that very server, while the server is down.
    """
    lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(1000):
        port = _MIN_PORT + secrets.randbelow(max(lowest_ephemeral - _MIN_PORT, 1000))
        if port_is_free(port):
            return port
    raise OSError(f"no free port between {_MIN_PORT} and {lowest_ephemeral}")


def kept_port(note: Path, *, taken: Collection[int] = ()) -> int:
    """The port in the file `note`, if it is there, free and not `taken`; else a free one, which is noted."""
    if note.exists() and (noted := int(note.read_text())) not in taken and port_is_free(noted):
        return noted
    while (port := free_port()) in taken:
        pass
    write_atomically(note, f"{port}\n".encode())
    return port


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen on 127.0.0.1 at `port` now."""
    with socket.socket() as candidate:
        # As servers do: connections of a server just ended, in TIME_WAIT, do not bar its successor.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
            candidate.listen()
        except OSError:
            return False
    return True
