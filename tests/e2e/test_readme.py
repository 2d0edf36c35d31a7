"""The commands of README and tutorial, run as written, in order, in one shell, in a folder like a fresh checkout.

Changed on the way: `make run` takes a free port and does not install anew what these tests run on; addresses
name that port; `make test` is left out, since it is what runs this.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.system.processes import free_port

REPOSITORY = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_START_SECONDS = 120
_DEFAULT = "127.0.0.1:8000"


def blocks(document: str) -> list[str]:
    """The document's shell commands, without the first and the last, which are checked to be what they must be."""
    found = _BLOCK.findall((REPOSITORY / document).read_text())
    assert found.pop(0) == "make run\n"
    if document == "README.md":
        assert found.pop() == "make test\n"
    return found


@pytest.fixture
def checkout(shared_folder: Path, request: pytest.FixtureRequest) -> Path:
    """A folder in which the repository's files appear, and what the commands make is nobody else's."""
    folder = shared_folder / re.sub(r"\W+", "-", request.node.name)
    folder.mkdir(mode=0o755)
    for path in REPOSITORY.iterdir():
        if path.name not in (".venv", ".bursar", ".git"):
            (folder / path.name).symlink_to(path)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@contextmanager
def make_run(folder: Path, port: int) -> Iterator[None]:
    """`make run` in a terminal of its own, until Ctrl-C."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("BURSAR_", "MAKE"))
    }
    log = folder / "make-run.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "--old-file=.venv/.ready", "run", f"ARGS=--port {port}"],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while "Ctrl-C stops it." not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def run(document: str, folder: Path) -> list[str]:
    """Run every block in one shell; what each of them printed."""
    port = free_port()
    mark = "---- next block ----"
    script = "".join(f"{block}echo '{mark}'\n" for block in blocks(document))
    assert _DEFAULT in script
    with make_run(folder, port):
        done = subprocess.run(
            ["bash", "-eu", "-c", script.replace(_DEFAULT, f"127.0.0.1:{port}")],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split(mark)[:-1]


def test_the_readme_works_as_written(checkout: Path) -> None:
    _, topped_up, again, sold, imported, exported, demo, proofs = run("README.md", checkout)
    assert "urn:bursar:problem" not in topped_up + again + sold
    assert '"balance":150000' in topped_up
    assert "idempotency-replayed: true" in again
    assert again.strip().splitlines()[-1] == topped_up.strip().splitlines()[-1], (
        "the first answer, byte for byte"
    )
    assert '"closing_balance":0' in sold
    assert "read 3: posted 3 (1620.50 KES), already there 0, rejected 0" in imported
    assert "read 3: posted 0 (0.00 KES), already there 3, rejected 0" in imported
    assert '"status":"completed"' in exported
    assert '"documents":{"confirmed":5}' in exported
    assert "All agree: " in demo
    assert "The log verifies" in proofs
    assert "equal    wallet_balances" in proofs
    assert "DIFFERS" not in proofs


def test_the_tutorial_works_as_written(checkout: Path) -> None:
    printed = "".join(run("docs/tutorial.md", checkout))
    refusals = re.findall(r"urn:bursar:problem:(\w+)", printed)
    assert refusals == ["reference_already_used", "insufficient_funds"], printed
    assert "The log verifies" in printed
