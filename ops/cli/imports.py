"""`bursar import`: files of sales and M-Pesa statements into a running service, through its HTTP API.

Exit codes: 0 where every row was posted or was there already, 3 where rows were rejected, 1 where the run
could not be done or finished (run it again: what is there is not posted twice), 2 for wrong options.
"""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domain.provider_receipt import REFERENCE_REQUIRED
from domain.tender import TenderType
from ops.cli.connection import DataOption, KeyOption, Target, UrlOption, find_target
from ops.cli.import_output import tell, tell_foretold, tell_imports
from ops.cli.output import INTERRUPTED, NOT_ALL, JsonOption, fail, progress
from ops.imports.amounts import Decimals

if TYPE_CHECKING:  # the API's client and all commands' shapes would slow the start of every command
    from ops.http_client import Result
    from ops.imports.customers import Customers
    from ops.imports.layout import Wish
    from ops.imports.reading import Table
    from ops.imports.run import Kind, Passes, School

app = typer.Typer(
    help="Import files into a running service. Exit code 0: all there; 3: rows were rejected; 1: failed.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV file, or an Excel workbook.")]
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


@app.command()
def sales(
    file: File,
    customer: Annotated[str, typer.Option(metavar="COLUMN", help="Who bought.")],
    date: Annotated[str, typer.Option(metavar="COLUMN", help="When: the effective date.")],
    amount: Annotated[str, typer.Option(metavar="COLUMN", help="The row's total, a decimal.")],
    quantity: Annotated[str | None, typer.Option(metavar="COLUMN", help="How many; 1 without it.")] = None,
    description: Annotated[str | None, typer.Option(metavar="COLUMN", help="What was sold.")] = None,
    date_format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="As of strptime, such as %d/%m/%Y; ISO without it.")
    ] = None,
    tender: Annotated[TenderType, typer.Option(help="What paid.")] = "cash",
    reference: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The provider's reference; mpesa needs it.")
    ] = None,
    prefund: Annotated[
        bool, typer.Option("--prefund", help="Top the wallet up by each row's amount first.")
    ] = False,
    customer_pattern: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Matches a customer's whole cell; its one group is the id."),
    ] = None,
    customers: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Two columns: the customer as in the file, the id of the wallet.",
        ),
    ] = None,
    allow_anonymous: Annotated[
        bool, typer.Option("--allow-anonymous", help="Sell rows without a customer to nobody in particular.")
    ] = False,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Names the file in the keys; its base name without it.")
    ] = None,
    decimal: DecimalOption = None,
    delimiter: DelimiterOption = None,
    encoding: EncodingOption = None,
    sheet: SheetOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Post it even if its rows were imported under another source.")
    ] = False,
    dry_run: DryRunOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Post each row of a file as a sale.

    A row that was posted before, by the same client, is not posted again.
    """
    if prefund and tender != "wallet":
        raise typer.BadParameter("--prefund goes with --tender wallet")
    if tender in REFERENCE_REQUIRED and reference is None:
        raise typer.BadParameter(f"--tender {tender} needs --reference COLUMN")
    if allow_anonymous and tender == "wallet":
        raise typer.BadParameter(
            "--allow-anonymous does not go with --tender wallet: nobody's wallet would pay"
        )
    pattern = _pattern(customer_pattern)
    if date_format is not None and not _names_a_day(date_format):
        raise typer.BadParameter(f"--date-format {date_format!r} names no day, such as %d/%m/%Y does")

    def kind_for(school: "School") -> "Kind":
        from ops.imports.rejected import source_name
        from ops.imports.run import Kind
        from ops.imports.sales_file import SalesOptions
        from ops.imports.sales_file import sales as sales_of

        options = SalesOptions(
            customer=customer,
            date=date,
            amount=amount,
            quantity=quantity,
            description=description,
            date_format=date_format,
            reference=reference,
            tender=tender,
            prefund=prefund,
            customers=_customers(pattern, customers, anonymous=allow_anonymous),
            source=source or source_name(file),
            currency=school.currency,
            time_zone=school.time_zone,
        )
        return Kind(columns=options, passes=lambda table: (sales_of(table, options),), source=options.source)

    wish = _wish(decimal, delimiter, encoding, sheet)
    _run(
        file,
        find_target(url, key, data),
        kind_for,
        wish=wish,
        again=again,
        explain=_with_detail,
        dry_run=dry_run,
        json=json,
    )


@app.command()
def mpesa(
    file: File,
    account_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The wallet's account; without it, A/C No. or the details."),
    ] = None,
    decimal: DecimalOption = None,
    delimiter: DelimiterOption = None,
    encoding: EncodingOption = None,
    sheet: SheetOption = None,
    dry_run: DryRunOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Post the completed receipts of an M-Pesa paybill statement as top-ups."""

    def kind_for(school: "School") -> "Kind":
        from ops.imports.mpesa_statement import CURRENCY, SOURCE, StatementColumns, receipts
        from ops.imports.records import FileError
        from ops.imports.rows import Entry
        from ops.imports.run import Kind

        if school.currency != CURRENCY:
            raise FileError(f"an M-Pesa statement is in {CURRENCY}, the tenant in {school.currency}")
        columns = StatementColumns(account_column=account_column)

        def passes(table: "Table") -> "Passes":
            repeated: list[Entry] = []
            return receipts(table, columns, repeated=repeated), repeated

        return Kind(columns=columns, passes=passes, source=SOURCE)

    # The service's detail may name the account, which a payer typed: the code alone says enough.
    wish = _wish(decimal, delimiter, encoding, sheet)
    _run(
        file,
        find_target(url, key, data),
        kind_for,
        wish=wish,
        again=False,
        explain=_code,
        dry_run=dry_run,
        json=json,
    )


