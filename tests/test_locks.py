"""The locks are complete: installed without resolving anything, each package finds all that it asks for.

What a package asks for stands in the metadata of what is installed, so what is installed must be what is locked.
"""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import Distribution
from pathlib import Path

import msgspec
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).parents[1]
RUNTIME, DEVELOPMENT = "requirements.lock", "requirements-dev.lock"
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """One locked package: the requirement as it stands, and the hashes that pip may take for it."""

    requirement: Requirement
    hashes: frozenset[str]

    @property
    def version(self) -> Version:
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "=="
        return Version(specifier.version)


def parsed(text: str) -> dict[str, Pin]:
    """What a lock pins for this Python and system. Raises AssertionError where a line is not one hashed pin."""
    assert "://" not in text, "a lock names no index and no address"
    pins: dict[str, Pin] = {}
    stated = re.sub(r"^\s*#.*\n?", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    for line in stated.splitlines():
        hashes, requirement = HASH.findall(line), HASH.sub("", line).strip()
        assert not requirement.startswith("-"), f"an option does not belong in a lock: {requirement}"
        pin = Pin(requirement=Requirement(requirement), hashes=frozenset(hashes))
        assert hashes, f"no hash for {requirement}"
        assert re.match(r"[a-z0-9-]+==[^*,\s]+( ;|$)", requirement), f"not one version: {requirement}"
        if pin.requirement.marker is None or pin.requirement.marker.evaluate():
            assert pin.requirement.name not in pins, f"pinned twice: {requirement}"
            pins[pin.requirement.name] = pin
    return pins


def lock(name: str) -> dict[str, Pin]:
    return parsed((REPOSITORY / name).read_text())


def faults(
    roots: Iterable[str], pins: Mapping[str, Version], installed: Iterable[Distribution]
) -> Sequence[str]:
    """What is wrong with `pins` where these roots are asked for: what is not met, and what nothing asks for.

    Follows each requirement that applies, with its extras, through all that is installed.
    """
    distributions = {canonicalize_name(each.metadata["Name"]): each for each in installed}
    found: list[str] = []
    wanted: set[tuple[str, str]] = set()
    waiting = [("the project", requirement) for requirement in applicable(roots)]
    while waiting:
        who, requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in pins:
            found.append(f"{who} needs {requirement}, which is not locked")
        elif not requirement.specifier.contains(pins[name], prereleases=True):
            found.append(f"{who} needs {requirement}, and {pins[name]} is locked")
        else:
            for extra in {"", *requirement.extras} - {extra for known, extra in wanted if known == name}:
                wanted.add((name, extra))
                asked = distributions[name].requires or ()
                waiting += [(name, each) for each in applicable(asked, extra=extra)]
    idle = pins.keys() - {name for name, _ in wanted}
    return sorted(found) + [f"nothing needs {name}" for name in sorted(idle)]


def applicable(requirements: Iterable[str], *, extra: str = "") -> list[Requirement]:
    """Those whose marker holds on this Python and system, where this extra is asked for."""
    stated = [Requirement(text) for text in requirements]
    return [each for each in stated if each.marker is None or each.marker.evaluate({"extra": extra})]


def versions(name: str) -> dict[str, Version]:
    return {package: pin.version for package, pin in lock(name).items()}


def extra(name: str) -> list[str]:
    listed: list[str] = PYPROJECT["project"]["optional-dependencies"][name]
    return listed


@pytest.mark.parametrize("name", [RUNTIME, DEVELOPMENT])
def test_what_is_installed_is_what_is_locked(name: str) -> None:
    locked = versions(name)
    assert {package: Version(importlib.metadata.version(package)) for package in locked} == locked


def test_the_runtime_lock_is_complete_and_has_nothing_else() -> None:
    roots = [*PYPROJECT["project"]["dependencies"], *extra("build")]
    assert faults(roots, versions(RUNTIME), importlib.metadata.distributions()) == []


def test_the_development_lock_is_complete_and_has_nothing_else() -> None:
    roots = [*PYPROJECT["project"]["dependencies"], *extra("build"), *extra("dev")]
    assert faults(roots, versions(DEVELOPMENT), importlib.metadata.distributions()) == []


def test_the_build_is_what_the_build_system_asks_for() -> None:
    assert extra("build") == PYPROJECT["build-system"]["requires"]


def test_the_development_lock_holds_the_runtime_lock() -> None:
    assert lock(RUNTIME).items() <= lock(DEVELOPMENT).items()


def test_no_tool_is_in_the_runtime_lock() -> None:
    tools = {canonicalize_name(Requirement(text).name) for text in extra("dev")}
    assert tools & lock(RUNTIME).keys() == {"intuit-oauth"}  # python-quickbooks needs it; our tests import it


A, B = "a" * 64, "b" * 64


def test_a_lock_is_read_with_its_markers() -> None:
    pins = parsed(
        f"one==1.0 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n    # via two\n"
        f"two==2.0 ; sys_platform == 'linux' \\\n    --hash=sha256:{A}\n"
        f"two==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{B}\n"
    )
    assert {name: str(pin.version) for name, pin in pins.items()} == {"one": "1.0", "two": "2.0"}
    assert pins["one"].hashes == {f"sha256:{A}", f"sha256:{B}"}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("one==1.0", "no hash"),
        (f"one>=1.0 --hash=sha256:{A}", "not one version"),
        (f"one==1.* --hash=sha256:{A}", "not one version"),
        (f"one==1.0,<2 --hash=sha256:{A}", "not one version"),
        (f"one[more]==1.0 --hash=sha256:{A}", "not one version"),
        (f"one @ https://example.org/one.whl --hash=sha256:{A}", "names no index"),
        ("--index-url https://example.org/simple", "names no index"),
        ("--find-links wheels", "an option"),
        (f"one==1.0 --hash=sha256:{A}\none==1.1 --hash=sha256:{B}", "pinned twice"),
    ],
)
def test_a_planted_line_that_is_no_hashed_pin_is_found(line: str, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        parsed(line + "\n")


@pytest.mark.parametrize(
    ("asks", "expected"),
    [
        ({"one": ["two"], "two": []}, []),
        ({"one": ["two>=1.0", "two<2"], "two": []}, []),
        ({"one": ["two; sys_platform == 'win32'"]}, []),
        ({"one": ["two; extra == 'more'"]}, []),
        ({"one": ["two"]}, ["one needs two, which is not locked"]),
        ({"one": ["two>=1.1"], "two": []}, ["one needs two>=1.1, and 1.0 is locked", "nothing needs two"]),
        ({"one": ["two"], "two": ["three"]}, ["two needs three, which is not locked"]),
        (
            {"one": ["two[more]"], "two": ["Three; extra == 'more'"]},
            ['two needs Three; extra == "more", which is not locked'],
        ),
        ({"one": ["two", "two[more]"], "two": ["three; extra == 'more'"], "three": []}, []),
        ({"one": [], "two": []}, ["nothing needs two"]),
    ],
)
def test_a_planted_requirement_that_is_not_met_is_found(
    tmp_path: Path, asks: Mapping[str, Sequence[str]], expected: Sequence[str]
) -> None:
    for name, requirements in asks.items():
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        lines = [
            "Metadata-Version: 2.1",
            f"Name: {name}",
            "Version: 1.0",
            *(f"Requires-Dist: {r}" for r in requirements),
        ]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")
    pins = dict.fromkeys(asks, Version("1.0"))
    assert faults(["one"], pins, importlib.metadata.distributions(path=[str(tmp_path)])) == expected


def test_what_the_project_itself_asks_for_must_be_locked() -> None:
    roots = ["one", "two; sys_platform == 'win32'"]
    assert faults(roots, {}, []) == ["the project needs one, which is not locked"]
