"""The embedded server, each time the real one: made, killed, back again, reached as each role."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from adapters.postgres.embedded.cluster import (
    STOP_SIGNAL,
    Cluster,
    prepare,
    temporary_cluster,
)
from adapters.postgres.embedded.installation import ServerError
from adapters.postgres.roles import LOGIN_ROLES, set_role_passwords, url_for_role
from adapters.system.processes import end, spawn
from tests.support.cluster import start_server
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[4]


@contextmanager
def running(cluster: Cluster) -> Generator[subprocess.Popen[bytes]]:
    process = start_server(cluster)
    try:
        yield process
    finally:
        end(process, stop=STOP_SIGNAL, seconds=10)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_killed_server_comes_back_with_what_was_committed(folder: Path) -> None:
    cluster = prepare(folder / "data")
    with running(cluster), psycopg.connect(cluster.superuser_url) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    for n in range(3):
        with running(cluster) as process, psycopg.connect(cluster.superuser_url) as connection:
            connection.execute("INSERT INTO kept VALUES (%s)", [n])
            connection.commit()
            process.kill()
            process.wait()
    again = prepare(folder / "data")
    assert again.passwords == cluster.passwords
    with running(again), psycopg.connect(again.superuser_url) as connection:
        assert connection.execute("SELECT array_agg(n ORDER BY n) FROM kept").fetchone() == ([0, 1, 2],)


def test_each_role_has_its_own_password_and_the_text_is_utf8(folder: Path) -> None:
    with temporary_cluster(folder / "data") as cluster:
        with psycopg.connect(cluster.superuser_url) as connection:
            assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
            assert connection.execute("SHOW max_wal_size").fetchone() == ("4GB",)
            for role in LOGIN_ROLES:
                connection.execute(f"CREATE ROLE {role}")
            set_role_passwords(connection, cluster.passwords)
        for role, url in cluster.urls().items():
            with psycopg.connect(url) as connection:
                assert connection.execute("SELECT current_user").fetchone() == (role,)
        assert len(set(cluster.passwords.values())) == len(LOGIN_ROLES) + 1
        assert mode(folder / "data" / "passwords.json") == 0o600
        wrong = url_for_role(cluster.superuser_url, "bursar_reader", cluster.passwords["bursar_writer"])
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(
                f"host={cluster.socket_directory} port={cluster.port} user=postgres dbname=postgres"
            )
    assert not cluster.directory.exists()


def test_a_path_too_long_for_a_socket_gets_a_private_folder_for_it_and_keeps_it(folder: Path) -> None:
    data = folder / ("long" * 12) / ("path" * 12)
    cluster = prepare(data)
    assert cluster.socket_directory != cluster.directory
    assert len(bytes(cluster.socket_directory)) < 60
    assert mode(cluster.socket_directory) == 0o700
    with running(cluster), psycopg.connect(cluster.superuser_url):
        assert cluster.is_ready()
    assert prepare(data).socket_directory == cluster.socket_directory
    shutil.rmtree(cluster.socket_directory)


def test_a_closed_folder_stays_closed(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    data = closed / "data"
    with running(cluster := prepare(data)), psycopg.connect(cluster.superuser_url) as connection:
        connection.execute("CREATE TABLE kept ()")
    assert mode(closed) == 0o700
    if os.geteuid() == 0:  # the server's user does not reach it, so the cluster is elsewhere, and noted
        assert cluster.directory.is_relative_to(folder / "shared")
        assert (data / "postgres.path").read_text().strip() == str(cluster.directory)
    else:
        assert cluster.directory == data / "postgres"
    assert prepare(data).directory == cluster.directory
    shutil.rmtree(cluster.directory)
    if os.geteuid() == 0:
        with pytest.raises(ServerError, match="does not exist"):
            prepare(data)


def test_a_cluster_that_was_never_finished_is_not_trusted(folder: Path) -> None:
    data = folder / "data"
    attempt = spawn(
        [
            sys.executable,
            "-c",
            "import pathlib, sys; from adapters.postgres.embedded.cluster import prepare; prepare(pathlib.Path(sys.argv[1]))",
            str(data),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    eventually(lambda: bool(list(data.glob("postgres.new-*/data/base"))))
    attempt.kill()
    attempt.wait()
    assert not (data / "postgres").exists()
    with running(cluster := prepare(data)), psycopg.connect(cluster.superuser_url):
        assert {path.name for path in data.glob("postgres*")} == {"postgres", "postgres.port"}


def test_a_pid_file_that_names_a_stranger_does_not_keep_the_server_down(folder: Path) -> None:
    cluster = prepare(folder / "data")
    with running(cluster) as process:
        process.kill()
        process.wait()
        eventually(lambda: not cluster.is_ready())
    stranger = spawn(["/usr/bin/env", "sleep", "1000"], env={}, account=cluster.account, cwd=Path("/"))
    try:
        pid_file = cluster.directory / "postmaster.pid"
        lines = pid_file.read_text().split("\n")
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        with running(again := prepare(folder / "data")), psycopg.connect(again.superuser_url):
            assert again.is_ready()
    finally:
        end(stranger, stop=signal.SIGKILL, seconds=10)


def test_a_running_server_keeps_its_pid_file(folder: Path) -> None:
    cluster = prepare(folder / "data")
    with running(cluster) as process:
        prepare(folder / "data")
        assert (cluster.directory / "postmaster.pid").read_text().startswith(f"{process.pid}\n")
