"""The whole service, as `bursar up` runs it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def ready_file(shared_folder: Path) -> Iterator[Path]:
    """The ready file of a running `bursar up`, for tests that need the whole of it."""
    data, ready = shared_folder / "up", shared_folder / "up-ready.json"
    command = [sys.executable, "-m", "ops.cli", "up", "--port", "0", "--data", data, "--ready-file", ready]
    with (shared_folder / "up.log").open("wb") as log:
        up = subprocess.Popen(command, stdout=log, stderr=log, cwd=Path(__file__).parents[2])
        try:
            deadline = time.monotonic() + 120
            while not ready.exists():
                assert up.poll() is None, Path(log.name).read_text()
                assert time.monotonic() < deadline, Path(log.name).read_text()
                time.sleep(0.1)
            yield ready
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(timeout=30)
