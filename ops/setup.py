"""Set-up: the schema, the school that `bursar up` is seeded with, and the operator's own commands."""

import asyncio
import getpass
import json
import os
import secrets
import time
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg

from adapters.postgres.migrations import migrate
from adapters.postgres.store import PostgresStore
from adapters.quickbooks.settings import QuickBooksSettings
from adapters.system.files import write_atomically
from application.commands import COMMANDS, tenants
from application.pipeline.command import Command, Envelope, Outcome
from application.pipeline.writer import Writer
from domain.calendar import EARLIEST_EFFECTIVE_DATE
from domain.errors import Code, DomainError
from domain.ids import uuid7
from domain.receipt import ReceiptSigner
from projections.engine.registry import REFLECTED

__all__ = [
    "COMMANDS",
    "Seeded",
    "create_key",
    "execute",
    "migrate",
    "seed",
    "tenant_of_key",
    "wait_until_projected",
]

SEEDED_TENANT: Final = "greenhill"
SEEDED_ROLES: Final = ("admin", "cashier", "auditor")
PREFIX_LENGTH: Final = 11
_UNUSED_SIGNER: Final = ReceiptSigner(key_id="none", key=b"", page_url="")


class Seeded(msgspec.Struct, frozen=True, kw_only=True):
    """The seeded school, a key for each of its clients, and its company in the QuickBooks emulator."""

    tenant: str
    keys: dict[str, str]
    realm: str


def new_key() -> str:
    """A new API key of 256 random bits. Its first characters are its prefix, by which it is named."""
    return f"bk_{secrets.token_urlsafe(32)}"


def execute(writer_url: str, tenant: str, action: str, command: Command, *, reason: str = "") -> Outcome:
    """Give one command as the operator at the command line. Raises `DomainError`."""
    (outcome,) = _submit(writer_url, [_envelope(tenant, action, command, reason=reason)])
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _envelope(tenant: str, action: str, command: Command, *, reason: str = "") -> Envelope:
    return Envelope(
        spec=COMMANDS[action],
        command=command,
        command_id=uuid7(time.time_ns() // 1_000_000, os.urandom(10)),
        tenant=tenant,
        client="operator",
        actor=f"operator/{getpass.getuser()}",
        reason=reason,
        correlation_id=f"cli-{os.getpid()}",
    )


def _submit(writer_url: str, envelopes: Sequence[Envelope]) -> list[Outcome | BaseException]:
    """Give commands in this order, through one writer; return what became of each."""

    async def submit() -> list[Outcome | BaseException]:
        # None of the operator's commands issues a receipt, so no key is needed here.
        writer = Writer(PostgresStore(writer_url), receipts=_UNUSED_SIGNER)
        writer.start()
        try:
            return await asyncio.gather(*await writer.submit_all(envelopes), return_exceptions=True)
        finally:
            await writer.close()

    return asyncio.run(submit())


def create_key(
    writer_url: str, tenant: str, client: str, role: str, *, expires_at: datetime | None = None
) -> tuple[str, Outcome]:
    """Create a key and return it; only its hash is kept. Raises `DomainError`."""
    key = new_key()
    return key, execute(
        writer_url, tenant, "key.create", _key_command(key, client, role, expires_at=expires_at)
    )


def _key_command(key: str, client: str, role: str, *, expires_at: datetime | None = None) -> Command:
    return msgspec.convert(key_fields(key, client, role, expires_at=expires_at), tenants.CreateKey)


def key_fields(key: str, client: str, role: str, *, expires_at: datetime | None = None) -> dict[str, Any]:
    """The fields of the command that gives a client a key; the key itself is not among them."""
    return {
        "client": client,
        "prefix": key[:PREFIX_LENGTH],
        "key_hash": sha256(key.encode()).hexdigest(),
        "role": role,
        "expires_at": expires_at,
    }


def tenant_of_key(projector_url: str, prefix: str) -> str | None:
    """Whose key has a prefix; None where no live key has it."""
    with psycopg.connect(projector_url) as connection:
        row = connection.execute(
            "SELECT tenant FROM api_keys WHERE prefix = %s AND revoked_at IS NULL", (prefix,)
        ).fetchone()
    return None if row is None else str(row[0])


def wait_until_projected(reader_url: str, position: int, *, seconds: float = 10.0) -> bool:
    """Wait until every projection has reached a position, so that the API knows of it; False if it is too slow."""
    deadline = time.monotonic() + seconds
    with psycopg.connect(reader_url, autocommit=True) as connection:
        connection.execute("LISTEN bursar_projected")
        while time.monotonic() < deadline:
            row = connection.execute(REFLECTED).fetchone()
            if row is not None and (row[0] or 0) >= position:
                return True
            for _ in connection.notifies(timeout=0.5, stop_after=1):
                pass
    return False


def seed(writer_url: str, data: Path) -> Seeded:
    """Register the seeded school and its keys, or find them as they were; safe to repeat after any crash.

    The keys lie in a file that only its owner reads, written before they are registered, so that no key
    is ever live that nobody has.
    """
    path = data / "keys.json"
    if path.exists():
        keys: dict[str, str] = json.loads(path.read_text())
    else:
        keys = {role: new_key() for role in SEEDED_ROLES}
        write_atomically(path, json.dumps(keys).encode())
    school = tenants.RegisterTenant(
        country="KE", legal_name="Greenhill Academy", tax_registered_from=EARLIEST_EFFECTIVE_DATE
    )
    envelopes = [
        _envelope(SEEDED_TENANT, "tenant.register", school),
        *(
            _envelope(SEEDED_TENANT, "key.create", _key_command(key, role, role))
            for role, key in keys.items()
        ),
    ]
    for outcome in _submit(writer_url, envelopes):
        known = isinstance(outcome, DomainError) and outcome.code in {Code.TENANT_EXISTS, Code.KEY_EXISTS}
        if isinstance(outcome, BaseException) and not known:
            raise outcome
    realm = QuickBooksSettings.for_emulator(url="", access_token="").realm_for(SEEDED_TENANT)
    return Seeded(tenant=SEEDED_TENANT, keys=keys, realm=realm)
