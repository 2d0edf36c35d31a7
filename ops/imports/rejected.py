"""The file of rejected rows: each with its line and the reason, and then as it is, to be mended and imported again."""

import csv
import io
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

from adapters.system.files import write_atomically
from ops.imports.reading import REJECTED_COLUMNS, Table, guarded
from ops.imports.records import FileError
from ops.imports.rows import Rejection

KEY_COLUMN: Final = "bursar key"
"""Holds the idempotency key of a row, which a mended row keeps: so it is the same sale in either file."""

_SUFFIX: Final = ".rejected.csv"


def rejected_path(path: Path) -> Path:
    return path.with_name(f"{path.name}{_SUFFIX}")


def source_name(path: Path) -> str:
    """What names a file in its rows' keys: its base name; of a file of rejected rows that of the file they are from."""
    return path.name.removesuffix(_SUFFIX) or path.name


def check_writable(path: Path) -> None:
    """Write beside the file at `path` and remove it again. Raises FileError where rejections could not be written."""
    target = rejected_path(path)
    if target.is_dir():
        raise FileError(f"{target} is a folder; it is where rejected rows are written, so remove it first")
    probe = target.with_name(f"{target.name}.try")
    try:
        write_atomically(probe, b"")
        probe.unlink()
    except OSError as error:
        raise FileError(
            f"{target} cannot be written, which may be needed for rejected rows: {error.strerror}"
        ) from None


def write_rejections(table: Table, rejections: Sequence[Rejection]) -> Path | None:
    """Write the rejected rows of a file beside it, whole or not at all, in the order of lines.

    Where nothing was rejected the file of an earlier run is removed, and None returned.
    """
    target = rejected_path(table.path)
    if not rejections:
        target.unlink(missing_ok=True)
        return None
    text = io.StringIO()
    writer = csv.writer(text, delimiter=table.layout.delimiter or ",", lineterminator="\n")
    writer.writerows(_records(table, rejections))
    # As the file is written, so that what opens the one opens the other; of Excel's what Excel takes for UTF-8.
    encoding = table.layout.encoding or "utf-8-sig"
    write_atomically(target, text.getvalue().encode(encoding, errors="replace"))
    return target


def _records(table: Table, rejections: Sequence[Rejection]) -> Generator[list[str]]:
    """The header and the rows, whose cells are read once more from the file itself."""
    own = slice(len(REJECTED_COLUMNS), None) if table.of_rejected else slice(None)
    header = list(table.header.cells[own])
    has_keys = header[-1:] == [KEY_COLUMN]
    if has_keys:
        header.pop()
    keys = [KEY_COLUMN] if any(rejection.key for rejection in rejections) else []
    yield [*REJECTED_COLUMNS, *header, *keys]
    by_line = {rejection.line: rejection for rejection in rejections}
    for record in table.rows():
        rejection = by_line.get(record.line)
        if rejection is not None:
            cells = list(record.cells[own])
            if has_keys:
                del cells[len(header) : len(header) + 1]
            cells += [""] * (len(header) - len(cells))
            yield [
                str(rejection.line),
                rejection.reason,
                *map(guarded, cells),
                *([rejection.key] if keys else []),
            ]
