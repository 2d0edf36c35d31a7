"""A place for clusters that the server's user reaches."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.postgres.embedded import installation


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that every user reaches, as pytest's own are not; what root shares lies there too."""
    made = Path(tempfile.mkdtemp(prefix="bursar-test-"))
    made.chmod(0o755)
    monkeypatch.setattr(installation, "_SHARED", made / "shared")
    yield made
    shutil.rmtree(made)
