"""`bursar import`: files of sales and M-Pesa statements into a running service, through its HTTP API.

Exit codes: 0 where every row was posted or was there already, 3 where rows were rejected, 1 where the run
could not be done or finished (run it again: what is there is not posted twice), 2 for wrong options.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import typer

from ops.cli.connection import DataOption, KeyOption, Target, UrlOption, find_target
from ops.cli.import_options import (
    AccountColumnOption,
    AgainOption,
    AmountOption,
    AnonymousOption,
    CustomerOption,
    CustomerPatternOption,
    CustomersOption,
    DateFormatOption,
    DateOption,
    DecimalOption,
    DelimiterOption,
    DescriptionOption,
    DryRunOption,
    EncodingOption,
    FileArgument,
    PrefundOption,
    QuantityOption,
    ReferenceOption,
    SheetOption,
    SourceOption,
    TenderOption,
    check_sales_options,
    pattern_of,
    wish_of,
)
from ops.cli.import_output import tell, tell_foretold, tell_imports
from ops.cli.output import INTERRUPTED, NOT_ALL, JsonOption, fail, progress

if TYPE_CHECKING:  # the API's client and all commands' shapes would slow the start of every command
    from ops.http_client import ApiClient, Result
    from ops.imports.run import OpenedFile

app = typer.Typer(
    help="Import files into a running service. Exit code 0: all there; 3: rows were rejected; 1: failed.",
    no_args_is_help=True,
)


@app.command()
def sales(
    file: FileArgument,
    customer: CustomerOption,
    date: DateOption,
    amount: AmountOption,
    quantity: QuantityOption = None,
    description: DescriptionOption = None,
    date_format: DateFormatOption = None,
    tender: TenderOption = "cash",
    reference: ReferenceOption = None,
    prefund: PrefundOption = False,
    customer_pattern: CustomerPatternOption = None,
    customers: CustomersOption = None,
    allow_anonymous: AnonymousOption = False,
    source: SourceOption = None,
    decimal: DecimalOption = None,
    delimiter: DelimiterOption = None,
    encoding: EncodingOption = None,
    sheet: SheetOption = None,
    again: AgainOption = False,
    dry_run: DryRunOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Post each row of a file as a sale.

    A row that was posted before, by the same client, is not posted again.
    """
    check_sales_options(
        tender=tender,
        prefund=prefund,
        reference=reference,
        anonymous=allow_anonymous,
        date_format=date_format,
    )
    pattern = pattern_of(customer_pattern)
    wish = wish_of(decimal, delimiter, encoding, sheet)

    def opened() -> "OpenedFile":
        from ops.imports.customers import Customers, read_customers
        from ops.imports.kinds import sales_kind
        from ops.imports.rejected import source_name
        from ops.imports.run import open_file
        from ops.imports.sales_file import SalesColumns

        wallet_ids = None if customers is None else read_customers(customers)
        kind = sales_kind(
            SalesColumns(
                customer=customer,
                date=date,
                amount=amount,
                quantity=quantity,
                description=description,
                reference=reference,
            ),
            source=source or source_name(file),
            customers=Customers(pattern=pattern, wallet_ids=wallet_ids, anonymous=allow_anonymous),
            date_format=date_format,
            tender=tender,
            prefund=prefund,
        )
        return open_file(file, kind, wish)

    run = _dry_run if dry_run else partial(_import, explain=_with_detail)
    _guarded(opened, lambda: find_target(url, key, data), partial(run, again=again, json=json))


@app.command()
def mpesa(
    file: FileArgument,
    account_column: AccountColumnOption = None,
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
    wish = wish_of(decimal, delimiter, encoding, sheet)

    def opened() -> "OpenedFile":
        from ops.imports.kinds import statement_kind
        from ops.imports.run import open_file

        return open_file(file, statement_kind(account_column), wish)

    # The service's detail may name the account, which a payer typed: the code alone says enough.
    run = _dry_run if dry_run else partial(_import, explain=_code)
    _guarded(opened, lambda: find_target(url, key, data), partial(run, again=False, json=json))


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


# --- running


def _guarded(
    opened: "Callable[[], OpenedFile]",
    target: Callable[[], Target],
    run: "Callable[[OpenedFile, ApiClient], None]",
) -> None:
    """Open a file and run its import; whatever prevents it ends the command with one line.

    The file is read first: what is wrong with it is told also where there is no service.
    """
    from ops.http_client import ApiClient, ApiError, UnreachableError
    from ops.imports.records import FileError

    try:
        file = opened()
        found = target()
        with ApiClient(found.url, found.key, notice=_notice) as client:
            run(file, client)
    except (FileError, ApiError) as error:
        fail(str(error))
    except UnreachableError as error:
        fail(f"{error}. Run it again: what is there is not posted twice.")


def _dry_run(file: "OpenedFile", client: "ApiClient", *, again: bool, json: bool) -> None:
    from ops.imports.run import foretell_file

    school, foretold = foretell_file(file, client, again=again, notice=_notice)
    tell_foretold(foretold, school.currency, json=json)
    if foretold.rejected or foretold.would_refuse:
        raise typer.Exit(NOT_ALL)


def _import(
    file: "OpenedFile", client: "ApiClient", *, again: bool, json: bool, explain: "Callable[[Result], str]"
) -> None:
    from ops.imports.run import Interrupted, import_file

    try:
        with progress("Importing", quiet=json) as report:
            imported = import_file(file, client, again=again, explain=explain, report=report, notice=_notice)
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
