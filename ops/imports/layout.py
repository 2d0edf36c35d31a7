"""Finds out how a file is written, where nobody said it: encoding, delimiter, header and decimals.

A file is refused rather than guessed where two answers fit.
"""

import codecs
import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import msgspec

from ops.imports.amounts import Decimals, Evidence
from ops.imports.reading import Layout, Table, records, separator
from ops.imports.records import FileError, Record, stripped
from ops.imports.workbook import is_workbook, sheet_names

MAX_RECORDS_BEFORE_HEADER: Final = 1000
"""So many records are looked through for the header."""

_DELIMITERS: Final = (",", ";", "\t")
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_ESCAPED: Final = re.compile(r"[\udc80-\udcff]")  # bytes that are none in UTF-8, as Python carries them
_CHUNK_BYTES: Final = 1 << 20
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of a file's layout; None where it is to be found out."""

    encoding: str | None = None
    delimiter: str | None = None
    decimal: Decimals | None = None
    sheet: str | None = None


class Columns(Protocol):
    """What a kind of file has to have."""

    def missing(self, header: Sequence[str]) -> list[str]:
        """The wanted columns that are not in a header."""
        ...

    def amount_column(self, header: Sequence[str]) -> int:
        """Where the amounts stand below a header that misses nothing."""
        ...

    def refusal(self, path: Path, nearest: Sequence[str]) -> FileError:
        """The refusal of a file without a header; `nearest` is the record that has the most of one."""
        ...


def find_table(path: Path, wish: Wish, columns: Columns, currency: str) -> tuple[Table, int]:
    """The layout and header of a file, and how many records follow.

    Raises FileError where it cannot be read, lacks a column, or may be read in two ways.
    """
    table, count = find_header(path, wish, columns)
    return find_decimals(table, wish, columns, currency), count


def find_header(path: Path, wish: Wish, columns: Columns) -> tuple[Table, int]:
    """What can be told without the currency: all but the decimals. The file is read to its end, so that one that breaks
    off is refused before anything is posted. Raises FileError.
    """
    with _readable(path):
        layout, header = _header(path, wish, columns)
        layout = msgspec.structs.replace(layout, header_line=header.line)
        table = Table(path=path, layout=layout, header=header)
        return table, sum(1 for _ in table.rows())


def find_decimals(table: Table, wish: Wish, columns: Columns, currency: str) -> Table:
    """The table with the decimals that its amounts tell, where they were not said. Raises FileError."""
    decimal = wish.decimal
    if decimal is None:
        evidence, amount = Evidence(currency), columns.amount_column(table.header.cells)
        with _readable(table.path):
            for record in table.rows():
                if amount < len(record.cells):
                    evidence.see(record.line, stripped(record.cells[amount]))
        decimal = evidence.decimals(table.path)
    layout = msgspec.structs.replace(table.layout, decimal=decimal)
    return msgspec.structs.replace(table, layout=layout)


@contextmanager
def _readable(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from None


def _header(path: Path, wish: Wish, columns: Columns) -> tuple[Layout, Record]:
    """The one layout under which the file has a header, and that header."""
    fitting: list[tuple[Layout, Record]] = []
    nearest: list[Record] = []
    broken: list[FileError] = []
    for layout in _layouts(path, wish):
        try:
            best = _best_header(records(path, layout), columns)
        except FileError as error:  # with a wrong delimiter a quote may seem to stay open
            broken.append(error)
            continue
        if best is None:
            continue
        if columns.missing(best.cells):
            nearest.append(best)
        else:
            fitting.append((layout, best if layout.sheet is None else _trimmed(best)))
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise FileError(f"{path} {_both_fit([layout for layout, _ in fitting])}")
    if broken:
        raise broken[0]
    best = max(nearest, key=lambda record: _rank(record, columns), default=None)
    raise columns.refusal(path, [stripped(cell) for cell in best.cells] if best else [])


def _both_fit(layouts: Sequence[Layout]) -> str:
    sheets = [layout.sheet for layout in layouts if layout.sheet is not None]
    if sheets:
        return f"has the columns on several sheets: {', '.join(sheets)}; say --sheet"
    return "has the columns with one delimiter and with another; say --delimiter"


def _best_header(rows: Iterable[Record], columns: Columns) -> Record | None:
    """The first record that has every column, else the one that has the most of them."""
    best: Record | None = None
    for record in islice(rows, MAX_RECORDS_BEFORE_HEADER):
        if record.blank or record.flaw:
            continue
        if not columns.missing(record.cells):
            return record
        if best is None or _rank(record, columns) > _rank(best, columns):
            best = record
    return best


def _rank(record: Record, columns: Columns) -> tuple[int, int]:
    return -len(columns.missing(record.cells)), len(record.cells)


def _trimmed(header: Record) -> Record:
    """A sheet's header without the empty cells to its right: a sheet is as wide as its widest row."""
    width = max((place for place, cell in enumerate(header.cells, 1) if cell.strip()), default=0)
    return msgspec.structs.replace(header, cells=header.cells[:width])


# --- what a file may be


def _layouts(path: Path, wish: Wish) -> Generator[Layout]:
    if is_workbook(path):
        names = sheet_names(path)
        if wish.sheet is not None and wish.sheet not in names:
            raise FileError(f"{path} has no sheet {wish.sheet!r}; its sheets are {', '.join(names)}")
        for name in names if wish.sheet is None else (wish.sheet,):
            yield Layout(sheet=name)
        return
    if wish.sheet is not None:
        raise FileError(f"{path} is not a workbook, and has no sheets")
    encoding = _encoding(path) if wish.encoding is None else wish.encoding
    try:
        delimiter = wish.delimiter or separator(path, encoding)
    except UnicodeError:
        delimiter = None  # told where the file is read
    for each in _DELIMITERS if delimiter is None else (delimiter,):
        yield Layout(encoding=encoding, delimiter=each)


def _encoding(path: Path) -> str:
    """The encoding of a text: by its byte order mark, else UTF-8 where that fits, else Windows' own for Western Europe.

    A byte that UTF-8 does not have, beside characters that it alone has, is not explained by either.
    """
    with path.open("rb") as file:
        start = file.read(4)
        for mark, encoding in _MARKS:
            if start.startswith(mark):
                return encoding
        file.seek(0)
        utf8, others = _kinds_of_characters(path, file)
    if utf8 and others:
        raise FileError(f"{path} is UTF-8 text with bytes that are not; save it as UTF-8, or say --encoding")
    return "cp1252" if others else "utf-8"


def _kinds_of_characters(path: Path, file: BinaryIO) -> tuple[bool, bool]:
    """Whether there are characters beyond ASCII in UTF-8, and whether there are bytes that are none in UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
    utf8 = others = False
    while not (utf8 and others):
        chunk = file.read(_CHUNK_BYTES)
        if b"\0" in chunk:
            raise FileError(f"{path} has zero bytes: it may be UTF-16 without its mark; save it as UTF-8")
        text = decoder.decode(chunk, final=not chunk)
        if not text.isascii():
            escaped = len(_ESCAPED.findall(text))
            others = others or escaped > 0
            utf8 = utf8 or len(_BEYOND_ASCII.findall(text)) > escaped
        if not chunk:
            break
    return utf8, others
