"""The options of `bursar import`, and what is wrong with some of them."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domain.provider_receipt import REFERENCE_REQUIRED
from domain.tender import TenderType
from ops.imports.amounts import Decimals

if TYPE_CHECKING:  # what reads files would slow the start of every command
    from ops.imports.layout import Wish

FileArgument = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="A CSV file, or an Excel workbook.")
]

# --- of sales

CustomerOption = Annotated[str, typer.Option(metavar="COLUMN", help="Who bought.")]
DateOption = Annotated[str, typer.Option(metavar="COLUMN", help="When: the effective date.")]
AmountOption = Annotated[str, typer.Option(metavar="COLUMN", help="The row's total, a decimal.")]
QuantityOption = Annotated[str | None, typer.Option(metavar="COLUMN", help="How many; 1 without it.")]
DescriptionOption = Annotated[str | None, typer.Option(metavar="COLUMN", help="What was sold.")]
DateFormatOption = Annotated[
    str | None, typer.Option(metavar="FORMAT", help="As of strptime, such as %d/%m/%Y; ISO without it.")
]
TenderOption = Annotated[TenderType, typer.Option(help="What paid.")]
ReferenceOption = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="The provider's reference; mpesa needs it.")
]
PrefundOption = Annotated[
    bool, typer.Option("--prefund", help="Top the wallet up by each row's amount first.")
]
CustomerPatternOption = Annotated[
    str | None,
    typer.Option(metavar="REGEX", help="Matches a customer's whole cell; its one group is the id."),
]
CustomersOption = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="Two columns: the customer as in the file, the id of the wallet."
    ),
]
AnonymousOption = Annotated[
    bool, typer.Option("--allow-anonymous", help="Sell rows without a customer to nobody in particular.")
]
SourceOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Names the file in the keys; its base name without it.")
]
AgainOption = Annotated[
    bool, typer.Option("--again", help="Post it even if its rows were imported under other keys.")
]


def check_sales_options(
    *, tender: TenderType, prefund: bool, reference: str | None, anonymous: bool, date_format: str | None
) -> None:
    """Refuse options that do not go together. Raises typer.BadParameter."""
    if prefund and tender != "wallet":
        raise typer.BadParameter("--prefund goes with --tender wallet")
    if tender in REFERENCE_REQUIRED and reference is None:
        raise typer.BadParameter(f"--tender {tender} needs --reference COLUMN")
    if anonymous and tender == "wallet":
        raise typer.BadParameter(
            "--allow-anonymous does not go with --tender wallet: nobody's wallet would pay"
        )
    if date_format is not None and not _names_a_day(date_format):
        raise typer.BadParameter(f"--date-format {date_format!r} names no day, such as %d/%m/%Y does")


def _names_a_day(date_format: str) -> bool:
    day = datetime(2001, 2, 3, tzinfo=UTC)
    try:
        return datetime.strptime(day.strftime(date_format), date_format).date() == day.date()  # noqa: DTZ007 - a date, no time
    except ValueError:
        return False


def pattern_of(regex: str | None) -> re.Pattern[str] | None:
    """The pattern of customers. Raises typer.BadParameter where it is none, or has not one group."""
    if regex is None:
        return None
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise typer.BadParameter(f"--customer-pattern {regex!r}: {error}") from None
    if pattern.groups != 1:
        raise typer.BadParameter(
            f"--customer-pattern {regex!r} has {pattern.groups} groups, and needs one: the id"
        )
    return pattern


# --- of statements

AccountColumnOption = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="The wallet's account; without it, A/C No. or the details."),
]

# --- of any file

DecimalOption = Annotated[
    Decimals | None,
    typer.Option(help="What stands before the decimals.", show_default="as the file's amounts tell"),
]
DelimiterOption = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER", help="What parts the cells; `tab` for one.", show_default="as the header tells"
    ),
]
EncodingOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of the text, such as cp1252.", show_default="found out")
]
SheetOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of a workbook.", show_default="the one that has the columns"),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be posted and rejected; write nothing.")
]


def wish_of(
    decimal: Decimals | None, delimiter: str | None, encoding: str | None, sheet: str | None
) -> "Wish":
    """What was said of the file's layout. Raises typer.BadParameter where no file can be so."""
    from ops.imports.layout import Wish

    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n\0'):
        raise typer.BadParameter(f"--delimiter {delimiter!r} is not one character, nor `tab`")
    if encoding is not None:
        try:
            b"-".decode(encoding, errors="replace")  # of nothing no codec is looked up
        except LookupError:
            raise typer.BadParameter(
                f"--encoding {encoding!r} is not one of a text that Python knows"
            ) from None
    return Wish(decimal=decimal, delimiter=delimiter, encoding=encoding, sheet=sheet)
