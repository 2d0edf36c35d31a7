"""What an installation elsewhere is made of: the wheel is whole, and nothing is resolved on the way."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from adapters.postgres.embedded.cluster import Cluster
from adapters.postgres.migrations import HEAD
from ops.cli.main import app
from tests.conftest import of_database

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("domain", "application", "projections", "adapters", "api", "ops")
DEPLOY = REPOSITORY / "ops" / "deploy"
HOW_TO = REPOSITORY / "docs" / "how-to" / "run-in-production.md"
# Read by people and by other programs, never by Bursar.
NOT_IN_THE_WHEEL = {
    "ops/deploy/Containerfile",
    "ops/deploy/compose.yaml",
    "ops/deploy/systemd/bursar@.service",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `make wheel` does, from a copy: a build leaves files in its tree."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for package in PACKAGES:
        shutil.copytree(
            REPOSITORY / package, source / package, ignore=shutil.ignore_patterns("__pycache__", ".*")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={built}"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True)
    (made,) = built.iterdir()
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import from into which the wheel was installed."""
    target = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-index", f"--target={target}"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)
    return target


def run(installed: Path, elsewhere: Path, *arguments: str) -> str:
    """What Python says with the installed Bursar, outside of the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    files = {
        path.relative_to(REPOSITORY).as_posix()
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == files - NOT_IN_THE_WHEEL
    assert files >= NOT_IN_THE_WHEEL


def test_the_wheel_runs_outside_of_the_checkout(installed: Path, tmp_path: Path) -> None:
    where = "import sys, ops; sys.stdout.write(ops.__file__)"
    assert run(installed, tmp_path, "-c", where) == str(installed / "ops" / "__init__.py")
    assert "An event-sourced ledger for school finance." in run(
        installed, tmp_path, "-m", "ops.cli", "--help"
    )


def test_the_wheel_migrates_a_database(installed: Path, tmp_path: Path, cluster: Cluster) -> None:
    name = "migrated_by_the_wheel"
    with psycopg.connect(cluster.superuser_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = of_database(cluster.superuser_url, name)
        run(installed, tmp_path, "-c", "import sys; from ops.setup import migrate; migrate(sys.argv[1])", url)
        with psycopg.connect(url) as migrated:
            assert migrated.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.parametrize("document", [DEPLOY / "Containerfile", HOW_TO], ids=lambda path: path.name)
def test_an_installation_resolves_nothing(document: Path) -> None:
    commands = re.findall(r"pip install (.+)", document.read_text())
    assert len(commands) == 2
    for command in commands:
        assert "--no-deps" in command
        assert "--require-hashes" in command or "--no-index" in command
    assert document.read_text().count("pip check") >= 1


def test_each_unit_is_a_command() -> None:
    commands = {each.name or each.callback.__name__ for each in app.registered_commands if each.callback}
    commands |= {group.name for group in app.registered_groups if group.name}
    named = re.findall(r"bursar@([a-z]+)", (DEPLOY / "systemd" / "bursar@.service").read_text())
    named += re.findall(r"bursar@([a-z]+)", HOW_TO.read_text())
    assert set(named) == {"serve", "project", "export", "relay"}
    assert set(named) <= commands
