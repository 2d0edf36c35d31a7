"""Which database or service a command talks to, what it says where that is missing, and as whom."""

import json
import shlex
import socket
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from domain.capability import ROLES
from tests.support.service import Service
from tests.support.shell import Shell


def test_all_settings_that_are_missing_are_named_at_once(bare: Shell) -> None:
    _, told = bare.run("tenant", "register", "x1", "--country", "KE", code=2)
    assert told == (
        "bursar: BURSAR_WRITER_DATABASE_URL and BURSAR_READER_DATABASE_URL are not set, and no `bursar up` runs "
        "on .bursar: start one, or give --data DIR of one that runs\n"
    )


def test_an_up_is_not_spoken_of_where_it_would_not_help(bare: Shell) -> None:
    _, told = bare.run("relay", code=2)
    assert told == "bursar: BURSAR_RELAY_DATABASE_URL and BURSAR_KAFKA_BOOTSTRAP_SERVERS are not set\n"
    _, told = bare.run("relay", code=2, BURSAR_RELAY_DATABASE_URL="postgresql://nowhere")
    assert told == "bursar: BURSAR_KAFKA_BOOTSTRAP_SERVERS is not set\n"


def test_two_sources_are_never_mixed(at_up: Shell) -> None:
    elsewhere = "postgresql://bursar_writer@127.0.0.1:1/elsewhere"
    _, told = at_up.run(
        "tenant", "register", "x1", "--country", "KE", code=2, BURSAR_WRITER_DATABASE_URL=elsewhere
    )
    assert told == "bursar: BURSAR_READER_DATABASE_URL is not set\n"
    _, told = at_up.run("tenant", "list", code=2, BURSAR_PROJECTOR_DATABASE_URL=elsewhere)
    assert told.startswith("bursar: the database does not answer: ")
    out, _ = at_up.run("tenant", "list", "--data", ".bursar", BURSAR_PROJECTOR_DATABASE_URL=elsewhere)
    assert "greenhill" in out


def test_a_setting_that_is_malformed_is_named(bare: Shell) -> None:
    _, told = bare.run("verify", code=2, BURSAR_QUEUE_LIMIT="many")
    assert told.startswith("bursar: BURSAR_QUEUE_LIMIT: ")
    assert len(told.splitlines()) == 1


def test_a_folder_on_which_no_up_runs(bare: Shell) -> None:
    _, told = bare.run("env", "--data", "nowhere", code=2)
    assert told.startswith("bursar: no bursar up runs on nowhere")


# --- which service, and as whom


def test_whoami_where_the_read_tables_are_known(operator: Shell, service: Service) -> None:
    known = operator.facts("whoami", "--url", service.url, "--key", service.keys["cashier"])
    assert known == {
        "url": service.url,
        "version": version("bursar"),
        "tenant": "greenhill",
        "currency": "KES",
        "time_zone": "Africa/Nairobi",
        "prefix": service.keys["cashier"][:11],
        "client": "CASHIER",
        "role": "cashier",
        "capabilities": sorted(ROLES["cashier"]),
        "expires_at": None,
    }
    other = operator.facts("whoami", "--url", service.url, "--key", service.others["auditor"])
    assert (other["tenant"], other["client"], other["role"]) == ("maple", "AUDITOR", "auditor")


def test_whoami_where_they_are_not(bare: Shell, service: Service) -> None:
    environment = {"BURSAR_URL": service.url, "BURSAR_API_KEY": service.keys["admin"]}
    out, _ = bare.run("whoami", **environment)
    assert out.startswith(f"service   {service.url}, version ")
    assert "out of reach" in out
    bare.environment.update(environment)
    assert bare.facts("whoami")["role"] is None


def test_whoami_with_a_key_that_nobody_knows(bare: Shell, service: Service) -> None:
    out, told = bare.run("whoami", "--url", service.url, "--key", "bk_nobody", code=1)
    assert (out, told.startswith("bursar: unauthenticated: "), len(told.splitlines())) == ("", True, 1)


@pytest.mark.parametrize("command", ["whoami", "demo"])
def test_where_nothing_answers_it_says_so_at_once(bare: Shell, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    out, told = bare.run(command, "--url", f"http://127.0.0.1:{port}", "--key", "bk_key", code=1)
    assert (out, len(told.splitlines())) == ("", 1)
    assert told.startswith(f"bursar: http://127.0.0.1:{port} did not answer: ")


def test_env_makes_a_shell_know_the_service(at_up: Shell, ready_file: Path) -> None:
    ready = json.loads(ready_file.read_text())
    expected = {
        "BURSAR_URL": ready["url"],
        "BURSAR_API_KEY": ready["keys"]["admin"],
        "BURSAR_AUDITOR_DATABASE_URL": ready["database_urls"]["bursar_auditor"],
    }
    assert at_up.facts("env") == expected
    out, _ = at_up.run("env")
    script = f'{out}printf \'%s\\n\' "$BURSAR_URL" "$BURSAR_API_KEY" "$BURSAR_AUDITOR_DATABASE_URL"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == list(expected.values())
    assert all(len(shlex.split(line)) == 2 for line in out.splitlines())
    assert at_up.facts("env", "--role", "auditor")["BURSAR_API_KEY"] == ready["keys"]["auditor"]
    _, told = at_up.run("env", "--role", "ops", code=2)
    assert "admin, cashier, auditor have" in " ".join(told.replace("│", " ").split())


def test_what_is_said_at_the_command_line_goes_before_the_environment(
    at_up: Shell, service: Service, ready_file: Path
) -> None:
    ready = json.loads(ready_file.read_text())
    at_up.environment.update(BURSAR_URL=service.url, BURSAR_API_KEY=service.keys["admin"])
    assert at_up.facts("whoami")["url"] == service.url
    of_up = at_up.facts("whoami", "--data", ".bursar")
    assert (of_up["url"], of_up["role"]) == (ready["url"], "admin")
    assert at_up.facts("whoami", "--key", service.keys["ops"])["prefix"] == service.keys["ops"][:11]
