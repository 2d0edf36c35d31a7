"""The receipt's token: what its QR code shows, and anybody can have checked."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

import msgspec


class ReceiptSigner(msgspec.Struct, frozen=True, kw_only=True):
    """Signs receipt tokens. The key is the same for all API processes of a store."""

    key_id: str
    key: bytes
    public_url: str

    def token(self, tenant: str, number: str) -> str:
        """`{key id}.{tenant}.{receipt number}.{mac}`; the mac is over everything before its dot."""
        signed = f"{self.key_id}.{tenant}.{number}"
        mac = hmac.digest(self.key, signed.encode(), sha256)[:16]
        return f"{signed}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    def qr(self, tenant: str, number: str) -> str:
        """The address of the public page that checks the receipt."""
        return f"{self.public_url}/v2/finance/receipts/{self.token(tenant, number)}"

    def is_genuine(self, token: str, tenant: str, number: str) -> bool:
        """Whether a token is one that this key made for a receipt."""
        return hmac.compare_digest(token.encode(), self.token(tenant, number).encode())