@app.command("list")
def list_imports(
    url: UrlOption = None, key: KeyOption = None, data: DataOption = None, json: JsonOption = False
) -> None:
    """List the imports that were made, the newest first."""
    from ops.http_client import ApiClient, ApiError, UnreachableError
    from ops.imports.history import past_imports

    target = find_target(url, key, data)
    try:
        with ApiClient(target.url, target.key, notice=_notice) as client:
            imports = past_imports(client, sketch=False)
    except (ApiError, UnreachableError) as error:
        fail(str(error))
    tell_imports(imports, json=json)


def _wish(decimal: Decimals | None, delimiter: str | None, encoding: str | None, sheet: str | None) -> "Wish":
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


def _pattern(regex: str | None) -> re.Pattern[str] | None:
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


def _customers(pattern: re.Pattern[str] | None, file: Path | None, *, anonymous: bool) -> "Customers":
    from ops.imports.customers import Customers, read_customers

    wallet_ids = None if file is None else read_customers(file)
    return Customers(pattern=pattern, wallet_ids=wallet_ids, anonymous=anonymous)


def _names_a_day(date_format: str) -> bool:
    day = datetime(2001, 2, 3, tzinfo=UTC)
    try:
        return datetime.strptime(day.strftime(date_format), date_format).date() == day.date()  # noqa: DTZ007 - a date, no time
    except ValueError:
        return False


def _run(
    file: Path,
    target: Target,
    kind_for: "Callable[[School], Kind]",
    *,
    wish: "Wish",
    again: bool,
    explain: "Callable[[Result], str]",
    dry_run: bool,
    json: bool,
) -> None:
    from ops.http_client import ApiClient, ApiError, UnreachableError
    from ops.imports.records import FileError
    from ops.imports.run import Interrupted, foretell_file, import_file

    try:
        with (
            ApiClient(target.url, target.key, notice=_notice) as client,
            progress("Importing", quiet=json) as report,
        ):
            if dry_run:
                school, foretold = foretell_file(
                    file, client, kind_for, wish=wish, again=again, notice=_notice
                )
                tell_foretold(foretold, school.currency, json=json)
                raise typer.Exit(NOT_ALL if foretold.rejected or foretold.would_refuse else 0)
            imported = import_file(
                file, client, kind_for, wish=wish, again=again, explain=explain, report=report, notice=_notice
            )
    except (FileError, ApiError) as error:
        fail(str(error))
    except UnreachableError as error:
        fail(f"{error}. Run it again: what is there is not posted twice.")
    except Interrupted as interruption:
        tell(interruption.imported, json=json)
        fail("interrupted. Run it again: what is there is not posted twice.", code=INTERRUPTED)
    tell(imported, json=json)
    if imported.summary.rejected:
        raise typer.Exit(NOT_ALL)


def _notice(text: str) -> None:
    print(text, file=sys.stderr)


def _with_detail(result: "Result") -> str:
    return ": ".join(part for part in (result.code or str(result.status), result.detail) if part)


def _code(result: "Result") -> str:
    return result.code or str(result.status)
