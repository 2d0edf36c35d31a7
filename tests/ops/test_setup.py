"""Set-up is safe to repeat, and does little where nothing is to be done."""

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from adapters.postgres import migrations
from domain.errors import DomainError
from ops.setup import SEEDED_ROLES, SEEDED_TENANT, seed
from tests.conftest import Database


def commands(database: Database) -> list[tuple[str, str]]:
    """Tenant and command of all that the log holds, in order."""
    with psycopg.connect(database.superuser_url) as connection:
        return connection.execute("SELECT tenant, command FROM commands ORDER BY position").fetchall()


EXPECTED = [(SEEDED_TENANT, action) for action in ("tenant.register", *["key.create"] * len(SEEDED_ROLES))]


def test_the_school_is_seeded_once(database: Database, tmp_path: Path) -> None:
    first = seed(database.url("bursar_writer"), tmp_path)
    assert first.keys.keys() == set(SEEDED_ROLES)
    assert seed(database.url("bursar_writer"), tmp_path) == first
    assert commands(database) == EXPECTED
    assert json.loads((tmp_path / "keys.json").read_text()) == first.keys


def test_what_a_crash_left_undone_is_done_at_the_next_start(database: Database, tmp_path: Path) -> None:
    """The keys are in their file, and only some in the log."""
    whole = seed(database.url("bursar_writer"), tmp_path)
    (tmp_path / "keys.json").write_text(json.dumps({**whole.keys, "cashier": "bk_another-key-never-created"}))
    again = seed(database.url("bursar_writer"), tmp_path)
    assert again.keys["cashier"] == "bk_another-key-never-created"
    assert commands(database) == [*EXPECTED, (SEEDED_TENANT, "key.create")]


def test_a_seed_that_is_refused_is_not_passed_over(database: Database, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"no-such-role": "bk_0123456789"}))
    with pytest.raises(DomainError, match="role"):
        seed(database.url("bursar_writer"), tmp_path)


def test_the_newest_revision_is_told_by_its_file() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


def test_where_the_schema_is_up_to_date_alembic_is_not_even_imported(database: Database) -> None:
    program = """
import sys
from ops.setup import migrate
migrate(sys.argv[1])
print(sorted({"alembic", "sqlalchemy"} & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, database.superuser_url], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
