"""`bursar import`: files of sales and M-Pesa statements into a running service, through its HTTP API.

Exit codes: 0 where every row was posted or was there already, 3 where rows were rejected, 1 where the run
could not be done or finished (run it again: what is there is not posted twice), 2 for wrong options.
"""

import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from domain.money import MINOR_DIGITS, format_minor
from domain.tender import TenderType
from ops.http_client import ApiClient, ApiError, Result, UnreachableError
from ops.importer import (
    Entry,
    FileError,
    Importer,
    Rejection,
    Summary,
    count_records,
    write_rejections,
)
from ops.mpesa_statement import CURRENCY as MPESA_CURRENCY
from ops.mpesa_statement import receipts
from ops.sales_file import SalesOptions
from ops.sales_file import sales as sales_of

ROWS_REJECTED: Final = 3
"""The exit code of a run that posted what it could and rejected the rest."""

app = typer.Typer(
    help="Import files into a running service. Exit code 0: all there; 3: rows were rejected; 1: failed.",
    no_args_is_help=True,
)

Url = Annotated[str | None, typer.Option(envvar="BURSAR_URL", help="The service's address.")]
Key = Annotated[str | None, typer.Option(envvar="BURSAR_API_KEY", help="An API key of the tenant.")]
Data = Annotated[Path, typer.Option(help="Without --url and --key: the directory of a running `bursar up`.")]
Json = Annotated[bool, typer.Option("--json", help="End with the counts as one line of JSON.")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The CSV file, in UTF-8.")]


class School(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant as ping tells it; `position` is the log's before the run."""

    currency: str
    time_zone: str
    position: int


def connection(url: str | None, key: str | None, data: Path) -> tuple[str, str]:
    """Where the service is and the key to use: as given, else those of the `up` that runs on `data`."""
    if url and key:
        return url, key
    if url or key:
        raise typer.BadParameter("--url and --key (BURSAR_URL, BURSAR_API_KEY) belong together")
    from ops.up import running

    ready = running(data)
    return ready.url, ready.keys["admin"]


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

    def rows(school: School) -> Iterable[Entry | Rejection]:
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
        return sales_of(file, options)

    with _failing_cleanly(), _client(*connection(url, key, data)) as client:
        _run(file, client, rows, explain=_with_detail, label=None, json=json)


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

    def rows(school: School) -> Iterable[Entry | Rejection]:
        if school.currency != MPESA_CURRENCY:
            raise FileError(f"an M-Pesa statement is in {MPESA_CURRENCY}, the tenant in {school.currency}")
        repeated: list[Entry] = []
        yield from receipts(file, account_column=account_column, repeated=repeated)
        yield None ...
