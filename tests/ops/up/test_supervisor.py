"""The supervisor as a process of its own, over small real parts that are killed, drained and orphaned."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.system.processes import spawn, start_time
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parents[3]

# Each part appends to the journal when it starts and when it is told to end, and makes a file when it is ready.
PART = """
import os, pathlib, signal, sys, time
name, folder, manner = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
def say(what):
    with open(folder / "journal", "a") as journal:
        journal.write(f"{name} {what}\\n")
def stop(*_):
    say("drained")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if manner == "stubborn" else stop)
say("started")
if manner == "broken" or (manner == "once" and (folder / f"{name}.was").exists()):
    sys.exit(3)
(folder / f"{name}.was").touch()
(folder / f"{name}.ready").touch()
if manner == "shaky":
    time.sleep(0.05)
    sys.exit(4)
while True:
    signal.pause()
"""

UP = """
import json, pathlib, sys
from adapters.system.files import write_atomically
from ops.up.supervisor import AlreadyRunningError, Part, Supervisor, sole_owner
folder, parts = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
script = (folder / "part.py").as_posix()
def announce(pids):
    write_atomically(folder / "pids", json.dumps(dict(pids)).encode())
def hook():
    with open(folder / "journal", "a") as journal:
        journal.write("hook ran\\n")
    if (folder / "fail").exists():
        raise RuntimeError("migration failed")
def part(name, manner="steady", after=(), foundation=False, hooked=False):
    marker = folder / f"{name}.ready"
    return Part(
        name=name, after=after, argv=[sys.executable, "-S", "-E", script, name, str(folder), manner], env={},
        ready=marker.exists, before_start=lambda: marker.unlink(missing_ok=True),
        foundation=foundation, once_ready=hook if hooked else None,
    )
try:
    with sole_owner(folder):
        Supervisor([part(**each) for each in parts], folder, announce).run()
except AlreadyRunningError as error:
    sys.exit(str(error))
