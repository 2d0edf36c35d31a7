"""A file of sales: each row is a sale to a customer on a date, for an amount."""

import re
from collections.abc import Container, Generator, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from domain.provider_receipt import REFERENCE_REQUIRED
from domain.tender import TenderType
from ops.http_client import Element
from ops.imports.amounts import WHOLE, Decimals, read_decimal
from ops.imports.customers import Customers
from ops.imports.reading import REJECTED_COLUMNS, Table
from ops.imports.records import FileError, Plain, Record, stripped
from ops.imports.rejected import KEY_COLUMN
from ops.imports.rows import Entry, Rejection, Row, RowError, Skipped, element, hash_of
from ops.imports.unquoted import DoubtError, Unquoted

SKU: Final = "SALE"
"""What every imported line is sold as; the file's own text is its description."""

TAX_CODE: Final = "A"
"""Exempt: the file says nothing of tax, and only untaxed codes are accepted."""

MIN_ROWS_OF_TOTAL: Final = 3
"""Of so many rows above it a last amount may be the total; of fewer it may well be a sale."""

_TOTAL = re.compile(
    r"(((grand|sub|general)[ -]?)?totals?( general)?|sum|jumla( kuu)?)\s*[:.]?", re.IGNORECASE
)
_THOUSANDS = re.compile(r"\+?\d{1,3}([.,]000)+", re.ASCII)
_KEY = re.compile(r"sale-[0-9a-f]{64}")


class SalesColumns(msgspec.Struct, frozen=True, kw_only=True):
    """The names of a sales file's columns."""

    customer: str
    date: str
    amount: str
    quantity: str | None = None
    description: str | None = None
    reference: str | None = None

    def columns(self) -> list[str]:
        """The columns that the file must have."""
        named = (
            self.customer,
            self.date,
            self.amount,
            self.quantity,
            self.description,
            self.reference,
        )
        return [name for name in named if name is not None]

    # --- what `layout` asks of a kind of file

    def missing(self, header: Sequence[str]) -> list[str]:
        names = {cell.strip() for cell in header}
        return [name for name in self.columns() if name not in names]

    def amount_column(self, header: Sequence[str]) -> int:
        return [cell.strip() for cell in header].index(self.amount)

    def refusal(self, path: Path, nearest: Sequence[str]) -> FileError:
        missing = ", ".join(repr(name) for name in self.missing(nearest))
        return FileError(f"{path} has no column {missing}; its columns are {', '.join(nearest) or 'none'}")


class SalesOptions(SalesColumns, frozen=True, kw_only=True):
    """How to read a file of sales, and how its sales were paid. `time_zone` and `currency` are the tenant's."""

    date_format: str | None = None
    tender: TenderType = "cash"
    prefund: bool = False
    customers: Customers = Customers()
    source: str
    currency: str
    time_zone: str


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """A row, normalised, so that the way a file writes it makes no other sale of it."""

    customer: str | None
    date: date
    amount_minor: int
    quantity: int
    description: str
    reference: str = ""


def sales(table: Table, options: SalesOptions) -> Generator[Row]:
    """The file's rows, in order. Raises FileError where a column is there twice."""
    reader = _Reader(table, options)
    for record in table.rows():
        yield Skipped(kind="blank") if record.blank else reader.row(record)


