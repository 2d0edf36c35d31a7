"""`bursar demo`: a school day on a running service, after which all books must agree."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from ops.cli.connection import DataOption, KeyOption, Target, UrlOption, find_target
from ops.cli.output import FAILED, USAGE, JsonOption, fail, print_json

if TYPE_CHECKING:
    from ops.up.ready_file import QuickBooksInfo


def demo(
    url: UrlOption = None,
    key: KeyOption = None,
    ready_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="What `bursar up --ready-file` wrote.")
    ] = None,
    data: DataOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write into any school without asking.")] = False,
    json: JsonOption = False,
) -> None:
    """Play a school day against a running service, export it, and show that all books agree.

    It posts for good: in any school but the one that `bursar up` made it asks first. Exit code 1 where the books do
    not agree, or the day could not be played.
    """
    import httpx
    from rich.console import Console

    from ops.demo.books import BooksMovedError
    from ops.demo.comparison import play
    from ops.demo.report import report, show
    from ops.http_client import ApiClient, ApiError, UnreachableError

    target = find_target(url, key, data, ready_file)
    try:
        with ApiClient(target.url, target.key, give_up_seconds=0) as client:
            tenant = client.get("ping").body["tenant"]
        if not yes:
            _ask(target, tenant)
        with ApiClient(target.url, target.key, notice=Console(stderr=True).print) as client:
            day, outcome = play(client, _company(target, tenant))
    except (ApiError, UnreachableError, BooksMovedError, TimeoutError, httpx.HTTPError) as error:
        fail(str(error))
    if json:
        print_json(report(day, outcome))
    else:
        show(Console(), day, outcome)
    if not outcome.agrees:
        raise typer.Exit(FAILED)


def _company(target: Target, tenant: str) -> "QuickBooksInfo | None":
    """The school's own company in the emulator, where that is known."""
    from adapters.quickbooks.settings import QuickBooksSettings

    if target.up is None:
        return None
    there = target.up.quickbooks
    settings = QuickBooksSettings.for_emulator(url=there.url, access_token=there.access_token)
    return msgspec.structs.replace(there, realm=settings.realm_for(tenant))


def _ask(target: Target, tenant: str) -> None:
    """Have somebody at the terminal agree, unless the school is the one that `up` made for trying things out."""
    if target.up is not None and tenant == target.up.tenant:
        return
    question = (
        f"The demo posts a day of sales and invoices, for good, into the books of {tenant} at {target.url}"
    )
    if not sys.stdin.isatty():
        fail(f"{question}. Without a terminal to ask at, --yes has to agree to it", code=USAGE)
    if not typer.confirm(f"{question}. Do it?", err=True):
        raise typer.Exit(FAILED)
