"""Amounts as files write them: with a decimal point or a decimal comma, which one file does in one way."""

import re
from pathlib import Path
from typing import Literal

from domain.money import parse_decimal
from ops.imports.records import FileError, Plain

Decimals = Literal["comma", "point"]
"""What stands before the decimals; the other one groups thousands."""

WHOLE = re.compile(r"\+?(\d+)(\.0{1,2})?", re.ASCII)
"""A whole number; spreadsheets write 3 as 3.0 or 3.00. `3.000` may be three thousand, and is none."""

_SWAPPED = str.maketrans(",.", ".,")
_ONE_GROUP = re.compile(r"[+-]?[0-9]{1,3}[.,][0-9]{3}")


def read_decimal(text: str, currency: str, decimals: Decimals) -> int:
    """Read a decimal exactly into minor units. Raises ValueError where it is none, or has more decimals than `currency`."""
    if decimals == "point" or isinstance(text, Plain):
        return parse_decimal(text, currency)
    swapped = text.translate(_SWAPPED)
    try:
        return parse_decimal(swapped, currency)
    except ValueError as error:
        raise ValueError(str(error).replace(repr(swapped), repr(text))) from None


class Evidence:
    """What the amounts of a file say of their decimals; nothing is guessed.

    `12.50` and `1,250.50` have a point, `12,50` and `1.250,50` a comma, `1500` has neither. `1,500` groups thousands
    unless others of the file have a comma, and then is refused. `1.500` is a thousand and a half, or one and a half
    with a decimal too many: it says nothing, and needs another amount that does.
    """

    def __init__(self, currency: str) -> None:
        self._currency = currency
        self._first: dict[str, tuple[int, str]] = {}

    def see(self, line: int, text: str) -> None:
        """Take an amount into account."""
        by_point, by_comma = self._reads(text, "point"), self._reads(text, "comma")
        if isinstance(text, Plain) or by_point == by_comma:
            return
        doubtful = _ONE_GROUP.fullmatch(text) is not None
        if by_comma:
            self._first.setdefault("either" if doubtful else "comma", (line, text))
        elif not doubtful:
            self._first.setdefault("point", (line, text))

    def _reads(self, text: str, decimals: Decimals) -> bool:
        try:
            read_decimal(text, self._currency, decimals)
        except ValueError:
            return False
        return True

    def decimals(self, path: Path) -> Decimals:
        """How the file writes decimals. Raises FileError where it does both, or may do either."""
        say = "say --decimal comma or --decimal point"
        if "comma" in self._first and "point" in self._first:
            (line, comma), (other_line, point) = self._first["comma"], self._first["point"]
            raise FileError(
                f"{path} has amounts with a decimal comma ({comma[:60]} on line {line}) and with a decimal "
                f"point ({point[:60]} on line {other_line}); {say}"
            )
        if "comma" in self._first:
            return "comma"
        if "either" in self._first and "point" not in self._first:
            line, text = self._first["either"]
            raise FileError(
                f"{path} has the amount {text[:60]} on line {line}, which may be thousands or have three decimals, "
                f"and no other amount tells; {say}"
            )
        return "point"
