"""The receipt's token: what its QR code shows, and anybody can have checked."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Self

import msgspec


class ReceiptSigner(msgspec.Struct, frozen=True, kw_only=True):
    """Signs receipt tokens. The key is the same for all API processes of a store; `page_url` is the public page's."""

    key_id: str
    key: bytes
    page_url: str

    def token(self, tenant: str, number: str) -> str:
        """`{key id}.{tenant}.{receipt number}.{mac}`; the mac is over everything before its dot."""
        signed = f"{self.key_id}.{tenant}.{number}"
        mac = hmac.digest(self.key, signed.encode(), sha256)[:16]
        return f"{signed}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    def qr(self, tenant: str, number: str) -> str:
        """The address of the public page that checks the receipt."""
        return f"{self.page_url}/{self.token(tenant, number)}"

    def unsigned(self) -> Self:
        """One whose tokens never check, for receipts that are only shown."""
        return msgspec.structs.replace(self, key_id="dry-run", key=b"")

    def is_genuine(self, token: str, tenant: str, number: str) -> bool:
        """Whether a token is one that this key made for a receipt."""
        return hmac.compare_digest(token.encode(), self.token(tenant, number).encode())
