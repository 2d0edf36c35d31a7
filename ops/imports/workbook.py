"""An Excel workbook, read: its sheets' rows as records, dates as dates and numbers as exact decimals."""

import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from python_calamine import CalamineError, CalamineWorkbook

from ops.imports.records import FileError, Plain, Record

MAX_UNPACKED_BYTES: Final = 512 * 1024 * 1024
"""The most that a workbook may hold unpacked: a sheet is held in memory as long as it is read."""

_ZIP = b"PK\x03\x04"
_OLD_EXCEL = bytes.fromhex("d0cf11e0a1b11ae1")


def is_workbook(path: Path) -> bool:
    """Whether the file begins as workbooks do. Raises FileError for one of before 2007, or with a password."""
    with path.open("rb") as file:
        start = file.read(8)
    if start == _OLD_EXCEL:
        raise FileError(f"{path} is of an Excel before 2007, or has a password; save it as .xlsx without one")
    return start.startswith(_ZIP)


def sheet_names(path: Path) -> list[str]:
    """The names of a workbook's sheets, in its order."""
    with _opened(path) as workbook:
        return workbook.sheet_names


def sheet_records(path: Path, sheet: str) -> Generator[Record]:
    """The rows of a sheet, from its first."""
    with _opened(path) as workbook:
        for line, cells in enumerate(workbook.get_sheet_by_name(sheet).iter_rows(), 1):
            yield Record(line=line, cells=[_text(cell) for cell in cells])


@contextmanager
def _opened(path: Path) -> Generator[CalamineWorkbook]:
    try:
        with zipfile.ZipFile(path) as file:
            unpacked_bytes = sum(part.file_size for part in file.infolist())
        if unpacked_bytes > MAX_UNPACKED_BYTES:
            raise FileError(f"{path} is too large for a workbook; save its sheet as CSV")
        with CalamineWorkbook.from_path(path) as workbook:
            yield workbook
    except (zipfile.BadZipFile, CalamineError) as error:
        raise FileError(f"{path} is not a workbook that can be read: {error}") from None


def _text(cell: object) -> str:
    """A cell as text. A number is the shortest decimal that the spreadsheet's own could be, never in powers of ten."""
    match cell:
        case str() | bool():
            return str(cell)
        case int() | float():
            number = Decimal(repr(cell))
            return Plain(format(number.to_integral() if number == number.to_integral() else number, "f"))
        case datetime():
            # As a fraction of a day it may lie some microseconds beside its second.
            return Plain((cell + timedelta(milliseconds=500)).replace(microsecond=0).isoformat(" "))
        case date():
            return Plain(cell.isoformat())
        case _:
            return str(cell)
