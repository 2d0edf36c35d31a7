"""Which service a command talks to: the one named, or the one that `bursar up` runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

if TYPE_CHECKING:  # it brings the database's libraries, which would slow the start of every command
    from ops.up.plan import QuickBooksInfo, ReadyInfo

Url = Annotated[str | None, typer.Option(envvar="BURSAR_URL", help="The service's address.")]
Key = Annotated[str | None, typer.Option(envvar="BURSAR_API_KEY", help="An API key of the tenant.")]
Data = Annotated[Path, typer.Option(help="Without --url and --key: the directory of a running `bursar up`.")]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A service and a key for it; `quickbooks` where it is known."""

    url: str
    key: str
    quickbooks: "QuickBooksInfo | None" = None


def find_target(url: str | None, key: str | None, data: Path, ready_file: Path | None = None) -> Target:
    """What the ready file says where one is named, else the address and key given, else the `up` on `data`.

    Raises typer.BadParameter where none of them is there.
    """
    from ops.up.plan import NotRunningError, ReadyInfo, running

    if ready_file is not None:
        try:
            return _target(msgspec.json.decode(ready_file.read_bytes(), type=ReadyInfo))
        except (OSError, msgspec.DecodeError) as error:
            raise typer.BadParameter(f"{ready_file} is no ready file: {error}") from None
    if bool(url) != bool(key):
        raise typer.BadParameter("--url and --key (BURSAR_URL, BURSAR_API_KEY) belong together")
    try:
        ready = running(data)
    except NotRunningError as error:
        if url and key:
            return Target(url=url, key=key)
        raise typer.BadParameter(f"{error}; name a service by --url and --key, or start one") from None
    if url and key:
        own = url.rstrip("/") == ready.url
        return Target(url=url, key=key, quickbooks=ready.quickbooks if own else None)
    return _target(ready)


def _target(ready: "ReadyInfo") -> Target:
    return Target(url=ready.url, key=ready.keys["admin"], quickbooks=ready.quickbooks)