"""


class Up:
    """One `up` over `parts` in a folder, and what can be seen of it."""

    def __init__(self, folder: Path, *parts: Mapping[str, Any]) -> None:
        (folder / "part.py").write_text(PART)
        self.folder = folder
        with (folder / "said").open("ab") as said:
            self.process = spawn(
                [sys.executable, "-c", UP, str(folder), json.dumps(parts)], env=self._env(), output=said
            )

    def _env(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(REPOSITORY)}

    def again(self) -> subprocess.CompletedProcess[str]:
        """A second one on the same folder."""
        command = [sys.executable, "-c", UP, str(self.folder), "[]"]
        return subprocess.run(
            command, env=self._env(), capture_output=True, text=True, timeout=60, check=False
        )

    def pids(self) -> dict[str, int]:
        """As announced last, once they were announced."""
        eventually((self.folder / "pids").exists)
        return json.loads((self.folder / "pids").read_bytes())

    def journal(self) -> list[str]:
        path = self.folder / "journal"
        return path.read_text().splitlines() if path.exists() else []

    def said(self) -> str:
        return (self.folder / "said").read_text()

    def told(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    made: list[Up] = []

    def make(*parts: Mapping[str, Any]) -> Up:
        made.append(Up(tmp_path, *parts))
        return made[-1]

    yield make
    for each in made:
        each.process.kill()
        each.process.wait()


def named(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


def alive(pid: int) -> bool:
    return start_time(pid) is not None


def test_a_part_starts_when_those_that_it_names_are_ready(up: Callable[..., Up]) -> None:
    it = up(
        {"name": "base", "hooked": True},
        {"name": "middle", "after": ["base"]},
        {"name": "top", "after": ["base", "middle"]},
    )
    assert list(it.pids()) == ["base", "middle", "top"]
    assert it.journal() == ["base started", "hook ran", "middle started", "top started"]
    assert all(os.getsid(pid) == pid for pid in it.pids().values())  # so that Ctrl-C passes them by


def test_parts_that_name_nothing_start_side_by_side(up: Callable[..., Up]) -> None:
    it = up({"name": "broken", "manner": "broken"}, *named("other"), {"name": "top", "after": ["other"]})
    eventually(lambda: "top started" in it.journal())
    eventually(lambda: it.journal().count("broken started") == 3)
    assert it.journal().count("other started") == it.journal().count("top started") == 1
    assert not (it.folder / "pids").exists()  # announced once all are ready, not before


def test_a_part_starts_again_though_one_that_it_names_is_not_back(up: Callable[..., Up]) -> None:
    it = up({"name": "base", "manner": "once"}, {"name": "top", "after": ["base"]})
    pids = it.pids()
    os.kill(pids["base"], signal.SIGKILL)
    eventually(lambda: it.journal().count("base started") == 2)
    os.kill(pids["top"], signal.SIGKILL)
    eventually(lambda: it.journal().count("top started") == 2)


def test_a_part_may_name_only_those_before_it(up: Callable[..., Up]) -> None:
    it = up({"name": "one", "after": ["two"]}, {"name": "two", "after": ["one"]})
    assert it.process.wait(timeout=60) == 1
    assert "AssertionError" in it.said()
    assert it.journal() == []


def test_a_settled_part_that_is_killed_is_started_again_at_once_and_announced(up: Callable[..., Up]) -> None:
    it = up(*named("one", "two"))
    before = it.pids()
    time.sleep(2.1)  # the rule itself: settled is two seconds after ready
    os.kill(before["one"], signal.SIGKILL)
    eventually(lambda: it.journal().count("one started") == 2)
    eventually(lambda: it.pids()["one"] != before["one"])
    assert it.pids()["two"] == before["two"]
    assert alive(it.pids()["one"])
    assert "one ended with status -9 and starts again at once" in it.said()


def test_a_part_that_dies_before_it_is_ready_waits_longer_each_time(up: Callable[..., Up]) -> None:
    it = up({"name": "broken", "manner": "broken"}, {"name": "never", "after": ["broken"]})
    eventually(lambda: "starts again in 1.6 s" in it.said())
    assert re.findall(r"again in (\S+) s", it.said())[:5] == ["0.1", "0.2", "0.4", "0.8", "1.6"]
    assert "never started" not in it.journal()
    assert not (it.folder / "pids").exists()
    assert it.told(signal.SIGINT) == 0


def test_a_part_that_dies_soon_after_it_was_ready_waits_too(up: Callable[..., Up]) -> None:
    it = up({"name": "shaky", "manner": "shaky"})
    eventually(lambda: "starts again in 0.2 s" in it.said())
    assert "at once" not in it.said()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_drains_foundations_last(up: Callable[..., Up], number: signal.Signals) -> None:
    it = up({"name": "base", "foundation": True}, *named("middle", "top"))
    pids = it.pids()
    assert it.told(number) == 0
    drained = [line for line in it.journal() if line.endswith("drained")]
    assert sorted(drained) == ["base drained", "middle drained", "top drained"]
    assert drained[-1] == "base drained"
    assert not any(alive(pid) for pid in pids.values())


def test_what_does_not_drain_is_killed_and_the_others_still_drain(up: Callable[..., Up]) -> None:
    it = up({"name": "base", "foundation": True}, {"name": "stuck", "manner": "stubborn"}, {"name": "top"})
    pids = it.pids()
    assert it.told(signal.SIGINT) == 0
    assert sorted(line for line in it.journal() if line.endswith("drained")) == [
        "base drained",
        "top drained",
    ]
    assert not any(alive(pid) for pid in pids.values())


def test_no_part_outlives_a_killed_supervisor(up: Callable[..., Up]) -> None:
    it = up({"name": "stuck", "manner": "stubborn"}, *named("one"))
    pids = it.pids()
    it.told(signal.SIGKILL)
    eventually(lambda: not any(alive(pid) for pid in pids.values()))
    (it.folder / "pids").unlink()
    again = up({"name": "stuck", "manner": "stubborn"}, *named("one"))
    assert list(again.pids()) == ["stuck", "one"]


def test_a_second_one_on_the_same_folder_is_refused_and_harms_nothing(up: Callable[..., Up]) -> None:
    it = up(*named("one"))
    pids = it.pids()
    second = it.again()
    assert second.returncode == 1
    assert f"process {it.process.pid} already runs" in second.stderr
    assert alive(pids["one"])
    assert it.journal() == ["one started"]


def test_leftovers_are_ended_but_not_a_stranger_with_the_same_pid(
    up: Callable[..., Up], tmp_path: Path
) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(1000)"]
    leftover, stranger = spawn(sleep, env={}), spawn(sleep, env={})
    recorded = [
        {"pid": leftover.pid, "started": start_time(leftover.pid), "orphan_signal": signal.SIGTERM},
        {
            "pid": stranger.pid,
            "started": (start_time(stranger.pid) or 0) - 1,
            "orphan_signal": signal.SIGKILL,
        },
    ]
    (tmp_path / "parts.json").write_text(json.dumps(recorded))
    it = up(*named("one"))
    it.pids()
    assert leftover.wait(timeout=60) == -signal.SIGTERM
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_setup_that_fails_ends_it_all(up: Callable[..., Up], tmp_path: Path) -> None:
    (tmp_path / "fail").touch()
    it = up({"name": "base", "hooked": True}, {"name": "top", "after": ["base"]})
    assert it.process.wait(timeout=60) == 1
    assert it.journal() == ["base started", "hook ran", "base drained"]


def test_a_setup_that_fails_drains_what_started_beside_it(up: Callable[..., Up], tmp_path: Path) -> None:
    (tmp_path / "fail").touch()
    it = up(*named("beside"), {"name": "base", "hooked": True, "after": ["beside"]})
    assert it.process.wait(timeout=60) == 1
    assert it.journal()[:3] == ["beside started", "base started", "hook ran"]
    assert sorted(it.journal()[3:]) == ["base drained", "beside drained"]


def test_a_long_log_is_put_aside_at_the_next_start(up: Callable[..., Up], tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "one.log").write_bytes(b"x" * 10_000_001)
    up(*named("one")).pids()
    assert (logs / "one.log.1").stat().st_size == 10_000_001
    assert (logs / "one.log").stat().st_size == 0
