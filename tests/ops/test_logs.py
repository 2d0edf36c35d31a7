"""The log of a process: one JSON line for each event, whoever speaks; each part of `up` begins its own with a start line."""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Database

REPOSITORY = Path(__file__).parents[2]
BEGINNING = ["event", "process", "level", "timestamp"]


def logged(program: str, *, level: str | None = None, code: int = 0) -> list[dict[str, Any]]:
    """The lines that a process of its own leaves on standard error; it leaves nothing on standard output."""
    environment = {name: value for name, value in os.environ.items() if name != "BURSAR_LOG_LEVEL"}
    if level is not None:
        environment["BURSAR_LOG_LEVEL"] = level
    preamble = "import logging, structlog\nfrom ops import logs\nlogs.configure(process='test')\nlog = structlog.get_logger()\n"
    done = subprocess.run(
        [sys.executable, "-c", preamble + program],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(list(line)[:4] == BEGINNING for line in lines), lines
    return lines


def test_a_line_has_the_time_in_utc_its_level_its_process_and_what_is_known() -> None:
    [line] = logged("log.warning('interrupted', worker='relay', attempt=2)")
    moment = datetime.fromisoformat(line.pop("timestamp"))
    assert moment.utcoffset() == timedelta(0)
    assert line == {
        "level": "warning",
        "process": "test",
        "event": "interrupted",
        "worker": "relay",
        "attempt": 2,
    }


def test_what_is_bound_to_the_context_is_on_every_line_of_it() -> None:
    program = "structlog.contextvars.bind_contextvars(request_id='r-1')\nlog.info('one')\nlog.info('two', tenant='a')"
    assert [line["request_id"] for line in logged(program)] == ["r-1", "r-1"]


def test_libraries_and_warnings_come_in_the_same_shape_and_once() -> None:
    program = (
        "import warnings\n"
        "logging.getLogger('uvicorn.error').error('no %s', 'port')\n"
        "logging.getLogger('alembic.runtime.migration').info('upgraded')\n"
        "logging.getLogger('odd').log(25, 'between two levels')\n"
        "warnings.warn('old')\n"
    )
    lines = logged(program)
    assert [(line["logger"], line["level"]) for line in lines] == [
        ("uvicorn.error", "error"),
        ("alembic.runtime.migration", "info"),
        ("odd", "info"),
        ("py.warnings", "warning"),
    ]
    assert lines[0]["event"] == "no port"
    assert "UserWarning: old" in lines[3]["event"]


def test_configured_twice_nothing_is_told_twice() -> None:
    program = "logs.configure(process='again')\nlogging.getLogger('a').error('x')\nlog.error('y')"
    assert [(line["process"], line["event"]) for line in logged(program)] == [("again", "x"), ("again", "y")]


@pytest.mark.parametrize("speak", ["log.exception('failed')", "logging.getLogger('a').exception('failed')"])
def test_a_traceback_is_one_field(speak: str) -> None:
    [line] = logged(f"try:\n    1 / 0\nexcept ZeroDivisionError:\n    {speak}")
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("ZeroDivisionError: division by zero")
    assert "exc_info" not in line


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        (None, ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_is_the_setting_and_info_without_it(level: str | None, told: list[str]) -> None:
    each = "\n".join(f"log.{name}('ours')" for name in ("debug", "info", "warning", "error"))
    theirs = "\n".join(
        f"logging.getLogger('a').{name}('theirs')" for name in ("debug", "info", "warning", "error")
    )
    for program in (each, theirs):
        assert [line["level"] for line in logged(program, level=level)] == told


def test_a_fact_that_is_not_json_is_shown_as_python_shows_it() -> None:
    program = "log.error('x', error=ValueError('v'), many=10**30, half='\\ud800', by={1: 2})"
    [line] = logged(program)
    assert (line["error"], line["many"], line["half"]) == ("ValueError('v')", str(10**30), "\\ud800")
    assert (line["event"], line["level"]) == ("x", "error")


@pytest.mark.parametrize(
    ("program", "event", "code"),
    [
        ("raise RuntimeError('gap')", "ended by an error", 1),
        (
            (
                "import threading\ndef work(): raise RuntimeError('gap')\n"
                "thread = threading.Thread(target=work)\nthread.start()\nthread.join()"
            ),
            "a thread was ended by an error",
            0,
        ),
    ],
)
def test_what_ends_a_process_is_logged(program: str, event: str, code: int) -> None:
    [line] = logged(program, code=code)
    assert (line["level"], line["event"], line["error"]) == ("critical", event, "RuntimeError('gap')")
    assert line["exception"].endswith("RuntimeError: gap")


def test_no_row_is_quoted_where_the_database_ends_a_process(database: Database) -> None:
    statement = "CREATE TEMP TABLE t (n text CHECK (n <> 'JANE DOE')); INSERT INTO t VALUES ('JANE DOE')"
    program = f"import psycopg\npsycopg.connect({database.superuser_url!r}).execute({statement!r})"
    [line] = logged(program, code=1)
    assert line["event"] == "ended by an error"
    assert "CheckViolation" in line["error"]
    assert "JANE" not in line["error"] + line["exception"].rpartition("\n")[2]


def test_a_level_that_is_none_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli", "emulate", "quickbooks", "--port", "0"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "BURSAR_LOG_LEVEL": "loud"},
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bursar: BURSAR_LOG_LEVEL: ")
    assert len(done.stderr.splitlines()) == 1


def test_every_part_of_up_begins_its_log_with_its_version(ready_file: Path) -> None:
    ready = json.loads(ready_file.read_text())
    logs = ready_file.parent / "up" / "logs"
    for part in ("api", "projector", "exporter", "quickbooks"):
        first = json.loads((logs / f"{part}.log").read_text().splitlines()[0])
        assert list(first)[:4] == BEGINNING, part
        assert (first["level"], first["process"], first["event"]) == ("info", part, "started")
        assert (first["version"], first["pid"]) == (version("bursar"), ready["pids"][part])
        if part in ("api", "quickbooks"):
            address = ready["url"] if part == "api" else ready["quickbooks"]["url"]
            assert first["address"] == address
