"""`bursar up` as tests run it: started, stopped, killed by pid; and a client that asks again until it is answered."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import httpx
import psycopg

from adapters.system.processes import free_port
from tests.support.waiting import eventually

REPOSITORY: Final = Path(__file__).parents[2]
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 30.0
ALTERING: Final = REPOSITORY / "tests/support/altering"
COMMANDS: Final = {"api": "serve", "projector": "project", "relay": "relay", "exporter": "export"}
T = TypeVar("T")


class Up:
    """A `bursar up` on a folder of its own. Each `start` may follow a `stop` or a `kill`.

    With `altered`, its parts may differ from the product (`alter`).
    """

    def __init__(self, folder: Path, *, kafka: str | None = None, altered: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        self.log = folder / "up.log"
        self._ready_file = folder / "ready.json"
        self._port = free_port()  # kept over restarts, so that clients find the next one
        self._kafka = {} if kafka is None else {"BURSAR_KAFKA_BOOTSTRAP_SERVERS": kafka}
        self._altered = folder / "altered"
        if altered:
            self._altered.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until everything answers."""
        self._ready_file.unlink(missing_ok=True)
        command = [
            "up",
            "--port",
            str(self._port),
            "--data",
            str(self.data),
            "--ready-file",
            str(self._ready_file),
        ]
        if self._kafka:
            command.append("--kafka")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                cli_command(*command), stdout=log, stderr=log, cwd=REPOSITORY, env=self._environment()
            )
        eventually(self._is_ready, f"up on {self.data} is ready; {self.log}", START_SECONDS)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BURSAR_")}
        if self._altered.exists():
            kept |= {"PYTHONPATH": str(ALTERING), "ALTERED_PARTS": str(self._altered)}
        return kept | self._kafka

    def alter(self, part: str, *, clock_seconds: int = 0, snapshot_format: bool = False) -> None:
        """Start a part again with its clock ahead by some seconds, with another format of snapshots, or as it was.

        Returns once it works.
        """
        altered = {"clock_seconds": clock_seconds, "snapshot_format": snapshot_format}
        (self._altered / f"{COMMANDS[part]}.json").write_text(json.dumps(altered))
        before = self.kill_part(part)

        def works() -> bool:
            # One that was killed before it worked has logged no start: the last one may be an older one's.
            pid = self.running_pid(part)
            return pid not in {None, before} and self.last_start(part).get("pid") == pid

        eventually(works, f"{part} works again; {self.log}")

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        return self._ready_file.exists()

    def stop(self) -> int:
        """Ctrl-C. Returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """Kill -9 of `up` itself; what it leaves behind is its successor's to end."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def end(self) -> None:
        """Leave nothing running, however the test went."""
        if self._process is not None and self._process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def ready(self) -> dict[str, Any]:
        """What the ready file says now."""
        answer: dict[str, Any] = json.loads(self._ready_file.read_bytes())
        return answer

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    @property
    def key(self) -> str:
        return str(self.ready["keys"]["admin"])

    @property
    def pids(self) -> dict[str, int]:
        """Of the parts, without `up` itself."""
        return {name: pid for name, pid in self.ready["pids"].items() if name != "up"}

    def kill_part(self, name: str) -> int:
        """Kill -9 of the part as the ready file names it, once it runs. Returns the pid that is no more."""
        pid = eventually(lambda: self.running_pid(name), f"{name} runs; {self.log}", seconds=30)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.running_pid(name) != pid, f"{name} is gone; {self.log}")
        return pid

    def running_pid(self, name: str) -> int | None:
        """The pid in the ready file if a child of this `up` has it: the kernel may give it to anybody later."""
        assert self._process is not None
        pid = self.pids[name]
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        alive = fields[0] != b"Z" and int(fields[1]) == self._process.pid
        return pid if alive else None

    def last_start(self, part: str) -> dict[str, Any]:
        """What the part's log says of its last start; empty before the first."""
        lines = (self.data / "logs" / f"{part}.log").read_bytes().splitlines()
        starts = [line for line in lines if line.startswith(b'{"event":"started"')]
        return json.loads(starts[-1]) if starts else {}

    def wait_until_all_run(self) -> None:
        """Every part that the ready file names runs, and the API answers."""
        for name in self.pids:
            eventually(lambda name=name: self.running_pid(name), f"{name} is back; {self.log}")
        eventually(self._answers, f"the API answers; {self.log}")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5).is_success
        except httpx.TransportError:
            return False

    def logs(self) -> str:
        """The end of what each part has logged: the folder may be gone before anybody looks."""
        logs = [self.log, *sorted((self.data / "logs").glob("*.log"))]
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-6000:]}" for log in logs)

    def rows(self, query: str, *values: object) -> list[Any]:
        """Ask the database as its superuser: for what no answer of the service shows."""
        with psycopg.connect(self.ready["database_url"]) as connection:
            return connection.execute(query, values).fetchall()  # type: ignore[call-overload]  # a test's own text

    def rows_once_there(self, query: str, *values: object) -> list[Any]:
        """The same, while the server may be on its way back."""

        def ask() -> list[Any] | None:
            try:
                return self.rows(query, *values)
            except psycopg.OperationalError:
                return None

        return eventually(ask, f"the database answers; {self.log}")

    def cli(self, *arguments: str, code: int = 0) -> str:
        """Run `bursar ARGUMENTS --data DIR`; returns what it printed. Fails where it exits otherwise than `code`."""
        done = subprocess.run(
            cli_command(*arguments, "--data", str(self.data)),
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env=self._environment(),
            check=False,
        )
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout


