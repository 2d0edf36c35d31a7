"""The generated pages are those of this code, and the hand-written ones leave out no command and no setting."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.core
import typer.main

from api.errors import STATUS
from domain.aggregates import TOPICS
from ops import reference
from ops.cli.main import app
from ops.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", sorted(reference.render()))
def test_a_generated_page_is_the_committed_one(name: str) -> None:
    committed = (reference.FOLDER / name).read_text()
    assert committed == reference.render()[name], "python -m ops.reference"


def test_every_event_is_on_the_page() -> None:
    page = reference.render()["events.md"]
    assert sorted(re.findall(r"^### `(.*)`$", page, re.MULTILINE)) == sorted(TOPICS)


def test_every_code_is_on_the_page() -> None:
    page = reference.render()["errors.md"]
    for code, status in STATUS.items():
        assert f"| {status} | `{code}` | {code.meaning} |" in page


def test_every_setting_is_on_the_page() -> None:
    page = (DOCS / "reference" / "configuration.md").read_text()
    named = set(re.findall(r"`BURSAR_([A-Z_]+)`", page))
    assert {name.upper() for name in Settings.model_fields} <= named


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(command, typer.core.TyperGroup):
        if command.invoke_without_command and path != "bursar":
            yield path, command
        for name, inner in command.commands.items():
            yield from commands(inner, f"{path} {name}")
    else:
        yield path, command


def test_every_command_and_option_is_on_the_page() -> None:
    page = (DOCS / "reference" / "cli.md").read_text()
    sections = dict(
        re.findall(r"^## `(bursar[a-z ]*[a-z])[^`\n]*`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    )
    expected = dict(commands(typer.main.get_command(app), "bursar"))
    assert sections.keys() == expected.keys()
    for path, command in expected.items():
        options = {
            option for parameter in command.params for option in parameter.opts if option.startswith("--")
        }
        missing = {option for option in options if f"`{option}" not in sections[path]}
        assert not missing - {"--help"}, path


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_no_link_leads_nowhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if "://" not in link]
    assert not [link for link in local if not (page.parent / link).exists()]


def test_no_link_of_the_readme_leads_nowhere() -> None:
    test_no_link_leads_nowhere(DOCS.parent / "README.md")
