"""`bursar export`: the exporter itself; and below it exports that are asked for and followed, over the HTTP API."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar
from uuid import uuid4

import typer

from adapters.quickbooks.api.errors import JobState
from ops.cli import services
from ops.cli.connection import DataOption, KeyOption, UrlOption, find_target
from ops.cli.output import NOT_ALL, JsonOption, fail, print_json, print_table

if TYPE_CHECKING:  # for who checks types a choice is text; the command line shows, completes and checks it
    from ops.http_client import ApiClient

    State = str
else:
    State = Literal[tuple(str(state) for state in JobState)]

_T = TypeVar("_T")

app = typer.Typer(help="Run the QuickBooks exporter; or request exports and follow them.")

_POLL_SECONDS: Final = 0.5
_PAGE_ROWS: Final = 500
_ENDED: Final = ("completed", "needs_attention")

Batch = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="The export's batch; the newest without it.")
]


@app.callback(invoke_without_command=True)
def export(context: typer.Context, data: DataOption = None) -> None:
    """Run the QuickBooks exporter, on Kafka where a broker is configured; or what COMMAND says."""
    if context.invoked_subcommand is None:
        services.export(data)
    elif data is not None:
        raise typer.BadParameter("it stands behind the command", param_hint="--data")


@app.command()
def run(
    url: UrlOption = None, key: KeyOption = None, data: DataOption = None, json: JsonOption = False
) -> None:
    """Request an export and wait for its end. Exit code 3: it needs attention."""

    def follow(client: "ApiClient") -> dict[str, Any]:
        queued = client.write("POST", "quickbooks/export", {}, key=f"export-{uuid4()}").body
        while (batch := _batch(client, queued["batch_id"]))["status"] not in _ENDED:
            time.sleep(_POLL_SECONDS)
        return batch

    batch = _ask(url, key, data, follow)
    _show(batch, json=json)
    if batch["status"] != "completed":
        raise typer.Exit(NOT_ALL)


@app.command()
def status(
    batch_id: Batch = None,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Say how far an export is."""
    _show(_ask(url, key, data, lambda client: _batch(client, batch_id)), json=json)


@app.command()
def documents(
    batch_id: Batch = None,
    state: Annotated[State | None, typer.Option(help="Only documents in this state.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """List the documents of an export, why each is not in QuickBooks, and what to do."""

    def read(client: "ApiClient") -> tuple[str, list[dict[str, Any]]]:
        batch = batch_id or _batch(client, None)["batch_id"]
        return client.get("ping").body["currency"], list(_documents(client, batch, state))

    currency, listed = _ask(url, key, data, read)
    if json:
        print_json(listed)
        return
    _show_documents(listed, currency)


# --- the service's answers


def _ask(url: str | None, key: str | None, data: Any, question: "Callable[[ApiClient], _T]") -> _T:
    from ops.http_client import ApiClient, ApiError, UnreachableError

    target = find_target(url, key, data)
    try:
        with ApiClient(target.url, target.key, give_up_seconds=0) as client:
            return question(client)
    except (ApiError, UnreachableError) as error:
        fail(str(error))


def _batch(client: "ApiClient", batch_id: str | None) -> dict[str, Any]:
    """A batch, or the newest that the exporter has taken up."""
    if batch_id is not None:
        batch: dict[str, Any] = client.get(f"quickbooks/exports/{batch_id}").body
        return batch
    newest: list[dict[str, Any]] = client.get("quickbooks/exports", limit=1).body["data"]
    if not newest:
        fail("the exporter has taken up no export of this school")
    return newest[0]


def _documents(client: "ApiClient", batch_id: str, state: str | None) -> Iterator[dict[str, Any]]:
    path, wanted = f"quickbooks/exports/{batch_id}/documents", {} if state is None else {"state": state}
    page = client.get(path, limit=_PAGE_ROWS, **wanted).body
    yield from page["data"]
    while page["has_more"]:
        page = client.get(path, limit=_PAGE_ROWS, cursor=page["next"], **wanted).body
        yield from page["data"]


# --- as text


def _show(batch: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(batch)
        return
    print(f"export     {batch['batch_id']}, asked for {batch['requested_at']}")
    print(f"status     {batch['status']}")
    if batch["reason"] is not None:
        print(f"reason     {batch['reason']}")
    counts = ", ".join(f"{number} {state}" for state, number in sorted(batch["documents"].items()))
    print(f"documents  {counts or 'none'}")


def _show_documents(listed: list[dict[str, Any]], currency: str) -> None:
    from domain.money import format_minor

    print_table(
        ("NUMBER", "KIND", "AMOUNT", "STATE", "CODE", "REASON"),
        (
            (
                one["number"],
                one["kind"],
                format_minor(one["amount"], currency),
                one["state"],
                one["code"] or "",
                one["reason"] or "",
            )
            for one in listed
        ),
    )
    remedies = {one["code"]: one["remedy"] for one in listed if one["remedy"] is not None}
    for code, remedy in sorted(remedies.items()):
        print(f"\n{code}: {remedy}")
