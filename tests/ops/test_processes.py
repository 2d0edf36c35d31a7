"""What a process that reads events imports makes it know every one: one that it does not know stops it."""

import subprocess
import sys
from pathlib import Path

import pytest

import domain.aggregates  # noqa: F401  registers every event
from domain.event import TOPICS

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "modules",
    [
        "ops.worker, projections.engine.runner",
        "ops.worker, adapters.kafka.relay",
        "ops.worker, ops.bootstrap, adapters.quickbooks.process",
        "ops.bootstrap, api.app",
        "adapters.postgres.verify",
    ],
)
def test_a_process_knows_every_event(modules: str) -> None:
    program = f"import {modules}\nfrom domain.event import TOPICS\nprint(*sorted(TOPICS))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert done.stdout.split() == sorted(TOPICS)