def cli_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ops.cli", *arguments]


@contextmanager
def running(folder: Path, *, kafka: str | None = None, altered: bool = False) -> Iterator[Up]:
    """A started `up`, ended with the block."""
    up = Up(folder, kafka=kafka, altered=altered)
    try:
        up.start()
        yield up
    except BaseException:
        print(up.logs())
        raise
    finally:
        up.end()


@contextmanager
def another_api(up: Up, port: int) -> Iterator[str]:
    """A second API process on the same database. Yields its address."""
    process = subprocess.Popen(
        cli_command("serve", "--port", str(port), "--data", str(up.data)), cwd=REPOSITORY
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None
        try:
            return httpx.get(f"{url}/health/ready", timeout=5).is_success
        except httpx.TransportError:
            return False

    try:
        eventually(answers, f"the API at {url} answers")
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        # uvicorn, once it has drained, ends by the very signal that it was sent.
        assert process.wait(STOP_SECONDS) in (0, -signal.SIGTERM)


class Client:
    """Asks the API, and again with the same key where it is away (503, or no answer at all). Safe for threads.

    `again` counts how often it had to. Anything else that is no answer for a caller (500, 502, …) fails.
    """

    def __init__(self, url: str, key: str, *, patience_seconds: float = 60.0) -> None:
        self.again = 0
        self._http = httpx.Client(
            base_url=f"{url}/v2/finance/", headers={"Authorization": f"Bearer {key}"}, timeout=30
        )
        self._patience_seconds = patience_seconds
        self._counting = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def send(self, method: str, path: str, *, content: bytes | None = None, **more: Any) -> httpx.Response:
        """The first answer that is one, whatever its status."""
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                response = self._http.request(method, path, content=content, **more)
            except httpx.TransportError as error:
                why = repr(error)
            else:
                if response.status_code != 503:
                    assert response.status_code < 500, response.text
                    return response
                why = response.text
            assert time.monotonic() < deadline, f"{method} {path} was never answered: {why}"
            with self._counting:
                self.again += 1
            time.sleep(0.1)

    def write(self, method: str, path: str, body: object, key: str) -> httpx.Response:
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        return self.send(method, path, content=json.dumps(body).encode(), headers=headers)

    def done(self, method: str, path: str, body: object, key: str) -> Any:
        """The body of a write that has to succeed."""
        response = self.write(method, path, body, key)
        assert response.is_success, response.text
        return response.json()

    def bulk(self, elements: list[Mapping[str, Any]]) -> list[Any]:
        """One result for each element, once none of them is 503."""
        content = json.dumps(elements).encode()
        headers = {"Content-Type": "application/json"}

        def answered() -> list[Any] | None:
            response = self.send("POST", "bulk", content=content, headers=headers)
            assert response.status_code == 200, response.text
            results: list[Any] = response.json()["data"]
            assert len(results) == len(elements)
            return None if any(result["status"] == 503 for result in results) else results

        return eventually(answered, "bulk is answered", self._patience_seconds)

    def get(self, path: str, **parameters: str | int) -> Any:
        response = self.send("GET", path, params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    def pages(self, path: str, **parameters: str | int) -> Iterator[Any]:
        """Every page of a list."""
        more: dict[str, str] = {}
        while True:
            page = self.get(path, limit=500, **parameters, **more)
            yield page
            if not page["has_more"]:
                return
            more = {"cursor": page["next"]}

    def list(self, path: str, **parameters: str | int) -> "list[Any]":
        return [row for page in self.pages(path, **parameters) for row in page["data"]]
