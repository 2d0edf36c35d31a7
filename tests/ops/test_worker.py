"""The frame of a worker, in a process of its own as workers are."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.system.processes import end

ROOT = Path(__file__).parents[2]
NICENESS = 3
PROGRAM = f"""
import os, sys
from ops.settings import Settings
from ops.worker import run_worker

def work(stop, ready):
    ready()
    print(os.nice(0), flush=True)
    assert stop.wait(60)
    print("drained", flush=True)
    if len(sys.argv) > 2:
        raise ArithmeticError

run_worker(Settings(ready_file=sys.argv[1]), work, niceness={NICENESS})
"""


def started(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_says_when_it_works_and_drains_when_told(tmp_path: Path, number: signal.Signals) -> None:
    ready_file = tmp_path / "ready"
    process = started(str(ready_file))
    assert process.stdout is not None
    assert int(process.stdout.readline()) == min(os.nice(0) + NICENESS, 19)
    assert ready_file.exists()
    assert end(process, stop=number, seconds=30) == 0
    output, errors = process.communicate()
    assert (output, errors) == (b"drained\n", b"")


def test_without_a_ready_file_none_is_made_and_what_ends_the_work_ends_the_process(tmp_path: Path) -> None:
    process = started("", "raise")
    assert process.stdout is not None
    process.stdout.readline()
    assert end(process, stop=signal.SIGTERM, seconds=30) == 1
    _, errors = process.communicate()
    assert b"ArithmeticError" in errors
