"""Numbers with the delimiter in them and without quotes, `1,500`: they are two cells, and those behind stand shifted.

Where the row has no cell too many, since its last one is missing, it reads like any other. Whether it may be such a row,
the other rows of its file tell.
"""

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Final

from ops.imports.amounts import WHOLE, read_decimal
from ops.imports.reading import Table
from ops.imports.rows import RowError

MIN_NUMBERS: Final = 3
"""Of fewer numbers in a column nobody knows that it is one of numbers."""


class DoubtError(RowError):
    """What a row's amount is nobody knows."""


class Unquoted:
    """Judges a file's rows by their columns; `others` are those in which no number of thousands stands either."""

    def __init__(
        self,
        table: Table,
        currency: str,
        *,
        amount: int,
        date: int,
        quantity: int | None,
        others: Collection[int],
    ) -> None:
        self._table = table
        self._currency = currency
        self._delimiter = table.layout.delimiter or ""
        self._amount, self._quantity = amount, quantity
        self._before = [place for place in range(amount) if place not in (date, *others)]
        # A date behind the amount would not be one in a row that is shifted.
        self._never = not self._delimiter or date > amount

    def check(self, cells: Sequence[str]) -> None:
        """Refuse a row whose amount may be another one. Raises DoubtError."""
        if self._goes_on(cells) and not self._column.continues_amounts:
            amount, after = cells[self._amount], cells[self._amount + 1]
            reason = f"amount {amount[:60]} may go on in the next cell, {after[:60]}: quote it all, or write its decimals"
            raise DoubtError(reason, kind="the amount may go on in the next cell")
        if self._is_displaced(cells) and not self._column.holds_numbers:
            after = cells[self._amount + 1]
            reason = f"a number before the amount may be two cells, and the amount {after[:60]}: quote it, or use semicolons"
            raise DoubtError(reason, kind="the amount may stand in the next cell")

    def _goes_on(self, cells: Sequence[str]) -> bool:
        """Whether the amount may be in two cells."""
        return self._may_be_shifted(cells) and self._is_one(cells, self._amount)

    def _is_displaced(self, cells: Sequence[str]) -> bool:
        """Whether a number before the amount may be in two cells, and the amount then in the cell after its own."""
        return (
            self._may_be_shifted(cells)
            and self._reads(_at(cells, self._amount + 1))
            and any(self._is_one(cells, place) for place in self._before)
        )

    def _may_be_shifted(self, cells: Sequence[str]) -> bool:
        if self._never or not _at(cells, self._amount + 1):
            return False
        if self._quantity is None or self._quantity < self._amount:
            return True
        quantity = _at(cells, self._quantity + 1)
        return not quantity or WHOLE.fullmatch(quantity) is not None

    def _is_one(self, cells: Sequence[str], place: int) -> bool:
        """Whether a cell and the next may be one number; a cell that has the delimiter in it was quoted."""
        cell, after = _at(cells, place), _at(cells, place + 1)
        return self._delimiter not in cell and self._reads(f"{cell}{self._delimiter}{after}")

    def _reads(self, text: str) -> bool:
        try:
            return read_decimal(text, self._currency, self._table.layout.decimal) > 0
        except ValueError:
            return False

    @cached_property
    def _column(self) -> "_Column":
        """What stands after the amounts; read once the first row is in doubt."""
        column = _Column()
        for record in self._table.rows():
            if record.blank or record.flaw:
                continue
            after = _at(record.cells, self._amount + 1)
            column.see(
                after,
                in_doubt=self._goes_on(record.cells),
                continues=self._is_one(("1", after), 0),
                is_number=self._reads(after),
                too_wide=len(record.cells) > len(self._table.header.cells),
            )
        return column


class _Column:
    """Counts what stands in the column after the amounts."""

    def __init__(self) -> None:
        self._empty = self._numbers = self._others = self._round = 0
        self._certain_continuations = self._certain_others = self._in_doubt = 0
        self._has_unquoted = False

    def see(self, cell: str, *, in_doubt: bool, continues: bool, is_number: bool, too_wide: bool) -> None:
        if too_wide:
            self._has_unquoted = self._has_unquoted or in_doubt
        elif not cell:
            self._empty += 1
        else:
            self._numbers += is_number
            self._others += not is_number
            self._round += cell.endswith("0")
            self._in_doubt += in_doubt
            self._certain_continuations += continues and not in_doubt
            self._certain_others += not continues and not in_doubt

    @property
    def continues_amounts(self) -> bool:
        """Whether numbers such as continue an amount, of three digits, are the column's own.

        It is so where most of what stands beside amounts that leave no doubt are such numbers; where there is no such
        amount, if all rows have one, and most of them are not round, as the ends of amounts are.
        """
        if self._has_unquoted:
            return False
        if self._certain_others or self._certain_continuations >= MIN_NUMBERS:
            return self._certain_continuations > self._certain_others
        all_of_them = self._certain_continuations + self._in_doubt
        return all_of_them >= MIN_NUMBERS and not self._empty and self._round * 2 < all_of_them

    @property
    def holds_numbers(self) -> bool:
        """Whether most of what stands in the column are numbers."""
        return self._numbers >= MIN_NUMBERS and self._numbers > self._others


def _at(cells: Sequence[str], place: int) -> str:
    return cells[place].strip() if place < len(cells) else ""
