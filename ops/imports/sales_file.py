"""A file of sales: each row of a CSV is a sale to a customer on a date, for an amount."""

import re
from collections.abc import Container, Generator, Mapping
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from domain.ids import NAME_PATTERN
from domain.money import parse_decimal
from domain.provider_receipt import REFERENCE_REQUIRED
from domain.tender import TenderType
from ops.http_client import Element
from ops.imports.importer import Entry, FileError, Record, Rejection, RowError, element, records

SKU: Final = "SALE"
"""What every imported line is sold as; the file's own text is its description."""

TAX_CODE: Final = "A"
"""Exempt: the file says nothing of tax, and only untaxed codes are accepted."""

_QUANTITY = re.compile(r"\+?(\d+)(\.0+)?", re.ASCII)  # spreadsheets write 3 as 3.0


class SalesOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to read a file of sales, and how its sales were paid. `time_zone` and `currency` are the tenant's."""

    customer: str
    date: str
    amount: str
    quantity: str | None = None
    description: str | None = None
    date_format: str | None = None
    reference: str | None = None
    tender: TenderType = "cash"
    prefund: bool = False
    source: str
    currency: str
    time_zone: str

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


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """A row, normalised, so that the way a file writes it makes no other sale of it."""

    customer: str
    date: date
    amount_minor: int
    quantity: int
    description: str
    reference: str = ""


def sales(path: Path, options: SalesOptions) -> Generator[Entry | Rejection]:
    """The file's rows as entries and rejections, in order. Raises FileError where a column is not there."""
    rows = records(path)
    header = next(rows, None)
    columns = header_columns(path, header, options.columns())
    occurrences: dict[bytes, int] = {}
    opened: set[str] = set()
    width = len(header.cells) if header else 0
    for record in rows:
        try:
            sale = _sale(_cells(record, columns, width), options)
            digest = _digest(sale, options.source)
            occurrences[digest] = occurrence = occurrences.get(digest, 0) + 1
            key = "sale-" + sha256(digest + occurrence.to_bytes(8)).hexdigest()
            entry = _entry(record.line, sale, key, options, opened)
        except RowError as error:
            yield Rejection(line=record.line, reason=str(error))
        else:
            opened.add(entry.lane)
            yield entry


def header_columns(path: Path, header: Record | None, wanted: list[str]) -> dict[str, int]:
    """Where each wanted column stands. Raises FileError for one that is not there, or there twice."""
    names = [cell.strip() for cell in header.cells] if header else []
    for name in wanted:
        if names.count(name) != 1:
            problem = "has no column" if name not in names else "has more than one column"
            raise FileError(f"{path} {problem} {name!r}; its columns are {', '.join(names) or 'none'}")
    return {name: names.index(name) for name in wanted}


# --- reading a row


def _cells(record: Record, columns: Mapping[str, int], width: int) -> dict[str, str]:
    """The row's cells by column. Raises RowError where one is missing or the row is wider than the header."""
    if record.flaw:
        raise RowError(record.flaw)
    if len(record.cells) > width:
        raise RowError(f"the row has {len(record.cells)} cells, the header {width}")
    missing = [name for name, index in columns.items() if index >= len(record.cells)]
    if missing:
        raise RowError(f"the row has no column {', '.join(missing)}")
    return {name: record.cells[index].strip() for name, index in columns.items()}


def _sale(cells: Mapping[str, str], options: SalesOptions) -> Sale:
    return Sale(
        customer=account(cells[options.customer]),
        date=_date(cells[options.date], options),
        amount_minor=amount(cells[options.amount], options.currency),
        quantity=_quantity(cells[options.quantity]) if options.quantity else 1,
        description=cells[options.description] if options.description else "",
        reference=cells[options.reference] if options.reference else "",
    )


def account(text: str) -> str:
    """The id that a customer's text is, upper-cased. Raises RowError where it is none."""
    if not text:
        raise RowError("the customer is empty")
    if not re.match(NAME_PATTERN, text):
        raise RowError(
            f"customer {text[:60]!r} is not an id: at most 40 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit"
        )
    return text.upper()


def amount(text: str, currency: str) -> int:
    """A decimal above zero, exactly, in minor units; a comma only groups thousands. Raises RowError."""
    if not text:
        raise RowError("the amount is empty")
    try:
        minor = parse_decimal(text, currency)
    except ValueError as error:
        raise RowError(f"amount {error}".replace(text, text[:60])) from None
    if minor <= 0:
        raise RowError(f"amount {text[:60]} is not above zero")
    return minor


def _quantity(text: str) -> int:
    whole = _QUANTITY.fullmatch(text)
    try:
        return int(whole[1] if whole else "")
    except ValueError:  # also of thousands of digits
        raise RowError(f"quantity {text[:60]!r} is not a whole number") from None


def _date(text: str, options: SalesOptions) -> date:
    """The day in the tenant's time zone. Raises RowError."""
    try:
        if options.date_format is None:
            moment = datetime.fromisoformat(text)
        else:
            moment = datetime.strptime(text, options.date_format)  # noqa: DTZ007 - a zone only where the file has one
        return moment.astimezone(ZoneInfo(options.time_zone)).date() if moment.tzinfo else moment.date()
    except (ValueError, OverflowError):
        expected = "an ISO date" if options.date_format is None else f"of the form {options.date_format}"
        raise RowError(f"date {text[:60]!r} is not {expected}") from None


# --- making elements of it


def _digest(sale: Sale, source: str) -> bytes:
    """SHA-256 of the source and the row's values, as a JSON array: no two rows share an encoding.

    Neither how a row was paid nor under which reference is in it, so that no option sells a row twice.
    """
    values = (
        source,
        sale.customer,
        sale.date.isoformat(),
        sale.amount_minor,
        sale.quantity,
        sale.description,
    )
    return sha256(msgspec.json.encode(values)).digest()


def _entry(line: int, sale: Sale, key: str, options: SalesOptions, opened: Container[str]) -> Entry:
    """What posts the row. Raises RowError where the API would refuse the shape of any of it."""
    by_wallet = options.tender == "wallet"
    elements: list[Element] = []
    if by_wallet and sale.customer not in opened:
        elements.append(_open_wallet(sale.customer, options.currency))
    if by_wallet and options.prefund:
        elements.append(_prefund(sale, key, options.currency))
    elements.append(_checkout(sale, key, options))
    return Entry(line=line, lane=sale.customer, amount_minor=sale.amount_minor, elements=tuple(elements))


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
        "customer": sale.customer,
        "currency": options.currency,
        "lines": [line],
        "tenders": [tender],
        "effective_date": sale.date.isoformat(),
    }
    if options.tender == "wallet":
        data["wallet"] = sale.customer
    return element("pos.checkout", key=key, data=data)