class _Reader:
    """Makes rows of records, in order: it knows which sales have come before, and what they add up to."""

    def __init__(self, table: Table, options: SalesOptions) -> None:
        self._table = table
        self._options = options
        self._decimal: Decimals = table.layout.decimal
        self._width = len(table.header.cells)
        self._columns = columns_of(table, options.columns())
        self._has_keys = table.of_rejected and table.header.cells[-1] == KEY_COLUMN
        first = len(REJECTED_COLUMNS) if table.of_rejected else 0
        self._own = slice(first, self._width - self._has_keys)
        self._unquoted = Unquoted(
            table,
            options.currency,
            amount=self._columns[options.amount],
            date=self._columns[options.date],
            quantity=self._columns[options.quantity] if options.quantity else None,
            others=[self._columns[name] for name in (options.customer, options.reference) if name],
        )
        self._occurrences: dict[bytes, int] = {}
        self._given_keys: set[str] = set()
        self._opened: set[str] = set()
        self._rows_above = self._sum_minor = 0

    def row(self, record: Record) -> Entry | Rejection:
        amount_minor = self._amount_of(record)
        given_key = ""
        try:
            cells = _cells(record, self._columns, self._width)
            given_key = self._given_key(record)
            self._unquoted.check(record.cells)
            self._check_is_no_total(record, amount_minor)
            sale = _sale(cells, self._options, self._decimal)
            key = given_key or self._key(sale)
            reading = "" if given_key else _reading(record.cells[self._own], sale, self._options.tender)
            entry = _entry(record.line, sale, key, self._options, self._opened, reading=reading)
        except RowError as error:
            key = given_key or _key_of_unreadable(record, self._options.source)
            if isinstance(error, DoubtError):
                amount_minor = None
            return Rejection(
                line=record.line, reason=str(error), kind=error.kind, amount_minor=amount_minor, key=key
            )
        finally:
            self._rows_above += amount_minor is not None
            self._sum_minor += amount_minor or 0
        self._opened.add(entry.lane)
        return entry

    def _amount_of(self, record: Record) -> int | None:
        """The row's amount, whatever else is wrong with it."""
        try:
            return read_decimal(
                stripped(record.cells[self._columns[self._options.amount]]),
                self._options.currency,
                self._decimal,
            )
        except (IndexError, ValueError):
            return None

    def _check_is_no_total(self, record: Record, amount_minor: int | None) -> None:
        """Refuse what a spreadsheet adds below its rows: posted, it would sell all of them again."""
        adds_up = self._rows_above >= MIN_ROWS_OF_TOTAL and amount_minor == self._sum_minor
        adds_up = adds_up and record.line == self._last_line
        customer = record.cells[self._columns[self._options.customer]].strip()
        named = [customer] if customer else record.cells
        if adds_up or any(_TOTAL.fullmatch(cell.strip()) for cell in named):
            raise RowError("this row reads as the total of the rows above")

    @cached_property
    def _last_line(self) -> int:
        """Of the last row with an amount, below which a line such as `Printed by` may stand; read once a row adds up."""
        return max((record.line for record in self._table.rows() if self._amount_of(record)), default=0)

    def _key(self, sale: Sale) -> str:
        digest = _digest(sale, self._options.source)
        self._occurrences[digest] = occurrence = self._occurrences.get(digest, 0) + 1
        return "sale-" + sha256(digest + occurrence.to_bytes(8)).hexdigest()

    def _given_key(self, record: Record) -> str:
        """The key that a file of rejected rows gives to its row, so that no mending makes another sale of it."""
        key = (
            record.cells[self._width - 1].strip()
            if self._has_keys and len(record.cells) == self._width
            else ""
        )
        if not key:
            return ""
        if not _KEY.fullmatch(key):
            raise RowError(f"the {KEY_COLUMN} was changed; give it back, or leave it empty for another sale")
        if key in self._given_keys:
            raise RowError(f"the {KEY_COLUMN} stands on an earlier row too; leave it empty for another sale")
        self._given_keys.add(key)
        return key


def columns_of(table: Table, wanted: list[str]) -> dict[str, int]:
    """Where each wanted column of a header stands. Raises FileError for one that is there twice."""
    names = [cell.strip() for cell in table.header.cells]
    for name in wanted:
        if names.count(name) > 1:
            raise FileError(
                f"{table.path} has more than one column {name!r}; its columns are {', '.join(names)}"
            )
    return {name: names.index(name) for name in wanted}


# --- reading a row


def _cells(record: Record, columns: Mapping[str, int], width: int) -> dict[str, str]:
    """The row's cells by column. Raises RowError where one is missing or the row is wider than the header."""
    if record.flaw:
        raise RowError(record.flaw, kind="broken quoting")
    if len(record.cells) > width:
        reason = f"the row has {len(record.cells)} cells, the header {width}"
        raise DoubtError(reason, kind="the row has more cells than the header")
    missing = [name for name, index in columns.items() if index >= len(record.cells)]
    if missing:
        raise RowError(f"the row has no column {', '.join(missing)}")
    return {name: stripped(record.cells[index]) for name, index in columns.items()}


def _sale(cells: Mapping[str, str], options: SalesOptions, decimal: Decimals) -> Sale:
    return Sale(
        customer=options.customers.id_of(cells[options.customer]),
        date=_date(cells[options.date], options),
        amount_minor=amount(cells[options.amount], options.currency, decimal),
        quantity=_quantity(cells[options.quantity]) if options.quantity else 1,
        description=str(cells[options.description]) if options.description else "",
        reference=str(cells[options.reference]) if options.reference else "",
    )


def amount(text: str, currency: str, decimal: Decimals) -> int:
    """A decimal above zero, exactly, in minor units. Raises RowError."""
    if not text:
        raise RowError("the amount is empty")
    try:
        minor = read_decimal(text, currency, decimal)
    except ValueError as error:
        reason = f"amount {error}".replace(text, text[:60])
        raise RowError(reason, kind="the amount is not a decimal to the cent") from None
    if minor <= 0:
        raise RowError(f"amount {text[:60]} is not above zero", kind="the amount is not above zero")
    return minor


