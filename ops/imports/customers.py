"""Whose sale a row is: what stands in the file, made the id of a wallet."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from domain.ids import NAME_PATTERN
from ops.imports.layout import Wish, find_table
from ops.imports.reading import Table
from ops.imports.records import FileError, Record
from ops.imports.rows import RowError

MAX_CUSTOMER_LENGTH: Final = 200
"""So long may a customer's text be: what a pattern costs may grow with it faster than its length."""


class Customers(msgspec.Struct, frozen=True, kw_only=True):
    """How a customer's text becomes an id: by the group of a pattern, then by a table of customers, else as it is.

    Where `anonymous`, a row without a customer is a sale to nobody in particular.
    """

    pattern: re.Pattern[str] | None = None
    wallet_ids: Mapping[str, str] | None = None
    anonymous: bool = False

    def id_of(self, text: str) -> str | None:
        """The id, upper-cased; None for nobody in particular. Raises RowError where there is none."""
        if not text:
            if self.anonymous:
                return None
            raise RowError("the customer is empty")
        if len(text) > MAX_CUSTOMER_LENGTH:
            reason = f"customer {text[:60]!r} is longer than {MAX_CUSTOMER_LENGTH} characters"
            raise RowError(reason, kind="the customer is too long")
        return self._listed(self._matched(text))

    def _matched(self, text: str) -> str:
        if self.pattern is None:
            return text
        found = self.pattern.fullmatch(text)
        if found is None or not found[1]:
            reason = f"customer {text[:60]!r} does not match --customer-pattern"
            raise RowError(reason, kind="the customer does not match --customer-pattern")
        return found[1]

    def _listed(self, text: str) -> str:
        if self.wallet_ids is None:
            return account(text)
        try:
            return self.wallet_ids[_plain(text)]
        except KeyError:
            reason = f"customer {text[:60]!r} is not in the file of --customers"
            raise RowError(reason, kind="the customer is not in the file of --customers") from None


def account(text: str) -> str:
    """The id that a text is, upper-cased. Raises RowError where it is none."""
    if not re.match(NAME_PATTERN, text):
        raise RowError(
            f"customer {text[:60]!r} is not an id: at most 40 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit",
            kind="the customer is not an id",
        )
    return text.upper()


# --- the table of customers


class _TwoColumns:
    """The first record of two cells is the first of the table."""

    def missing(self, header: Sequence[str]) -> list[str]:
        return [] if len(header) == 2 else ["two columns"]

    def amount_column(self, header: Sequence[str]) -> int:
        return len(header)

    def refusal(self, path: Path, nearest: Sequence[str]) -> FileError:
        del nearest
        return FileError(f"{path} has not two columns: the customer as in the file, and the id of the wallet")


def read_customers(path: Path) -> dict[str, str]:
    """A file of two columns, the customers and their wallets' ids; a header is passed over, spaces and case are ignored.

    Raises FileError where a row has no customer or no id, or a customer has two.
    """
    table, _ = find_table(path, Wish(decimal="point"), _TwoColumns(), currency="KES")
    wallet_ids: dict[str, str] = {}
    for record in _records(table):
        customer, wallet_id = _pair(path, record)
        if wallet_ids.setdefault(customer, wallet_id) != wallet_id:
            raise FileError(
                f"{path} has two wallets for {record.cells[0][:60]!r}, the second on line {record.line}"
            )
    if not wallet_ids:
        raise FileError(f"{path} has no customers")
    return wallet_ids


def _records(table: Table) -> list[Record]:
    is_header = not re.match(NAME_PATTERN, table.header.cells[1].strip())
    first = [] if is_header else [table.header]
    return [*first, *(record for record in table.rows() if not record.blank)]


def _pair(path: Path, record: Record) -> tuple[str, str]:
    if len(record.cells) != 2 or not record.cells[0].strip():
        raise FileError(f"{path} has no customer and id on line {record.line}")
    try:
        return _plain(record.cells[0]), account(record.cells[1].strip())
    except RowError as error:
        raise FileError(f"{path}, line {record.line}: {error}") from None


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
