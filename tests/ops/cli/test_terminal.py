"""The command line as a program: help, completion, facts alone, progress, Ctrl-C, and a demo that asks."""

import json
import re
import secrets
import signal
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import psycopg
import pytest
from typer.testing import CliRunner

from domain.capability import ROLES
from domain.chart import COUNTRIES
from ops.cli import administration
from ops.cli.main import app
from tests.support.service import Service
from tests.support.shell import REPOSITORY, Shell, on_a_terminal
from tests.support.waiting import eventually


def test_the_version(bare: Shell) -> None:
    assert bare.run("--version") == (f"bursar {version('bursar')}\n", "")


def test_help_loads_no_database_no_api_and_no_broker() -> None:
    program = (
        "import sys\nfrom ops.cli.main import app\n"
        "try:\n    app(['key', '--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('psycopg', 'fastapi', 'kafka', 'pydantic', 'httpx', 'alembic') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("command", "choices"),
    [
        (["key", "create"], list(ROLES)),
        (["tenant", "register"], list(COUNTRIES)),
        (["tenant", "feature"], ["FINANCE_V2", "on", "off"]),
    ],
)
def test_choices_stand_in_the_help(command: list[str], choices: list[str]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "300"}).stdout
    assert all(re.search(rf"\b{choice}\b", shown) for choice in choices)


def test_a_choice_is_completed(bare: Shell) -> None:
    words = "bursar key create --role a"
    completing = {"_BURSAR_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "4"}
    done = subprocess.run(
        [Path(sys.executable).with_name("bursar")],
        env={**bare.environment, **completing},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [role for role in ROLES if role.startswith("a")]


def test_roles_and_countries_are_those_of_the_domain() -> None:
    assert get_args(administration.Role) == tuple(ROLES)
    assert get_args(administration.Country) == tuple(COUNTRIES)


# --- proofs


def test_proofs_print_facts_alone(operator: Shell) -> None:
    verified = operator.facts("verify")
    assert verified["findings"] == []
    rebuilt = operator.facts("rebuild")
    assert {table["differing"] for table in rebuilt["tables"].values()} == {0}


def test_a_rebuild_beside_another(operator: Shell, service: Service) -> None:
    with psycopg.connect(service.superuser_url) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('bursar rebuild'))")
        assert operator.run("rebuild", code=1) == ("", "bursar: Another rebuild is running.\n")


def test_a_database_that_is_away(bare: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"postgresql://bursar_auditor@127.0.0.1:{port}/none"
    out, told = bare.run("verify", code=2, BURSAR_AUDITOR_DATABASE_URL=url)
    assert out == ""
    assert told.startswith("bursar: the database does not answer: ")
    assert "Traceback" not in told


def test_a_progress_bar_ends_at_its_end(operator: Shell, service: Service) -> None:
    code, shown = on_a_terminal(operator, "verify")
    assert code == 0, shown
    head = service.head()
    assert re.findall(r"(\d+)/(\d+)", shown)[-1] == (str(head), str(head))


@pytest.mark.parametrize(("end", "shown_last"), [("", ("10", "10")), ("raise SystemExit(3)", ("3", "10"))])
def test_a_progress_bar_whose_work_said_less_ends_too_unless_it_failed(
    bare: Shell, end: str, shown_last: tuple[str, str]
) -> None:
    lines = [
        "from ops.cli.output import progress",
        "with progress('Counting') as report:",
        "    report(3, 10)",
    ]
    program = "\n".join([*lines, f"    {end}"])
    code, shown = on_a_terminal(bare, program=("-c", program))
    assert code == (3 if end else 0), shown
    assert re.findall(r"(\d+)/(\d+)", shown)[-1] == shown_last


# --- Ctrl-C


def test_ctrl_c_ends_a_command_with_one_line(bare: Shell) -> None:
    """Interrupted while it waits for a service that takes the call and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "ops.cli",
                "whoami",
                "--key",
                "bk_key",
                "--url",
                f"http://127.0.0.1:{silent.getsockname()[1]}",
            ],
            cwd=bare.folder,
            env=bare.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        calling, _ = silent.accept()
        with calling:
            assert calling.recv(1000)
            stat = Path(f"/proc/{process.pid}/stat")
            eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "S", "it waits")
            process.send_signal(signal.SIGINT)
            out, told = process.communicate(timeout=60)
    assert (process.returncode, out, told) == (130, "", "bursar: interrupted\n")


# --- the demo asks


def test_the_demo_refuses_to_write_into_any_school_without_being_asked_by_somebody(
    bare: Shell, service: Service
) -> None:
    head = service.head()
    arguments = ("demo", "--url", service.url, "--key", service.others["admin"])
    out, told = bare.run(*arguments, code=2)
    assert (out, len(told.splitlines())) == ("", 1)
    assert "the books of maple" in told
    assert "--yes" in told
    code, shown = on_a_terminal(bare, *arguments, answer=b"n\n")
    assert code == 1, shown
    assert "Do it? [y/N]" in shown
    assert service.head() == head


def test_the_demo_writes_once_somebody_agreed(bare: Shell, service: Service) -> None:
    """It is not played to its end here, since nothing exports: it is ended once it has written."""
    head = service.head()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "ops.cli",
            "demo",
            "--yes",
            "--url",
            service.url,
            "--key",
            service.others["admin"],
        ],
        cwd=bare.folder,
        env=bare.environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: service.head() > head, "the demo writes")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, "bursar: interrupted\n")


def test_the_demo_of_the_seeded_school_does_not_ask(at_up: Shell) -> None:
    told = at_up.facts("demo")
    assert told["agrees"] is True
    assert told["steps"]
    assert all(check["left"] == check["right"] for check in told["checks"])


def test_the_demo_of_another_school_compares_with_its_own_company(at_up: Shell, ready_file: Path) -> None:
    name = f"school-{secrets.token_hex(4)}"
    at_up.run("tenant", "register", name, "--country", "CA")
    key = at_up.facts("key", "create", "--tenant", name, "--client", "demo", "--role", "admin")["key"]
    url = json.loads(ready_file.read_text())["url"]
    told = at_up.facts("demo", "--yes", "--url", url, "--key", key)
    assert told["agrees"] is True, told
    assert any("QuickBooks" in check["what"] for check in told["checks"])
