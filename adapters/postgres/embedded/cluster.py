"""The embedded cluster: made where there is none, and run as a child of whoever asks.

The supervision that comes with the wheel is not used: it believes any pid that stands in `postmaster.pid`, and as
root it opens the folders above the data to everyone. Here `prepare` makes the cluster, and what it returns says how
to run it; whoever runs it starts it again whenever it dies.
"""

import hashlib
import os
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from errno import ENOENT, ENOTEMPTY
from pathlib import Path
from typing import IO

import msgspec
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from adapters.postgres.embedded.installation import (
    ServerError,
    environment,
    may_enter,
    reachable_installation,
    server_account,
    shared_folder,
)
from adapters.postgres.roles import LOGIN_ROLES, SUPERUSER, load_passwords
from adapters.system.files import sync_folder, write_atomically
from adapters.system.processes import Account, end, kept_port, spawn

STOP_SIGNAL = signal.SIGINT  # PostgreSQL's fast shutdown: sessions end, a checkpoint is written
ORPHAN_SIGNAL = signal.SIGQUIT  # its immediate shutdown: the backends go too; the next start recovers

_DATABASE = "postgres"
_MAX_SOCKET_PATH_BYTES = 100  # the kernel's limit is 107
_MAX_START_SECONDS = 60.0
_MAX_SWEEP_SECONDS = 10.0
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "wal_compression": "on",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u ",
}


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster that is initialised, and how to run and reach it. Its port holds for this value's life."""

    directory: Path
    socket_directory: Path
    binaries: Path
    port: int
    account: Account | None  # who the server must run as; None: as we do
    passwords: Mapping[str, str]

    @property
    def argv(self) -> list[str]:
        """The server's command line."""
        settings = {
            **_SETTINGS,
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_directory),
        }
        command = [str(self.binaries / "postgres"), "-D", str(self.directory)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    @property
    def env(self) -> dict[str, str]:
        """The server's whole environment."""
        return environment()

    def spawn(self, output: IO[bytes] | int | None = None) -> subprocess.Popen[bytes]:
        """Start the server, once, as a child of this process; `output` takes what it says (None: ours)."""
        return spawn(
            self.argv,
            env=self.env,
            output=output,
            account=self.account,
            orphan_signal=ORPHAN_SIGNAL,
            cwd=Path("/"),
        )

    @property
    def superuser_url(self) -> str:
        """For migrations and set-up alone."""
        return self.url_for(SUPERUSER)

    def url_for(self, role: str) -> str:
        """Return the connection URL of one of `LOGIN_ROLES`, or of the superuser. Raises KeyError for any other."""
        return f"postgresql://{role}:{self.passwords[role]}@127.0.0.1:{self.port}/{_DATABASE}"

    def urls(self) -> dict[str, str]:
        """Return the connection URL of each login role."""
        return {role: self.url_for(role) for role in LOGIN_ROLES}

    def is_ready(self) -> bool:
        """Tell whether this very server takes connections.

        Asked through the socket, which only it can have made, not through the port, which may be another's.
        """
        command = [
            str(self.binaries / "pg_isready"),
            "--quiet",
            "--timeout=1",
            f"--host={self.socket_directory}",
            f"--port={self.port}",
        ]
        return subprocess.run(command, env=self.env, check=False).returncode == 0


def prepare(data: Path) -> Cluster:
    """Return the cluster of the data folder `data`, made if there is none. Safe to kill and to repeat.

    One caller at a time per folder. Raises ServerError where it cannot be made or no longer exists, and OSError
    where the folder belongs to another user or cannot be written.
    """
    data = data.absolute()
    data.mkdir(parents=True, exist_ok=True)
    passwords = load_passwords(data)
    directory = _existing_cluster(data)
    account = server_account(directory)
    binaries = reachable_installation(account) / "bin"
    if directory is None:
        directory = _new_cluster(data, binaries=binaries, account=account, password=passwords[SUPERUSER])
    elif not may_enter(account, directory):
        raise ServerError(f"the server's user can no longer reach {directory}: a folder above it was closed")
    _forget_dead_server(directory)
    port = kept_port(data / "postgres.port")
    return Cluster(
        directory=directory,
        socket_directory=_socket_directory(data, directory, port, account),
        binaries=binaries,
        port=port,
        account=account,
        passwords=passwords,
    )


@contextmanager
def temporary_cluster(data: Path) -> Generator[Cluster]:
    """Run a cluster for a test session; it is ended, and its files removed, on leaving.

    Raises ServerError if it does not start; what it said is in the message.
    """
    cluster = prepare(data)
    log = data / "postgres.log"
    try:
        with log.open("ab") as output:
            process = cluster.spawn(output)
        try:
            _wait_until_ready(cluster, process, log)
            yield cluster
        finally:
            end(process, stop=STOP_SIGNAL, seconds=10)
    finally:
        shutil.rmtree(cluster.directory)
        if cluster.socket_directory != cluster.directory:
            shutil.rmtree(cluster.socket_directory)
        if cluster.directory.parent != data.absolute():
            cluster.directory.parent.rmdir()
            (data / "postgres.path").unlink()


def _wait_until_ready(cluster: Cluster, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _MAX_START_SECONDS
    while not cluster.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServerError(f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)


# --- where the cluster lies


def _existing_cluster(data: Path) -> Path | None:
    """Find the cluster in `data`, or where the note in `data` says."""
    if (data / "postgres").is_dir():
        return data / "postgres"
    note = data / "postgres.path"
    if not note.exists():
        return None
    noted = Path(note.read_text().strip())
    if not noted.is_dir():
        # A new, empty ledger in its place would look like all money is gone.
        raise ServerError(f"{note} says that the cluster is at {noted}, which does not exist")
    return noted


def _new_cluster(data: Path, *, binaries: Path, account: Account | None, password: str) -> Path:
    if may_enter(account, data):
        _initialise(data / "postgres", binaries=binaries, account=account, password=password)
        return data / "postgres"
    # The hash says whose it is; the rest keeps a folder removed and made again from finding its old cluster.
    name = f"{hashlib.sha256(bytes(data)).hexdigest()[:16]}-{secrets.token_hex(4)}"
    home = shared_folder(name)
    _initialise(home / "postgres", binaries=binaries, account=account, password=password)
    write_atomically(data / "postgres.path", f"{home / 'postgres'}\n".encode())
    return home / "postgres"


def _initialise(directory: Path, *, binaries: Path, account: Account | None, password: str) -> None:
    """Make a cluster at `directory`. It gets that name only when it is whole; a killed attempt is swept away."""
    for abandoned in directory.parent.glob("postgres.new-*"):
        _sweep(abandoned)
    staging = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=directory.parent))
    password_file = staging / "password"
    write_atomically(password_file, password.encode())
    if account is not None:
        os.chown(password_file, account.uid, account.gid)
        os.chown(staging, account.uid, account.gid)
    command = [
        str(binaries / "initdb"),
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--auth=scram-sha-256",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        f"--pgdata={staging / 'data'}",
    ]
    with (staging / "log").open("w+b") as log:
        status = spawn(command, env=environment(), output=log, account=account, cwd=Path("/")).wait()
        log.seek(0)
        said = log.read().decode(errors="replace")
    if status != 0:
        raise ServerError(f"initdb failed with status {status}:\n{said}")
    (staging / "data").rename(directory)
    sync_folder(directory.parent)
    shutil.rmtree(staging)


