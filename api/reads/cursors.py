"""Cursors of lists: opaque to clients, and taken back only from the list that gave them."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Any, Final, TypeVar

import msgspec

from api.errors import ApiError, FieldError, invalid_request

_K = TypeVar("_K")

_LABEL: Final = b"bursar: cursors of lists"
_MAC_BYTES: Final = 16


class Listing(msgspec.Struct, frozen=True, array_like=True):
    """One list: its name, whose it is, and by what it is filtered (JSON)."""

    name: str
    tenant: str
    filters: str


class Cursors:
    """Makes cursors of keys, and keys of cursors.

    A cursor is a key with a MAC over list and key. Its secret comes from the receipts', so that all API
    processes of a store agree on it.
    """

    def __init__(self, receipt_key: bytes) -> None:
        self._secret = hmac.digest(receipt_key, _LABEL, "sha256")

    def make(self, listing: Listing, key: Any) -> str:
        """The cursor of what follows a key."""
        return self._make(listing, msgspec.json.encode(key))

    def key(self, cursor: str, listing: Listing, kind: type[_K]) -> _K:
        """The key in a cursor. Raises `ApiError` (`invalid_request`) where this list has not given it."""
        try:
            key = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))[_MAC_BYTES:]
        except Error:
            raise _unknown() from None
        if not hmac.compare_digest(self._make(listing, key), cursor):
            raise _unknown()
        return msgspec.json.decode(key, type=kind)

    def _make(self, listing: Listing, key: bytes) -> str:
        mac = hmac.digest(self._secret, msgspec.json.encode(listing) + key, "sha256")[:_MAC_BYTES]
        return urlsafe_b64encode(mac + key).rstrip(b"=").decode()


def _unknown() -> ApiError:
    return invalid_request(
        FieldError("/query/cursor", "This list has not given this cursor, or not with these filters.")
    )
