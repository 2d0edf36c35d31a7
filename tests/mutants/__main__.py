"""`make mutants`: changes the functions of `domain` a bit at a time (mutmut), and sees whether `tests/domain` notices.

What it need not notice stands in `survivors.toml`. `ARGS="domain.money.*"` changes some functions only. Constants,
fields and properties are not changed. What was made stays in `mutants`, where `.venv/bin/mutmut browse` reads it, until
the next run.
"""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

from tests.mutants.report import Mutant, change_of, complaints, named

MADE = Path("mutants")


def main(patterns: list[str]) -> int:
    shutil.rmtree(MADE, ignore_errors=True)
    subprocess.run([Path(sys.executable).with_name("mutmut"), "run", *patterns], check=True)
    tested: Counter[str] = Counter()
    survived: Counter[Mutant] = Counter()
    for path, key, status in results():
        if patterns and status == "not checked":
            continue
        function = function_of(key)
        tested[function] += 1
        if status not in ("killed", "timeout"):
            survived[Mutant(function, change_of(get_diff_for_mutant(key, path=path)))] += 1
    found = complaints(tested, survived, named(), whole=not patterns)
    print(f"{tested.total()} mutants, {tested.total() - survived.total()} killed", *found, sep="\n")
    return 1 if found else 0


def results() -> Iterator[tuple[Path, str, str]]:
    """File, mutmut's key and what became of it, for each mutant."""
    for path in walk_mutatable_files():
        file = SourceFileMutationData(path=path)
        file.load()
        for key, exit_code in file.exit_code_by_key.items():
            yield path, key, status_by_exit_code[exit_code]


def function_of(key: str) -> str:
    """`domain.journal.Journal.post` of mutmut's `domain.journal.xǁJournalǁpost__mutmut_1`."""
    module, _, mangled = key.partition("__mutmut_")[0].rpartition(".")
    return f"{module}.{mangled.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