def _sweep(abandoned: Path) -> None:
    """Remove what a killed attempt left. The server that it had begun ends a moment later, and cleans up meanwhile."""
    attempts = Retrying(
        retry=retry_if_exception(lambda error: getattr(error, "errno", None) in (ENOENT, ENOTEMPTY)),
        wait=wait_random(max=0.1),
        stop=stop_after_delay(_MAX_SWEEP_SECONDS),
        reraise=True,
    )
    for attempt in attempts:
        with attempt:
            if abandoned.exists():
                shutil.rmtree(abandoned)


def _forget_dead_server(directory: Path) -> None:
    """Remove the pid file of a server that is gone.

    The server itself refuses to start while any process of its user has that pid, which after a restart of
    the machine or container may be anybody. That old backends are still attached it sees without the file.
    """
    pid_file = directory / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return
    if not _works_in(pid, directory):
        pid_file.unlink()


def _works_in(pid: int, directory: Path) -> bool:
    """Tell whether process `pid` has `directory` as its working directory, as a server has its cluster."""
    try:
        return Path(f"/proc/{pid}/cwd").samefile(directory)
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone, or another user's
        return False


def _socket_directory(data: Path, directory: Path, port: int, account: Account | None) -> Path:
    """Return the cluster's folder, or a private one where the socket's path would be too long for the kernel."""
    if len(bytes(directory / f".s.PGSQL.{port}")) <= _MAX_SOCKET_PATH_BYTES:
        return directory
    note = data / "postgres.socket"
    if note.exists() and _is_private(noted := Path(note.read_text().strip()), account):
        return noted
    made = Path(tempfile.mkdtemp(prefix="bursar-"))
    if account is not None:
        os.chown(made, account.uid, account.gid)
    write_atomically(note, f"{made}\n".encode())
    return made


def _is_private(folder: Path, account: Account | None) -> bool:
    owner = os.geteuid() if account is None else account.uid
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == owner and stat.S_IMODE(status.st_mode) == 0o700
