"""What a file gives, whatever its kind: records of cells."""

from collections.abc import Sequence

import msgspec


class FileError(Exception):
    """The file as a whole cannot be read or is not to be posted, or what was rejected of it cannot be written."""


class Plain(str):
    """A cell that a spreadsheet holds as a number or a date: `1500.5`, `2026-01-31`, however the file writes others."""

    __slots__ = ()


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a file; `line` is the physical line, or the row, where it starts. `flaw` says why it has no cells."""

    line: int
    cells: Sequence[str] = ()
    flaw: str = ""

    @property
    def blank(self) -> bool:
        """Whether nothing stands in it."""
        return not self.flaw and not any(cell.strip() for cell in self.cells)


def stripped(cell: str) -> str:
    """A cell without the spaces around it; one that is plain stays so."""
    return cell if isinstance(cell, Plain) else cell.strip()
