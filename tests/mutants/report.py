"""What became of the mutants, beside what `survivors.toml` says of them."""

import tomllib
from collections import Counter
from pathlib import Path

import msgspec

LEAST_KILLED = 0.95
SURVIVORS = Path(__file__).with_name("survivors.toml")


class Mutant(msgspec.Struct, frozen=True, order=True):
    """A change of a function, as text, so that its name holds while the lines about it move."""

    function: str
    change: str

    def __str__(self) -> str:
        return f"{self.function}: {self.change}"


def named() -> Counter[Mutant]:
    """The survivors that have a reason. A change that a function has twice is named twice."""
    entries = tomllib.loads(SURVIVORS.read_text())["survivors"]
    assert all(entry["reason"] for entry in entries)
    return Counter(Mutant(entry["function"], change) for entry in entries for change in entry["changes"])


def change_of(diff: str) -> str:
    """What a diff takes out → what it puts in, each on one line."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    before, after = (
        " ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in ("-", "+")
    )
    return f"{before} → {after}".strip()


def complaints(
    tested: Counter[str], survived: Counter[Mutant], expected: Counter[Mutant], *, whole: bool
) -> list[str]:
    """What is wrong with a run: a survivor without reason, a reason without survivor, and too few killed.

    `tested` counts the mutants of each function. Of a run that is not the `whole`, only the functions tested are asked.
    """
    asked = Counter({one: count for one, count in expected.items() if whole or one.function in tested})
    found = [f"survived, and is not named: {one}" for one in sorted((survived - asked).elements())]
    found += [f"named, but killed or gone: {one}" for one in sorted((asked - survived).elements())]
    if whole and tested.total() - survived.total() < LEAST_KILLED * tested.total():
        found.append(f"fewer than {LEAST_KILLED:.0%} were killed")
    return found
