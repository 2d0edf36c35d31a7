"""An M-Pesa paybill statement as Safaricom's organisation portal makes it.

Lines of text stand before the header. The rows mix types: pay-bill receipts, charges, withdrawals,
settlements, reversals, completed or not. Of the details, which hold names and phone numbers, nothing is
kept but the account; no reason quotes them.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final

import msgspec

from domain.ids import NAME_PATTERN
from ops.imports.amounts import Decimals
from ops.imports.reading import Table
from ops.imports.records import FileError, Record, stripped
from ops.imports.rows import Entry, Rejection, Row, RowError, Skipped, element, hash_of
from ops.imports.sales_file import amount

CURRENCY: Final = "KES"

SOURCE: Final = "mpesa"
"""The source of all statements: a receipt's number is its key, so statements may overlap."""

# The portal writes one of these, depending on its language setting; an American order is not among them.
_TIME_FORMATS = ("%Y-%m-%d %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%Y-%m-%d %H:%M", "%d-%m-%Y %H:%M")
_NEEDED = ("receiptno", "completiontime", "details", "transactionstatus", "paidin", "withdrawn")
_SYNONYMS = {
    "receipt": "receiptno",
    "receiptnumber": "receiptno",
    "status": "transactionstatus",
    "accountno": "acno",
    "accountnumber": "acno",
}
_RECEIPT = re.compile(r"[A-Za-z0-9]{4,40}", re.ASCII)
_ACCOUNT = re.compile(r"\bAcc\.\s*(?P<account>\S.*)\Z", re.IGNORECASE | re.DOTALL)
# What a row is stands before the other party: "Pay Bill from 254712345678 - JANE DOE Acc. STU-0042".
_PARTY = re.compile(r"\s(?:from|to|by)\s|\s-\s|\d|\bAcc\b", re.IGNORECASE)
# What stands under "Withdrawn" beside a credit, and under "Paid In" without one. Not `000.00`: a thousand paid in that nobody quoted ends so.
_NOTHING = re.compile(r"-?|[+-]?0([.,]0{0,2})?", re.ASCII)
_PAY_BILL = re.compile(r"pay\s*bill|pay\s*utility", re.IGNORECASE)


