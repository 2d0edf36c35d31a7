"""`bursar import`: files of sales and M-Pesa statements into a running service, through its HTTP API.

Exit codes: 0 where every row was posted or was there already, 3 where rows were rejected, 1 where the run
could not be done or finished (run it again: what is there is not posted twice), 2 for wrong options.
"""

import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from domain.money import MINOR_DIGITS, format_minor
from domain.tender import TenderType
from ops.cli.connection import Data, Key, Target, Url, find_target
from ops.http_client import ApiClient, ApiError, Result, UnreachableError
from ops.imports.importer import (
    Entry,
    FileError,
    Importer,
    Rejection,
    count_records,
    rejected_path,
    write_rejections,
)
from ops.imports.mpesa_statement import CURRENCY as MPESA_CURRENCY
from ops.imports.mpesa_statement import receipts
from ops.imports.sales_file import SalesOptions
from ops.imports.sales_file import sales as sales_of

ROWS_REJECTED: Final = 3
"""The exit code of a run that posted what it could and rejected the rest."""

app = typer.Typer(
    help="Import files into a running service. Exit code 0: all there; 3: rows were rejected; 1: failed.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="End with the counts as one line of JSON.")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The CSV file, in UTF-8.")]


Passes = Iterable[Iterable[Entry | Rejection]]
"""The rows of a file, and after all of them those that have to wait for what the others became."""


class School(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant as ping tells it; `position` is the log's before the run."""

    currency: str
    time_zone: str
    position: int


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
    prefund: Annotated[
        bool, typer.Option("--prefund", help="Top the wallet up by each row's amount first.")
    ] = False,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Names the file in the keys; its base name without it.")
    ] = None,
    url: Url = None,
    key: Key = None,
    data: Data = Path(".bursar"),
    json: Json = False,
) -> None:
    """Post each row of a CSV file as a sale.

    A row that was posted before, by the same client, is not posted again.
    """
    if prefund and tender != "wallet":
        raise typer.BadParameter("--prefund goes with --tender wallet")
    if date_format is not None and not _names_a_day(date_format):
        raise typer.BadParameter(f"--date-format {date_format!r} names no day, such as %d/%m/%Y does")

    def passes(school: School) -> Passes:
        options = SalesOptions(
            customer=customer,
            date=date,
            amount=amount,
            quantity=quantity,
            description=description,
            date_format=date_format,
            tender=tender,
            prefund=prefund,
            source=source or file.name,
            currency=school.currency,
            time_zone=school.time_zone,
        )
        return (sales_of(file, options),)

    with _failing_cleanly(), _client(find_target(url, key, data)) as client:
        _run(file, client, passes, explain=_with_detail, label=None, json=json)


@app.command()
def mpesa(
    file: File,
    account_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The wallet's account; without it, A/C No. or the details."),
    ] = None,
    url: Url = None,
    key: Key = None,
    data: Data = Path(".bursar"),
    json: Json = False,
) -> None:
    """Post the completed receipts of an M-Pesa paybill statement as top-ups."""

    def passes(school: School) -> Passes:
        if school.currency != MPESA_CURRENCY:
            raise FileError(f"an M-Pesa statement is in {MPESA_CURRENCY}, the tenant in {school.currency}")
        repeated: list[Entry] = []
        return receipts(file, account_column=account_column, repeated=repeated), repeated

    with _failing_cleanly(), _client(find_target(url, key, data)) as client:
        # The service's detail may name the account, which a payer typed: the code alone says enough.
        _run(
            file,
            client,
            passes,
            explain=lambda result: result.code or str(result.status),
            label="receipt",
            json=json,
        )


def _names_a_day(date_format: str) -> bool:
    day = datetime(2001, 2, 3, tzinfo=UTC)
    try:
        return datetime.strptime(day.strftime(date_format), date_format).date() == day.date()  # noqa: DTZ007
    except ValueError:
        return False


# --- one run


def _run(
    file: Path,
    client: ApiClient,
    passes: Callable[[School], Passes],
    *,
    explain: Callable[[Result], str],
    label: str | None,
    json: bool,
) -> None:
    total = count_records(file)
    school = _school(client)
    with _progress(total) as advance:
        importer = Importer(client, start_position=school.position, explain=explain, advance=advance)
        for rows in passes(school):
            importer.run(rows)
    _report(file, importer, school.currency, label=label, json=json)
    if importer.rejections:
        raise typer.Exit(ROWS_REJECTED)


def _school(client: ApiClient) -> School:
    try:
        school = msgspec.convert(client.get("ping").body, School)
    except msgspec.ValidationError as error:
        raise ApiError(200, "", f"ping answered something else: {error}") from None
    if school.currency not in MINOR_DIGITS:
        raise FileError(f"amounts in {school.currency} cannot be read")
    return school


def _report(file: Path, importer: Importer, currency: str, *, label: str | None, json: bool) -> None:
    before = rejected_path(file).exists()
    rejected = write_rejections(file, importer.rejections, label=label)
    summary = importer.summary()
    print(
        f"read {summary.read}: posted {summary.posted} "
        f"({format_minor(summary.total_minor, currency)} {currency}), "
        f"already there {summary.already_there}, rejected {summary.rejected}"
    )
    if summary.rejected_after_prefund:
        print(
            f"rejected after their wallet was prefunded: {summary.rejected_after_prefund}; the money lies there"
        )
    if rejected is not None:
        print(f"what was rejected, and why: {rejected}")
    elif before:
        print(f"nothing was rejected this time: removed {rejected_path(file)}")
    if json:
        print(msgspec.json.encode(summary).decode())


def _with_detail(result: Result) -> str:
    return ": ".join(part for part in (result.code or str(result.status), result.detail) if part)


def _client(target: Target) -> ApiClient:
    return ApiClient(target.url, target.key, notice=lambda text: print(text, file=sys.stderr))


@contextmanager
def _progress(total: int) -> Generator[Callable[[], None]]:
    """A progress bar where standard error is a terminal; what is yielded moves it by one row."""
    console = Console(stderr=True)
    columns = (TextColumn("importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)


@contextmanager
def _failing_cleanly() -> Generator[None]:
    """Say in one line why the run failed, and exit with 1."""
    try:
        yield
    except (FileError, ApiError) as error:
        print(f"bursar import: {error}", file=sys.stderr)
    except UnreachableError as error:
        print(f"bursar import: {error}. Run it again: what is there is not posted twice.", file=sys.stderr)
    else:
        return
    raise typer.Exit(1)
