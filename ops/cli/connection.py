"""Which database or service a command talks to: what it names, what the environment names, or a running `up`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from ops.cli.output import USAGE, fail
from ops.up.ready_file import NotRunningError, ReadyInfo, running

if TYPE_CHECKING:  # pydantic would slow the start of every command
    from ops.settings import Settings

DEFAULT_DATA: Final = Path(".bursar")
"""Where `up` keeps everything unless told otherwise."""

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Talk to the `bursar up` that runs on this folder.",
        show_default=f"{DEFAULT_DATA}, where the environment names nothing",
    ),
]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="The service's address.", show_default="BURSAR_URL")
]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="An API key of the school.", show_default="BURSAR_API_KEY")
]


# --- databases


def settings_for(data: Path | None, *needed: str) -> "Settings":
    """Settings of which none in `needed` is missing.

    They are those of the `up` on `data` where that is given, else the environment's, else, where the environment
    names none of the databases needed, those of the `up` that runs here: two sources are never mixed. Ends the
    command with exit code 2, naming all that are missing. What is logged while it runs is a warning at least.
    """
    from ops import logs

    settings = environment_settings()
    if data is not None:
        settings = _of_up(settings, data, running_or_fail(data))
    elif not any(getattr(settings, name) for name in needed if name.endswith("database_url")):
        try:
            settings = _of_up(settings, DEFAULT_DATA, running(DEFAULT_DATA))
        except NotRunningError:
            _check(settings, needed, none_runs=True)
    _check(settings, needed)
    logs.configure(process="bursar", default="warning")
    return settings


def environment_settings() -> "Settings":
    """The environment's settings. Ends the command with exit code 2 where one of them is malformed."""
    from pydantic import ValidationError

    from ops.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        fail(f"BURSAR_{str(first['loc'][0]).upper()}: {first['msg']}", code=USAGE)


def running_or_fail(data: Path) -> ReadyInfo:
    """How to reach the `up` on a folder. Ends the command with exit code 2 where none runs."""
    try:
        return running(data)
    except NotRunningError as error:
        fail(str(error), code=USAGE)


def _of_up(settings: "Settings", data: Path, ready: ReadyInfo) -> "Settings":
    urls = {f"{role.removeprefix('bursar_')}_database_url": url for role, url in ready.database_urls.items()}
    kept = msgspec.json.decode((data / "secrets.json").read_bytes())
    return settings.model_copy(
        update={
            **urls,
            "database_url": ready.database_url,
            "receipt_key": settings.receipt_key or kept["receipt_key"],
            "snapshot_key": settings.snapshot_key or kept["snapshot_key"],
            "public_url": ready.url,
            "quickbooks_url": ready.quickbooks.url,
            "quickbooks_access_token": ready.quickbooks.access_token,
            "quickbooks_emulator": True,
        }
    )


def _check(settings: "Settings", needed: tuple[str, ...], *, none_runs: bool = False) -> None:
    missing = [name for name in needed if not getattr(settings, name)]
    if not missing:
        return
    names = [f"BURSAR_{name.upper()}" for name in missing]
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    hint = (
        f", and no `bursar up` runs on {DEFAULT_DATA}: start one, or give --data DIR of one that runs"
        if none_runs
        and not any(name.startswith("kafka_") for name in missing)  # a broker is nobody's but the user's
        else ""
    )
    fail(f"{listed} {'is' if len(missing) == 1 else 'are'} not set{hint}", code=USAGE)


# --- services


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A service and a key for it; `up` where it is the service of a running `bursar up`."""

    url: str
    key: str
    up: ReadyInfo | None = None


def find_target(
    url: str | None, key: str | None, data: Path | None, ready_file: Path | None = None
) -> Target:
    """What the ready file says where one is named, else the address and key given, else the `up` on `data`.

    An address or a key that is not given is the environment's, unless `data` is given alone. Raises
    typer.BadParameter where nothing names a service.
    """
    if ready_file is not None:
        try:
            return _target(msgspec.json.decode(ready_file.read_bytes(), type=ReadyInfo))
        except (OSError, msgspec.DecodeError) as error:
            raise typer.BadParameter(f"{ready_file} is not a ready file: {error}") from None
    if data is None or url or key:
        url, key = url or os.environ.get("BURSAR_URL"), key or os.environ.get("BURSAR_API_KEY")
    if bool(url) != bool(key):
        raise typer.BadParameter("--url and --key (BURSAR_URL, BURSAR_API_KEY) belong together")
    try:
        ready = running(data or DEFAULT_DATA)
    except NotRunningError as error:
        if url and key:
            return Target(url=url, key=key)
        raise typer.BadParameter(f"{error}; name a service by --url and --key, or start one") from None
    if url and key:
        return Target(url=url, key=key, up=ready if url.rstrip("/") == ready.url else None)
    return _target(ready)


def _target(ready: ReadyInfo) -> Target:
    return Target(url=ready.url, key=ready.keys["admin"], up=ready)
