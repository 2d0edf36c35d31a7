"""`bursar env` and `bursar whoami`: which service a shell talks to, and as whom."""

import shlex
from datetime import datetime
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from ops.cli.connection import (
    DEFAULT_DATA,
    DataOption,
    KeyOption,
    Target,
    UrlOption,
    environment_settings,
    find_target,
    running_or_fail,
)
from ops.cli.output import JsonOption, fail, print_json

if TYPE_CHECKING:
    from ops.cli.directory import ApiKey


def env(
    role: Annotated[str, typer.Option(help="Whose key: admin, cashier or auditor.")] = "admin",
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Print what a shell needs to talk to a running `bursar up`: eval "$(bursar env)"."""
    ready = running_or_fail(data or DEFAULT_DATA)
    if role not in ready.keys:
        raise typer.BadParameter(
            f"{role!r} has no key there; {', '.join(ready.keys)} have", param_hint="--role"
        )
    variables = {
        "BURSAR_URL": ready.url,
        "BURSAR_API_KEY": ready.keys[role],
        "BURSAR_AUDITOR_DATABASE_URL": ready.database_urls["bursar_auditor"],
    }
    if json:
        print_json(variables)
        return
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


class _Ping(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    version: str
    currency: str
    time_zone: str


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Which service answered, and what it knows a key as.

    The service says who the school is; what the key is stands in the read tables, and is None where they are
    out of reach.
    """

    url: str
    version: str
    tenant: str
    currency: str
    time_zone: str
    prefix: str
    client: str | None = None
    role: str | None = None
    capabilities: list[str] | None = None
    expires_at: datetime | None = None


def whoami(
    url: UrlOption = None, key: KeyOption = None, data: DataOption = None, json: JsonOption = False
) -> None:
    """Say which service answers, for which school, and what the key may do there.

    What the key is comes from the read tables: of the `bursar up` whose service it is, or by BURSAR_READER_DATABASE_URL.
    """
    from ops.http_client import ApiClient, ApiError, UnreachableError
    from ops.setup import PREFIX_LENGTH

    target = find_target(url, key, data)
    try:
        with ApiClient(target.url, target.key, give_up_seconds=0) as client:
            ping = msgspec.convert(client.get("ping").body, _Ping)
    except (ApiError, UnreachableError) as error:
        fail(str(error))
    except msgspec.ValidationError as error:
        fail(f"{target.url} answers, but not as Bursar does: {error}")
    row = _key_row(target, ping.tenant)
    identity = Identity(
        url=target.url,
        version=ping.version,
        tenant=ping.tenant,
        currency=ping.currency,
        time_zone=ping.time_zone,
        prefix=target.key[:PREFIX_LENGTH],
        client=row.client if row else None,
        role=row.role if row else None,
        capabilities=row.capabilities if row else None,
        expires_at=row.expires_at if row else None,
    )
    if json:
        print_json(identity)
    else:
        _show(identity)


def _key_row(target: Target, tenant: str) -> "ApiKey | None":
    from ops.cli import directory

    reader_url = (
        target.up.database_urls["bursar_reader"] if target.up else environment_settings().reader_database_url
    )
    return directory.key_of(reader_url, tenant, target.key) if reader_url else None


def _show(identity: Identity) -> None:
    print(f"service   {identity.url}, version {identity.version}")
    print(f"school    {identity.tenant}, {identity.currency}, {identity.time_zone}")
    if identity.client is None:
        print(
            f"key       {identity.prefix}; what it may do stands in the read tables, which are out of reach:"
        )
        print("          set BURSAR_READER_DATABASE_URL, or give --data DIR of a running `bursar up`")
        return
    ends = "never expires" if identity.expires_at is None else f"expires {identity.expires_at.isoformat()}"
    print(f"key       {identity.prefix} of client {identity.client}, {ends}")
    rights = ", ".join(identity.capabilities or ())
    print(f"role      {identity.role}")
    print(fill(rights, initial_indent="may do    ", subsequent_indent=" " * 10, break_on_hyphens=False))
