"""What a running `bursar up` tells of itself, and how another command finds it."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from adapters.system.files import write_atomically
from adapters.system.processes import start_time


class QuickBooksInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where the emulator is, the company in it, and the token that it takes."""

    url: str
    realm: str
    access_token: str


class ReadyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """All that a client, a test or another command needs to reach a running service. Full of secrets."""

    url: str
    tenant: str
    keys: Mapping[str, str]
    quickbooks: QuickBooksInfo
    database_url: str
    database_urls: Mapping[str, str]
    pids: Mapping[str, int]


class NotRunningError(Exception):
    """No `up` runs on that data folder."""


class _Noted(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `up.json`; with the pid and start time of `up` a stale one is told from a valid one."""

    started: int
    ready: ReadyInfo


def running(data: Path) -> ReadyInfo:
    """Return how to reach the service that `up` runs on `data`. Raises NotRunningError if none does."""
    note = data / "up.json"
    try:
        noted = msgspec.json.decode(note.read_bytes(), type=_Noted)
    except FileNotFoundError as error:
        raise NotRunningError(f"no bursar up runs on {data}: there is no {note}") from error
    if start_time(noted.ready.pids["up"]) != noted.started:
        raise NotRunningError(f"the bursar up that ran on {data} has ended")
    return noted.ready


def note(data: Path, info: ReadyInfo) -> None:
    """Tell other commands how to reach this process, which is the `up` on `data`."""
    started = start_time(os.getpid())
    assert started is not None
    write_atomically(data / "up.json", msgspec.json.encode(_Noted(started=started, ready=info)))
