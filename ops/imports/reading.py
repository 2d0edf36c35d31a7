"""A file of records, read once its layout is known: CSV in any encoding and with any delimiter, or a sheet of Excel's."""

import csv
import re
from collections.abc import Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import Final, TextIO

import msgspec

from ops.imports.amounts import Decimals
from ops.imports.records import FileError, Record
from ops.imports.workbook import sheet_records

REJECTED_COLUMNS: Final = ("line", "reason")
"""With these a file of rejected rows begins, before the columns of the file that they are from."""

_NAMED: Final = {",": "comma", ";": "semicolon", "\t": "tab"}
_SEPARATOR = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE | re.DOTALL)
_GUARDED = re.compile(r"'['=+\-@\t\r]")


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is written: as text in an encoding with a delimiter, or on the sheet of a workbook."""

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    decimal: Decimals = "point"
    header_line: int = 0

    def __str__(self) -> str:
        if self.sheet is not None:
            kind = f"sheet {self.sheet}"
        else:
            kind = f"{self.encoding}, delimiter {_NAMED.get(self.delimiter or '', self.delimiter)}"
        return f"{kind}, decimal {self.decimal}, header on line {self.header_line}"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose layout and header are known."""

    path: Path
    layout: Layout
    header: Record

    @property
    def of_rejected(self) -> bool:
        """Whether it is a file of rejected rows, as an import wrote it."""
        return tuple(self.header.cells[: len(REJECTED_COLUMNS)]) == REJECTED_COLUMNS

    def rows(self) -> Generator[Record]:
        """The records below the header, also blank ones."""
        width, on_a_sheet = len(self.header.cells), self.layout.sheet is not None
        for record in records(self.path, self.layout):
            if record.line <= self.header.line:
                continue
            cells = record.cells
            if on_a_sheet and not any(cells[width:]):
                cells = cells[:width]  # a sheet is as wide as its widest row
            if self.of_rejected:
                cells = [unguarded(cell) for cell in cells]
            yield Record(line=record.line, cells=cells, flaw=record.flaw)


def records(path: Path, layout: Layout) -> Generator[Record]:
    """All records of a file. Raises FileError where it cannot be read to its end."""
    if layout.sheet is not None:
        return sheet_records(path, layout.sheet)
    assert layout.encoding is not None
    assert layout.delimiter is not None
    return csv_records(path, encoding=layout.encoding, delimiter=layout.delimiter)


def csv_records(path: Path, *, encoding: str, delimiter: str) -> Generator[Record]:
    """The records of a CSV file, blank lines as records without cells; a first line `sep=;` is none.

    A record with broken quoting comes as a flaw. Raises FileError where the text is not in its encoding, or a quote
    that is never closed swallows the rest of the file.
    """
    with path.open(encoding=encoding, newline="") as file:
        try:
            first, skipped = _first_line(file)
        except UnicodeError:
            raise _not_in(path, encoding) from None
        reader = csv.reader(chain(first, file), delimiter=delimiter, strict=True)
        while True:
            line = reader.line_num + skipped + 1
            try:
                cells = next(reader, None)
            except UnicodeError:
                raise _not_in(path, encoding) from None
            except csv.Error as error:
                if "end of data" in str(error) or "field limit" in str(error):
                    why = f"a quote opened on line {line} is never closed, or a field is far too long"
                    raise FileError(f"{path}: {why}") from None
                flaw = f"broken quoting, up to line {reader.line_num + skipped}: {error}"
                yield Record(line=line, flaw=flaw)
                continue
            if cells is None:
                return
            yield Record(line=line, cells=cells)


def separator(path: Path, encoding: str) -> str | None:
    """The delimiter that a first line such as `sep=;` names, as Excel writes and reads it; None without such a line."""
    with path.open(encoding=encoding, newline="") as file:
        named = _SEPARATOR.fullmatch(file.readline().removeprefix("\ufeff"))
    return named[1] if named else None


def _first_line(file: TextIO) -> tuple[Iterator[str], int]:
    """The first line, without a byte order mark, where it is not one that names the delimiter; and how many are skipped."""
    line = file.readline().removeprefix("\ufeff")
    if _SEPARATOR.fullmatch(line):
        return iter(()), 1
    return iter((line,) if line else ()), 0


def _not_in(path: Path, encoding: str) -> FileError:
    return FileError(f"{path} is not {encoding} text; save it as UTF-8, or say --encoding")


# --- cells that a spreadsheet would run


def guarded(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe before what could begin one."""
    return f"'{cell}" if cell.startswith(tuple("'=+-@\t\r")) and not _is_number(cell) else cell


def unguarded(cell: str) -> str:
    """The cell that `guarded` made this of."""
    return cell[1:] if _GUARDED.match(cell) else cell


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[+-][0-9.,]+", cell) is not None
