"""Shells that know of nothing, of a service's databases, or of a running `up`."""

from pathlib import Path

import pytest

from tests.support.service import Service
from tests.support.shell import Shell


@pytest.fixture
def bare(tmp_path: Path) -> Shell:
    """A shell that knows of no service."""
    return Shell(tmp_path, {})


@pytest.fixture
def operator(tmp_path: Path, service: Service) -> Shell:
    """A shell whose environment names the databases of a running service."""
    return Shell(tmp_path, service.env)


@pytest.fixture
def at_up(tmp_path: Path, ready_file: Path) -> Shell:
    """A shell in the folder of a running `bursar up`."""
    (tmp_path / ".bursar").symlink_to(ready_file.parent / "up")
    return Shell(tmp_path, {})
