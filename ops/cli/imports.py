"""`bursar import`: files of sales and M-Pesa statements into a running service, through its HTTP API.

Exit codes: 0 where every row was posted or was there already, 3 where rows were rejected, 1 where the run
could not be done or finished (run it again: what is there is not posted twice), 2 for wrong options.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domain.provider_receipt import REFERENCE_REQUIRED
from domain.tender import TenderType
from ops.cli.connection import DataOption, KeyOption, Target, UrlOption, find_target
from ops.cli.output import NOT_ALL, JsonOption, fail, print_json, progress

if TYPE_CHECKING:  # the API's client and all commands' shapes would slow the start of every command
    from ops.http_client import Result
    from ops.imports.run import Imported, Passes, School

app = typer.Typer(
    help="Import files into a running service. Exit code 0: all there; 3: rows were rejected; 1: failed.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The CSV file, in UTF-8.")]


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
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Names the file in the keys; its base name without it.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Post each row of a CSV file as a sale.

    A row that was posted before, by the same client, is not posted again.
    """
    if prefund and tender != "wallet":
        raise typer.BadParameter("--prefund goes with --tender wallet")
    if tender in REFERENCE_REQUIRED and reference is None:
        raise typer.BadParameter(f"--tender {tender} needs --reference COLUMN")
    if date_format is not None and not _names_a_day(date_format):
        raise typer.BadParameter(f"--date-format {date_format!r} names no day, such as %d/%m/%Y does")

    def passes(school: "School") -> "Passes":
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
            source=source or file.name,
            currency=school.currency,
            time_zone=school.time_zone,
        )
        return (sales_of(file, options),)

    _run(file, find_target(url, key, data), passes, explain=_with_detail, label=None, json=json)


@app.command()
def mpesa(
    file: File,
    account_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The wallet's account; without it, A/C No. or the details."),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Post the completed receipts of an M-Pesa paybill statement as top-ups."""

    def passes(school: "School") -> "Passes":
        from ops.imports.importer import Entry, FileError
        from ops.imports.mpesa_statement import CURRENCY, receipts

        if school.currency != CURRENCY:
            raise FileError(f"an M-Pesa statement is in {CURRENCY}, the tenant in {school.currency}")
        repeated: list[Entry] = []
        return receipts(file, account_column=account_column, repeated=repeated), repeated

    # The service's detail may name the account, which a payer typed: the code alone says enough.
    _run(file, find_target(url, key, data), passes, explain=_code, label="receipt", json=json)


def _names_a_day(date_format: str) -> bool:
    day = datetime(2001, 2, 3, tzinfo=UTC)
    try:
        return datetime.strptime(day.strftime(date_format), date_format).date() == day.date()  # noqa: DTZ007 - a date, no time
    except ValueError:
        return False


def _run(
    file: Path,
    target: Target,
    passes: "Callable[[School], Passes]",
    *,
    explain: "Callable[[Result], str]",
    label: str | None,
    json: bool,
) -> None:
    from ops.http_client import ApiClient, ApiError, UnreachableError
    from ops.imports.importer import FileError
    from ops.imports.run import import_file

    try:
        with (
            ApiClient(target.url, target.key, notice=lambda text: print(text, file=sys.stderr)) as client,
            progress("Importing", quiet=json) as report,
        ):
            imported = import_file(file, client, passes, explain=explain, label=label, report=report)
    except (FileError, ApiError) as error:
        fail(str(error))
    except UnreachableError as error:
        fail(f"{error}. Run it again: what is there is not posted twice.")
    if json:
        print_json(imported.summary)
    else:
        _show(imported)
    if imported.summary.rejected:
        raise typer.Exit(NOT_ALL)


def _show(imported: "Imported") -> None:
    from domain.money import format_minor

    summary, currency = imported.summary, imported.currency
    print(
        f"read {summary.read}: posted {summary.posted} ({format_minor(summary.total_minor, currency)} {currency}), "
        f"already there {summary.already_there}, rejected {summary.rejected}"
    )
    if summary.rejected_after_prefund:
        print(
            f"rejected after their wallet was prefunded: {summary.rejected_after_prefund}; "
            f"{format_minor(summary.stranded_minor, currency)} {currency} lie there"
        )
    if imported.written is not None:
        print(f"what was rejected, and why: {imported.written}")
    if imported.removed is not None:
        print(f"nothing was rejected this time: removed {imported.removed}")


def _with_detail(result: "Result") -> str:
    return ": ".join(part for part in (result.code or str(result.status), result.detail) if part)


def _code(result: "Result") -> str:
    return result.code or str(result.status)
