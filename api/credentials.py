"""API keys: who calls, for which tenant, with which capabilities."""

import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from api.errors import ApiError
from api.exchange import Exchange
from domain.capability import Capability
from domain.errors import Code

MAX_CACHED_CREDENTIALS: Final = 10_000


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A live key. `expires`, where it does, is in monotonic seconds; `features` are those that are on for its tenant."""

    tenant: str
    client: str
    prefix: str
    capabilities: frozenset[str]
    expires: float | None
    features: frozenset[str]

    @property
    def actor(self) -> str:
        """Who acts, as the audit names it."""
        return f"{self.client}/{self.prefix}"


class Authenticator:
    """Looks keys up by their hash, and keeps what it found until told that keys or features changed.

    While `trusted` is false (nobody listens for such changes) every request looks its key up anew.
    """

    def __init__(self, look_up: Callable[[bytes], Awaitable[Credential | None]]) -> None:
        self._look_up = look_up
        self._cache: dict[bytes, Credential] = {}
        self._positions: dict[str, int] = {}
        self._generation = 0
        self.trusted = False

    def forget(self) -> None:
        """Drop what is cached: keys or features changed."""
        self._generation += 1
        self._cache.clear()

    async def authenticate(self, exchange: Exchange) -> Credential:
        """The caller's credential, which the exchange now knows. Raises `ApiError` (`unauthenticated`)."""
        authorization = exchange.headers.get(b"authorization", b"")
        credential = self._cached(authorization)
        if credential is None:
            credential = await self._authenticate(authorization)
        exchange.tenant = credential.tenant
        exchange.client = credential.client
        return credential

    async def _authenticate(self, authorization: bytes) -> Credential:
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not key.strip():
            raise ApiError(Code.UNAUTHENTICATED, "Send `Authorization: Bearer KEY`.")
        generation = self._generation
        credential = await self._look_up(sha256(key.strip()).digest())
        if credential is None or _expired(credential):
            raise ApiError(Code.UNAUTHENTICATED, "The key is unknown, was revoked or has expired.")
        # What was looked up before a change was announced must not outlive it.
        if generation == self._generation:
            if len(self._cache) >= MAX_CACHED_CREDENTIALS:
                self._cache.clear()
            self._cache[authorization] = credential
        return credential

    def _cached(self, authorization: bytes) -> Credential | None:
        """The live credential of an Authorization header, if it is known without asking the database."""
        credential = self._cache.get(authorization)
        if credential is None or not self.trusted or _expired(credential):
            return None
        return credential

    def wrote(self, credential: Credential, position: int) -> None:
        """Remember the last position that a credential wrote through this process."""
        if position > self._positions.get(credential.prefix, 0):
            self._positions[credential.prefix] = position

    def last_written(self, credential: Credential) -> int:
        """The position that a credential's reads must have reached, so that it sees its own writes."""
        return self._positions.get(credential.prefix, 0)


def _expired(credential: Credential) -> bool:
    return credential.expires is not None and credential.expires <= time.monotonic()


def check_feature(credential: Credential) -> None:
    """Refuse a tenant whose ledger is off (`feature_disabled`)."""
    if "FINANCE_V2" not in credential.features:
        raise ApiError(Code.FEATURE_DISABLED, "FINANCE_V2 is off for this tenant.")


def check_capability(credential: Credential, capability: Capability) -> None:
    """Refuse what the credential may not do (`capability_missing`), naming it; first whether there is a ledger."""
    check_feature(credential)
    if capability not in credential.capabilities:
        raise ApiError(
            Code.CAPABILITY_MISSING, f"This needs the capability {capability}.", capability=capability
        )


def check_any(credential: Credential, capabilities: Sequence[Capability]) -> None:
    """Refuse what needs one of some capabilities, of which the credential has none; the last of them is named."""
    held = [capability for capability in capabilities if capability in credential.capabilities]
    check_capability(credential, (held or capabilities)[-1])
