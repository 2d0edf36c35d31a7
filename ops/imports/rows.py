"""What a file's rows become before anything is sent: entries to be posted, rejections, and what is passed over."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal

import msgspec

from api.validation import errors_in
from application.commands import COMMANDS
from ops.http_client import Element


class RowError(Exception):
    """The row cannot be posted; the message is the reason, `kind` the same without what is this row's own."""

    def __init__(self, reason: str, *, kind: str = "") -> None:
        super().__init__(reason)
        self.kind = kind or reason


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was not posted, and why. `amount_minor` is None where its amount could not be read.

    `key` is the idempotency key that it has if it is mended and imported from the file of rejected rows; empty where
    the mended row tells its key itself.
    """

    line: int
    reason: str
    kind: str
    amount_minor: int | None = None
    key: str = ""


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is nothing to be posted: a blank one, or one that is not a receipt."""

    kind: Literal["blank", "not_receipt"]
    reason: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row to be posted: `elements` in order, the last of which is the row itself; `key` as of its rejection.

    `values_hash` is of the row's values alone, in 16 hexadecimal digits: the same in whatever file. `reading` is the hash
    of the row as it stands there, and that of what was read of it and enters its key; empty where options make no
    difference to its key.
    """

    line: int
    lane: str
    amount_minor: int
    elements: tuple[Element, ...]
    key: str = ""
    values_hash: str = "0" * 16
    reading: str = ""


Row = Entry | Rejection | Skipped


def hash_of(*values: str | int | tuple[str, ...]) -> str:
    """The hash of a row's values."""
    return sha256(msgspec.json.encode(values)).hexdigest()[:16]


def element(action: str, *, key: str, data: Mapping[str, Any]) -> Element:
    """An element whose data has the shape of its command. Raises RowError where the API would refuse it.

    A row is refused before anything of it is sent: an earlier element would be accepted all the same.
    """
    command_type = COMMANDS[action].command_type
    try:
        msgspec.convert(data, command_type)
    except msgspec.ValidationError:
        first = errors_in(msgspec.json.encode(data), command_type)[0]
        raise RowError(f"{first.pointer.rpartition('/')[2]}: {first.detail}") from None
    return Element(action=action, idempotency_key=key, data=data)
