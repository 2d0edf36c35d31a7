"""Which schools and keys there are, as the read tables say. A key's hash is never read."""

from datetime import datetime
from typing import Final, Literal

import msgspec
import psycopg
from psycopg.rows import class_row


class School(msgspec.Struct, frozen=True, kw_only=True):
    """A registered school, and which features are on."""

    tenant: str
    legal_name: str
    country: str
    currency: str
    time_zone: str
    features: list[str]
    registered_at: datetime


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key, named by its first characters."""

    prefix: str
    tenant: str
    client: str
    role: str
    capabilities: list[str]
    status: Literal["live", "expired", "revoked"]
    expires_at: datetime | None


_SCHOOLS: Final = """
SELECT t.tenant, t.legal_name, t.country, t.currency, t.time_zone, t.registered_at,
    ARRAY(SELECT f.feature FROM tenant_features f WHERE f.tenant = t.tenant AND f.enabled ORDER BY f.feature)
        AS features
FROM tenants t ORDER BY t.tenant
"""
_KEYS: Final = """
SELECT prefix, tenant, client, role, capabilities, expires_at,
    CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() THEN 'expired' ELSE 'live' END AS status
FROM api_keys
"""
_ALL_KEYS: Final = (
    f"{_KEYS} WHERE %(tenant)s::text IS NULL OR tenant = %(tenant)s ORDER BY tenant, client, position"
)
# The first that was added with a hash is the one that the API obeys.
_KEY: Final = f"{_KEYS} WHERE key_hash = sha256(%(key)s) ORDER BY position LIMIT 1"


def schools(projector_url: str) -> list[School]:
    """Every school, by name."""
    with psycopg.connect(projector_url) as connection:
        return connection.cursor(row_factory=class_row(School)).execute(_SCHOOLS).fetchall()


def keys(projector_url: str, tenant: str | None) -> list[ApiKey]:
    """Every key of a school, or of all, in the order of their clients and of their making."""
    with psycopg.connect(projector_url) as connection:
        cursor = connection.cursor(row_factory=class_row(ApiKey))
        return cursor.execute(_ALL_KEYS, {"tenant": tenant}).fetchall()


def key_of(reader_url: str, tenant: str, key: str) -> ApiKey | None:
    """What a key of a school is; None where the read tables do not have it."""
    with psycopg.connect(reader_url) as connection:
        connection.execute("SELECT set_config('bursar.tenant', %s, true)", (tenant,))
        cursor = connection.cursor(row_factory=class_row(ApiKey))
        return cursor.execute(_KEY, {"key": key.encode()}).fetchone()