def _quantity(text: str) -> int:
    whole = WHOLE.fullmatch(text)
    if _THOUSANDS.fullmatch(text):
        reason = f"quantity {text!r} may be thousands, or have decimals that it needs not; write it without"
        raise RowError(reason, kind="the quantity may be thousands")
    try:
        return int(whole[1] if whole else "")
    except ValueError:  # also of thousands of digits
        reason = f"quantity {text[:60]!r} is not a whole number"
        raise RowError(reason, kind="the quantity is not a whole number") from None


def _date(text: str, options: SalesOptions) -> date:
    """The day in the tenant's time zone. Raises RowError."""
    date_format = None if isinstance(text, Plain) else options.date_format
    try:
        moment = (
            datetime.fromisoformat(text) if date_format is None else datetime.strptime(text, date_format)  # noqa: DTZ007 - a zone only where the file has one
        )
        return moment.astimezone(ZoneInfo(options.time_zone)).date() if moment.tzinfo else moment.date()
    except (ValueError, OverflowError):
        expected = "an ISO date" if date_format is None else f"of the form {date_format}"
        raise RowError(f"date {text[:60]!r} is not {expected}", kind=f"the date is not {expected}") from None


# --- making elements of it


def _digest(sale: Sale, source: str) -> bytes:
    """SHA-256 of the source and the row's values, as a JSON array: no two rows share an encoding.

    Neither how a row was paid nor under which reference is in it, so that no option sells a row twice.
    """
    return sha256(msgspec.json.encode((source, *_values(sale)))).digest()


def _values(sale: Sale) -> tuple[str | int, ...]:
    return sale.customer or "", sale.date.isoformat(), sale.amount_minor, sale.quantity, sale.description


def _hash(sale: Sale) -> str:
    """The hash by which the row is known in another file: payments of their own references are no copies."""
    reference = (sale.reference.upper(),) if sale.reference else ()
    return hash_of(*_values(sale), *reference)


def _reading(cells: Sequence[str], sale: Sale, tender: TenderType) -> str:
    """The hash of the row's cells, and that of what they were posted as: its values, which enter its key, and how it was paid.

    By other options the same cells make another key, or the key of a sale that was paid otherwise.
    """
    texts = [str(cell).strip() for cell in cells]
    while texts and not texts[-1]:
        texts.pop()
    return hash_of(*texts) + hash_of(*_values(sale), tender)


def _key_of_unreadable(record: Record, source: str) -> str:
    """The key for a row whose values are not known until it is mended: of its place and of what stands there."""
    return (
        "sale-"
        + sha256(msgspec.json.encode((source, record.line, [str(cell) for cell in record.cells]))).hexdigest()
    )


def _entry(
    line: int, sale: Sale, key: str, options: SalesOptions, opened: Container[str], *, reading: str
) -> Entry:
    """What posts the row. Raises RowError where the API would refuse the shape of any of it."""
    elements: list[Element] = []
    if options.tender == "wallet":
        if sale.customer is None:
            raise RowError("the customer is empty")
        if sale.customer not in opened:
            elements.append(_open_wallet(sale.customer, options.currency))
        if options.prefund:
            elements.append(_prefund(sale, key, options.currency))
    elements.append(_checkout(sale, key, options))
    return Entry(
        line=line,
        lane=sale.customer or "",
        amount_minor=sale.amount_minor,
        elements=tuple(elements),
        key=key,
        values_hash=_hash(sale),
        reading=reading,
    )


def _open_wallet(wallet: str, currency: str) -> Element:
    return element("wallet.open", key=f"open-wallet:{wallet}", data={"account": wallet, "currency": currency})


def _prefund(sale: Sale, key: str, currency: str) -> Element:
    """The row's amount, paid into the wallet in cash on the row's date."""
    data = {
        "account": sale.customer,
        "amount": sale.amount_minor,
        "currency": currency,
        "source": {"type": "cash"},
        "effective_date": sale.date.isoformat(),
    }
    return element("wallet.top_up", key=f"{key}:prefund", data=data)


def _checkout(sale: Sale, key: str, options: SalesOptions) -> Element:
    line: dict[str, Any] = {
        "sku": SKU,
        "quantity": sale.quantity,
        "total": sale.amount_minor,
        "tax_code": TAX_CODE,
    }
    if sale.description:
        line["description"] = sale.description
    tender: dict[str, Any] = {"type": options.tender}
    if sale.reference:
        tender["reference"] = sale.reference
    elif options.tender in REFERENCE_REQUIRED:
        raise RowError("the reference is empty")
    data: dict[str, Any] = {
        "currency": options.currency,
        "lines": [line],
        "tenders": [tender],
        "effective_date": sale.date.isoformat(),
    }
    if sale.customer is not None:
        data["customer"] = sale.customer
    if options.tender == "wallet":
        data["wallet"] = sale.customer
    return element("pos.checkout", key=key, data=data)