class StatementColumns(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of a statement, by their normalised names; the account's under `acno`, or as it is named."""

    account_column: str | None = None

    def places(self, header: Sequence[str]) -> dict[str, int]:
        """Where each column stands, the first of a name."""
        names = [_normal(cell) for cell in header]
        places = {name: place for place, name in reversed(list(enumerate(names)))}
        if self.account_column is not None:
            places["acno"] = places[_normal(self.account_column)]
        return places

    # --- what `layout` asks of a kind of file

    def missing(self, header: Sequence[str]) -> list[str]:
        names = {_normal(cell) for cell in header}
        missing = [name for name in _NEEDED if name not in names]
        if self.account_column is not None and _normal(self.account_column) not in names:
            missing.append(self.account_column)
        return missing

    def amount_column(self, header: Sequence[str]) -> int:
        return self.places(header)["paidin"]

    def refusal(self, path: Path, nearest: Sequence[str]) -> FileError:
        if self.missing(nearest) == [self.account_column]:
            listed = ", ".join(nearest)
            return FileError(f"{path} has no column {self.account_column!r}; its columns are {listed}")
        return FileError(f"{path} is no paybill statement: no line has the columns {', '.join(_NEEDED)}")


class NotAReceiptError(Exception):
    """The row is none that brings money from a payer; the message says what it is."""


class StatementRow:
    """The cells of one row by the normalised name of their column; empty where the row is too short."""

    def __init__(self, record: Record, places: Mapping[str, int], decimal: Decimals) -> None:
        self.line = record.line
        self.decimal: Decimals = decimal
        self._cells = {
            name: stripped(record.cells[place]) if place < len(record.cells) else ""
            for name, place in places.items()
        }

    def __getitem__(self, name: str) -> str:
        return self._cells.get(name, "")


def receipts(table: Table, columns: StatementColumns, *, repeated: list[Entry]) -> Generator[Row]:
    """The statement's rows, in order.

    A receipt number that has come before goes to `repeated` instead: those are to be posted after all
    others, so that they meet what the first of them became.
    """
    seen: set[str] = set()
    places = columns.places(table.header.cells)
    for record in table.rows():
        row = _row(record, table, places)
        if not isinstance(row, Entry):
            yield row
        elif row.lane in seen:
            repeated.append(row)
        else:
            seen.add(row.lane)
            yield row


def _row(record: Record, table: Table, places: Mapping[str, int]) -> Row:
    if record.blank:
        return Skipped(kind="blank")
    row = StatementRow(record, places, table.layout.decimal)
    try:
        _check_shape(record, len(table.header.cells))
        return _entry(row)
    except NotAReceiptError as what:
        return Skipped(kind="not_receipt", reason=str(what))
    except RowError as error:
        return Rejection(line=record.line, reason=str(error), kind=error.kind, amount_minor=_paid_in(row))


def _normal(cell: str) -> str:
    name = re.sub(r"[^a-z0-9]", "", cell.lower())
    return _SYNONYMS.get(name, name)


def _check_shape(record: Record, width: int) -> None:
    """Refuse a row whose cells may stand in other columns than they seem to."""
    if record.flaw:
        raise RowError("broken quoting")
    if len(record.cells) > width:
        raise RowError("the row has more cells than the header")


def _entry(row: StatementRow) -> Entry:
    """The row's top-up. Raises RowError with a reason that quotes nothing of the row's details."""
    if not _RECEIPT.fullmatch(row["receiptno"]):
        raise RowError("no receipt number")
    _check_is_receipt(row)
    receipt = row["receiptno"].upper()
    paid = _money(row)
    data = {
        "account": _account(row),
        "amount": paid,
        "currency": CURRENCY,
        "source": {"type": "mpesa", "reference": receipt},
        "effective_date": _completed_on(row).isoformat(),
    }
    top_up = element("wallet.top_up", key=f"mpesa-{receipt}", data=data)
    return Entry(
        line=row.line, lane=receipt, amount_minor=paid, elements=(top_up,), values_hash=hash_of(receipt)
    )


def _check_is_receipt(row: StatementRow) -> None:
    """Let pass only a completed payment of a bill.

    Raises NotAReceiptError for what every statement has beside its receipts and nobody has to look at; RowError where
    money may have come in or gone back that somebody has to book.
    """
    kind = _PARTY.split(row["details"], maxsplit=1)[0]
    what = f"{kind} {row['reasontype']}".lower()
    if not row["transactionstatus"]:
        raise RowError("not completed: the row has no transaction status")
    if row["transactionstatus"].lower() != "completed":
        raise NotAReceiptError("not completed")
    if "revers" in what:
        raise RowError("a reversal: the provider takes money back")
    if _NOTHING.fullmatch(row["paidin"]):
        raise NotAReceiptError(
            "a provider's charge" if "charge" in what else "a withdrawal or settlement: no money was paid in"
        )
    if "charge" in what:
        raise RowError("a provider's charge that was paid in")
    if not _NOTHING.fullmatch(row["withdrawn"]):
        raise RowError("the row says both paid in and withdrawn")
    if "settle" in what:
        raise NotAReceiptError("a settlement")
    if not _PAY_BILL.search(what) and not _ACCOUNT.search(row["details"]):
        raise RowError("not the payment of a bill")


def _money(row: StatementRow) -> int:
    try:
        return amount(row["paidin"], CURRENCY, row.decimal)
    except RowError:
        raise RowError("the amount paid in is not a decimal above zero, to the cent") from None


def _paid_in(row: StatementRow) -> int | None:
    try:
        return _money(row)
    except RowError:
        return None


def _account(row: StatementRow) -> str:
    """The account in its own column, else the one that the details name."""
    text = row["acno"]
    if not text:
        named = _ACCOUNT.search(row["details"])
        text = named["account"].strip() if named else ""
    if not text:
        raise RowError("no account")
    if not re.match(NAME_PATTERN, text):
        raise RowError("the account is not the id of a wallet")
    return text.upper()


def _completed_on(row: StatementRow) -> date:
    """The day in Nairobi, where the portal's clock stands."""
    for form in _TIME_FORMATS:
        try:
            return datetime.strptime(row["completiontime"], form).date()  # noqa: DTZ007 - only its day is used
        except ValueError:
            continue
    raise RowError("the completion time is neither 2026-01-31 10:15:00 nor 31-01-2026 10:15:00")
