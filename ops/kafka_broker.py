"""A real Apache Kafka without Docker: fetched by Maven, run as one KRaft node on free ports.

For tests, benchmarks and `make run-kafka`; needs `mvn` and Java 17. The broker lives as long as the
`broker` context, and dies with its process.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import string
import subprocess
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from adapters.system.files import write_atomically
from adapters.system.processes import end, free_port, spawn

_RESOURCES = Path(__file__).parent / "deploy" / "kafka"
_START_SECONDS = 120.0
_STOP_SECONDS = 20.0


class BrokerError(Exception):
    """Kafka cannot be fetched or started; the message holds what Maven or Kafka said."""


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """A running broker: `host:port` for clients, and its process."""

    bootstrap_servers: str
    pid: int


def default_cache() -> Path:
    """Return the folder for what is fetched: `BURSAR_CACHE`, else `.cache` in the working directory."""
    return Path(os.environ.get("BURSAR_CACHE", ".cache")).absolute() / "kafka"


@contextmanager
def broker(cache_dir: Path, data_dir: Path) -> Generator[Broker]:
    """Run a broker that keeps its topics in `data_dir`, on ports that are free now; end it on leaving.

    Call it from the main thread. Raises BrokerError if it cannot be fetched, does not start, or another
    runs on that folder.
    """
    libraries = fetch(cache_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "broker.log"
    with _owned(data_dir):
        properties = _configured(libraries, data_dir.absolute(), port := free_port())
        command = [*_java(libraries), "-Xmx512m", "kafka.Kafka", str(properties)]
        with log.open("wb") as output:
            process = spawn(command, env=os.environ, output=output)
        try:
            running = Broker(bootstrap_servers=f"127.0.0.1:{port}", pid=process.pid)
            _wait_until_it_answers(running, process, log)
            yield running
        finally:
            end(process, stop=signal.SIGTERM, seconds=_STOP_SECONDS)


@contextmanager
def _owned(data_dir: Path) -> Generator[None]:
    """Keep a second broker away: Kafka's own lock stops it only when it has touched the metadata log."""
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BrokerError(f"another broker runs on {data_dir}") from error
        yield


def fetch(cache_dir: Path) -> Path:
    """Return the folder with Kafka's jars, fetched on the first call; several callers at once are safe.

    Raises BrokerError if Maven is missing or fails.
    """
    pom = _RESOURCES / "pom.xml"
    folder = cache_dir.absolute() / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    cache_dir.mkdir(parents=True, exist_ok=True)
    with (cache_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fetch_with_maven(pom, folder)
    return folder


def _fetch_with_maven(pom: Path, folder: Path) -> None:
    staging = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    _run(
        "mvn",
        "--batch-mode",
        "--no-transfer-progress",
        f"--file={pom}",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={staging}",
    )
    staging.rename(folder)


def _configured(libraries: Path, data_dir: Path, port: int) -> Path:
    """Write the properties for these ports, and format the log folder if it is not. Returns the properties."""
    log_folder = data_dir / "log"
    if not log_folder.is_dir():
        staging = data_dir / "log.new"
        shutil.rmtree(staging, ignore_errors=True)
        staged_properties = _write_properties(data_dir / "format.properties", staging, port)
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        _run(
            *_java(libraries),
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster_id}",
            f"--config={staged_properties}",
        )
        staging.rename(log_folder)
    return _write_properties(data_dir / "server.properties", log_folder, port)


def _write_properties(path: Path, log_folder: Path, port: int) -> Path:
    template = string.Template((_RESOURCES / "server.properties").read_text())
    filled = template.substitute(broker_port=port, controller_port=free_port(), log_folder=log_folder)
    write_atomically(path, filled.encode())
    return path


def _java(libraries: Path) -> list[str]:
    return ["java", "-Dlog4j2.level=WARN", "-cp", f"{libraries}/*"]


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except FileNotFoundError as error:
        raise BrokerError(f"{command[0]} is not installed; Apache Kafka needs Maven and Java 17") from error
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace")[-4000:]
        raise BrokerError(f"{command[0]} failed with status {done.returncode}:\n{said}")


def _wait_until_it_answers(running: Broker, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(running):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BrokerError(f"Kafka did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.1)


def _answers(running: Broker) -> bool:
    """Tell whether the node takes connections and lists itself as a broker: until then no topic can be made."""
    host, port = running.bootstrap_servers.split(":")
    try:
        # First, since the client leaves a socket open for each connection refused.
        socket.create_connection((host, int(port)), timeout=1).close()
        client = KafkaAdminClient(bootstrap_servers=running.bootstrap_servers)
        try:
            cluster = client.describe_cluster()
        finally:
            client.close()
    except (KafkaError, OSError):
        return False
    return len(cluster["brokers"]) == 1


_app = typer.Typer(
    add_completion=False, help="Apache Kafka, fetched by Maven, for as long as a command runs."
)


@_app.callback()
def _group() -> None:
    """Keep `run` a sub-command though it is the only one."""


@_app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="Where topics are kept between runs.")] = Path(".bursar/kafka"),
) -> None:
    """Start the broker, run the command after `--` with its address in the environment, then end it."""
    try:
        with broker(default_cache(), data) as running:
            print(
                f"Apache Kafka answers at {running.bootstrap_servers}; its log: {data / 'broker.log'}",
                flush=True,
            )
            status = _run_beside(running, context.args)
    except BrokerError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    sys.exit(status)


def _run_beside(running: Broker, command: list[str]) -> int:
    """Run the command until it ends by itself; what would end us is passed on to it, so that it drains first."""
    process = spawn(command, env={**os.environ, "BURSAR_KAFKA_BOOTSTRAP_SERVERS": running.bootstrap_servers})
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: process.send_signal(received))
    status = process.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    _app()
