"""An M-Pesa paybill statement as Safaricom's organisation portal makes it, as CSV.

Lines of text stand before the header. The rows mix types: pay-bill receipts, charges, withdrawals,
settlements, reversals, completed or not. Of the details, which hold names and phone numbers, nothing is
kept but the account; no reason quotes them.
"""

import re
from collections.abc import Generator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Final

from domain.ids import NAME_PATTERN
from ops.imports.importer import Entry, FileError, Record, Rejection, RowError, element, records
from ops.imports.sales_file import amount

CURRENCY: Final = "KES"

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
_NOTHING = re.compile(r"-?|[+-]?0+(\.0*)?", re.ASCII)  # what stands beside a credit under "Withdrawn"
_PAY_BILL = re.compile(r"pay\s*bill|pay\s*utility", re.IGNORECASE)


class StatementRow:
    """The cells of one row by the normalised name of their column; empty where the row is too short."""

    def __init__(self, record: Record, columns: Mapping[str, int]) -> None:
        self.line = record.line
        self._cells = {
            name: record.cells[index].strip() if index < len(record.cells) else ""
            for name, index in columns.items()
        }

    def __getitem__(self, name: str) -> str:
        return self._cells.get(name, "")


def receipts(
    path: Path, *, account_column: str | None, repeated: list[Entry]
) -> Generator[Entry | Rejection]:
    """The statement's rows as entries and rejections, in order.

    A receipt number that has come before goes to `repeated` instead: those are to be posted after all
    others, so that they meet what the first of them became. Raises FileError where there is no header, or
    no column `account_column`.
    """
    rows = records(path)
    columns, width = _header(path, rows, account_column)
    seen: set[str] = set()
    for record in rows:
        row = StatementRow(record, columns)
        try:
            _check_shape(record, width)
            entry = _entry(row)
        except RowError as error:
            label = row["receiptno"].upper() if _RECEIPT.fullmatch(row["receiptno"]) else ""
            yield Rejection(line=record.line, reason=str(error), label=label)
            continue
        if entry.label in seen:
            repeated.append(entry)
        else:
            seen.add(entry.label)
            yield entry


def _header(path: Path, rows: Generator[Record], account_column: str | None) -> tuple[dict[str, int], int]:
    """Read up to the header: where each column stands, the account's under `acno`, and how many there are."""
    for record in rows:
        names = [_normal(cell) for cell in record.cells]
        if all(name in names for name in _NEEDED):
            columns = {name: index for index, name in reversed(list(enumerate(names)))}
            if account_column is not None:
                wanted = _normal(account_column)
                if wanted not in columns:
                    listed = ", ".join(cell.strip() for cell in record.cells)
                    raise FileError(f"{path} has no column {account_column!r}; its columns are {listed}")
                columns["acno"] = columns[wanted]
            return columns, len(names)
    raise FileError(f"{path} is no paybill statement: no line has the columns {', '.join(_NEEDED)}")


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
    paid = _money(row["paidin"])
    data = {
        "account": _account(row),
        "amount": paid,
        "currency": CURRENCY,
        "source": {"type": "mpesa", "reference": receipt},
        "effective_date": _completed_on(row).isoformat(),
    }
    top_up = element("wallet.top_up", key=f"mpesa-{receipt}", data=data)
    return Entry(line=row.line, lane=receipt, amount_minor=paid, elements=(top_up,), label=receipt)


def _check_is_receipt(row: StatementRow) -> None:
    """Let pass only a completed payment of a bill."""
    kind = _PARTY.split(row["details"], maxsplit=1)[0]
    what = f"{kind} {row['reasontype']}".lower()
    if row["transactionstatus"].lower() != "completed":
        raise RowError("not completed")
    if "revers" in what:
        raise RowError("a reversal: the provider takes money back")
    if "charge" in what:
        raise RowError("a provider's charge")
    if not re.search(r"[1-9]", row["paidin"]):
        raise RowError("a withdrawal or settlement: no money was paid in")
    if not _NOTHING.fullmatch(row["withdrawn"]):
        raise RowError("the row says both paid in and withdrawn")
    if not _PAY_BILL.search(what) and not _ACCOUNT.search(row["details"]):
        raise RowError("not the payment of a bill")


def _money(text: str) -> int:
    try:
        return amount(text, CURRENCY)
    except RowError:
        raise RowError("the amount paid in is not a decimal above zero, to the cent") from None


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
