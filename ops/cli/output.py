"""What commands print: facts as text or as one line of JSON, progress, and why something failed."""

import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Annotated, Final, NoReturn

import msgspec
import typer

FAILED: Final = 1
"""The exit code of what was refused or could not be done."""
USAGE: Final = 2
"""The exit code where what was asked for cannot be had as asked: an option, a setting, a database that is away."""
NOT_ALL: Final = 3
"""The exit code of what was done, but not in full; the command says what is left."""
INTERRUPTED: Final = 130
"""The exit code after Ctrl-C: 128 and the number of the signal, as shells count."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print one line of JSON, and nothing else.")]


def fail(message: str, *, code: int = FAILED) -> NoReturn:
    """End the command with one line on standard error."""
    print(f"bursar: {message}", file=sys.stderr)
    raise typer.Exit(code)


def print_json(facts: object) -> None:
    """Print facts as one line of JSON."""
    print(msgspec.json.encode(facts).decode())


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns as wide as what they hold, without lines around them, so that other programs can cut them."""
    table = [tuple(headers), *(tuple(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@contextmanager
def progress(label: str, *, quiet: bool = False) -> Generator[Callable[[int, int], None]]:
    """A progress bar where standard error is a terminal; what is yielded takes how many are done, and of how many.

    Where the block ends without an exception the bar stands at its end.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()
    ) as progress_bar:
        task = progress_bar.add_task(label, total=None)
        yield lambda done, total: progress_bar.update(task, completed=done, total=total)
        total = progress_bar.tasks[0].total or 0
        progress_bar.update(task, completed=total, total=total)
