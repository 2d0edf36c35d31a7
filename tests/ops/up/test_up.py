"""What `up` refuses, notes and prints; that all its parts work together is shown end to end elsewhere."""

import json
import os
import shlex
import socket
import stat
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from adapters.system.processes import kept_port, start_time
from ops.up import plan as it
from ops.up.greeting import greeting
from ops.up.ready_file import NotRunningError, QuickBooksInfo, ReadyInfo, note, running
from ops.up.supervisor import sole_owner

INFO = ReadyInfo(
    url="http://127.0.0.1:8000",
    tenant="greenhill",
    keys={"admin": "a-key", "cashier": "c-key", "auditor": "r-key"},
    quickbooks=QuickBooksInfo(url="http://127.0.0.1:8001", realm="1", access_token="t"),
    database_url="postgresql://postgres:p@127.0.0.1:5432/postgres",
    database_urls={"bursar_writer": "postgresql://bursar_writer:p@127.0.0.1:5432/postgres"},
    pids={"up": os.getpid(), "api": 3},
)


def refused(capsys: pytest.CaptureFixture[str], data: Path, **arguments: object) -> str:
    wanted = {"port": 0, "data": data, "kafka": False, "ready_file": None, **arguments}
    assert it.up(**wanted) == 2  # type: ignore[arg-type] - the mapping mixes types
    return capsys.readouterr().err


def test_kafka_without_a_broker_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BURSAR_KAFKA_BOOTSTRAP_SERVERS", raising=False)
    assert "set BURSAR_KAFKA_BOOTSTRAP_SERVERS" in refused(capsys, tmp_path / "data", kafka=True)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused(
    port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"port {port} is taken, or none from 0 to 65535" in refused(capsys, tmp_path, port=port)


def test_a_taken_port_is_refused_where_it_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} is taken" in refused(capsys, tmp_path, port=port)


def test_a_ready_file_in_no_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no folder" in refused(capsys, tmp_path, ready_file=tmp_path / "none" / "ready.json")


def test_a_second_one_is_refused_before_anything_is_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sole_owner(tmp_path):
        before = sorted(path.name for path in tmp_path.iterdir())
        assert f"process {os.getpid()} already runs on {tmp_path}" in refused(capsys, tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_other_commands_find_a_running_one_and_only_that(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="no bursar up runs"):
        running(tmp_path)
    note(tmp_path, INFO)
    assert running(tmp_path) == INFO
    assert stat.S_IMODE((tmp_path / "up.json").stat().st_mode) == 0o600
    noted = json.loads((tmp_path / "up.json").read_bytes())
    noted["started"] = (start_time(os.getpid()) or 0) - 1  # the pid has passed to another process
    (tmp_path / "up.json").write_text(json.dumps(noted))
    with pytest.raises(NotRunningError, match="has ended"):
        running(tmp_path)


def test_the_greeting_fits_a_screen_and_says_where_everything_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = greeting(INFO, tmp_path / ".bursar")
    assert 20 < len(text.splitlines()) <= 30
    for fact in (INFO.url, f"{INFO.url}/docs", INFO.quickbooks.url, *INFO.keys.values(), ".bursar/logs"):
        assert fact in text
    commands = shlex.split(text[text.index("  eval ") : text.index("Ctrl-C")])
    assert commands.count("curl") == 4
    assert not any(key in word for word in commands for key in INFO.keys.values())
    bodies = [json.loads(body) for word, body in pairwise(commands) if word == "-d"]
    assert [tender["type"] for tender in bodies[2]["tenders"]] == ["wallet", "cash"]


@pytest.mark.parametrize(
    ("program", "data", "said"),
    [
        (".venv/bin/bursar", ".bursar", ".venv/bin/bursar env"),
        ("bursar", ".bursar", "./bursar env"),
        (".venv/bin/bursar", "my books", ".venv/bin/bursar env --data './my books'"),
        ("ops/cli/__main__.py", ".bursar", "bin/python -m ops.cli env"),
    ],
)
def test_the_greeting_names_the_program_as_it_was_started(
    program: str, data: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [program])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert f'eval "$({said})"\n' in greeting(INFO, tmp_path / data)


def test_the_greeting_names_what_stands_on_the_path_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bursar"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(sys, "argv", [str(program)])
    assert 'eval "$(bursar env --data /data)"\n' in greeting(INFO, Path("/data"))


def test_a_port_is_kept_while_it_is_free(tmp_path: Path) -> None:
    note = tmp_path / "quickbooks.port"
    first = kept_port(note)
    assert kept_port(note) == first
    with socket.create_server(("127.0.0.1", first)):
        second = kept_port(note)
    assert second != first
    assert kept_port(note) == second
    assert kept_port(note, taken=[second]) != second


def test_a_part_gets_no_secret_but_those_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURSAR_DATABASE_URL", "postgresql://postgres:hunter2@db/postgres")
    monkeypatch.setenv("BURSAR_WRITER_DATABASE_URL", "postgresql://writer:hunter2@db/postgres")
    monkeypatch.setenv("BURSAR_QUEUE_LIMIT", "5")
    env = it._environment({"BURSAR_READER_DATABASE_URL": "postgresql://reader@db/postgres"})
    assert "hunter2" not in "".join(env.values())
    assert env["BURSAR_READER_DATABASE_URL"] == "postgresql://reader@db/postgres"
    assert env["BURSAR_QUEUE_LIMIT"] == "5"
