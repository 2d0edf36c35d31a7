"""Which service a command talks to: the one named, or the one that `bursar up` runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

if TYPE_CHECKING:  # it brings the database's libraries, which would slow the start of every command
    from ops.up import QuickBooksInfo, ReadyInfo

Url = Annotated[str | None, typer.Option(envvar="BURSAR_URL", help="The service's address.")]
Key = Annotated[str | None, typer.Option(envvar="BURSAR_API_KEY", help="An API key of the tenant.")]
Data = Annotated[Path, typer.Option(help="Without --url and --key: the directory of a running `bursar up`.")]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A service and a key for it; `quickbooks` where it is known."""

    url: str
    key: str
    quickbooks: "QuickBooksInfo | None" = None


def find_target(url: str | None, key: str | None, data: Path, ready_file: Path | None = None) -> Target:
    """The address and key as given, else the ready file's, else those of the `up` that runs on `data`.

    Raises typer.BadParameter where none of them is there.
    """
    if bool(url) != bool(key):
        raise typer.BadParameter("--url and --key (BURSAR_URL, BURSAR_API_KEY) belong together")
    ready = _ready(data, ready_file, needed=not url)
    quickbooks = ready.quickbooks if ready is not None and url in (None, "", ready.url) else None
    if url and key:
        return Target(url=url, key=key, quickbooks=quickbooks)
    assert ready is not None
    return Target(url=ready.url, key=ready.keys["admin"], quickbooks=quickbooks)


def _ready(data: Path, ready_file: Path | None, *, needed: bool) -> "ReadyInfo | None":
    from ops.up import NotRunningError, ReadyInfo, running

    if ready_file is not None:
        try:
            return msgspec.json.decode(ready_file.read_bytes(), type=ReadyInfo)
        except (OSError, msgspec.DecodeError) as error:
            raise typer.BadParameter(f"{ready_file} is no ready file: {error}") from None
    try:
        return running(data)
    except NotRunningError as error:
        if needed:
            raise typer.BadParameter(f"{error}; name a service by --url and --key, or start one") from None
        return None
