"""Where QuickBooks is, who we are there, and how hard we may press it."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, Self

import msgspec

NOT_CONNECTED: Final = ""
"""The realm of a tenant for which no company is named."""

_FIRST_REALM: Final = 9130_0000_0000_0000
_REALMS: Final = 10**12


class QuickBooksSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The real limits by default: 40 batches and 500 items a minute per company (Intuit's published ones).

    `throttle_seconds` is the wait where a 429 names none; `settle_seconds` is how long after a call was sent
    it may still be at work there, so that what is absent then never comes. Limits of None are none.
    """

    url: str
    access_token: str
    emulator: bool = False
    realms: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    timeout_seconds: float = 30.0
    throttle_seconds: float = 60.0
    settle_seconds: float = 60.0
    max_wait_seconds: float = 60.0
    batches_per_minute: int | None = 40
    items_per_minute: int | None = 500
    in_flight: int = 4

    @classmethod
    def for_emulator(cls, *, url: str, access_token: str) -> Self:
        """No limits and short waits, so that nobody waits for the emulator."""
        return cls(
            url=url,
            access_token=access_token,
            emulator=True,
            timeout_seconds=10.0,
            throttle_seconds=1.0,
            settle_seconds=1.0,
            max_wait_seconds=2.0,
            batches_per_minute=None,
            items_per_minute=None,
            in_flight=3,
        )

    def realm_for(self, tenant: str) -> str:
        """The tenant's company: the one named, else with the emulator a stable number made of its name."""
        if tenant in self.realms:
            return self.realms[tenant]
        if not self.emulator:
            return NOT_CONNECTED
        number = int.from_bytes(sha256(tenant.encode()).digest()[:8]) % _REALMS
        return str(_FIRST_REALM + number)

    @property
    def token_hash(self) -> bytes:
        """Tells one access token from another without storing either."""
        return sha256(self.access_token.encode()).digest()
