"""Tenants, their features and their keys: what a request needs before anything else."""

from typing import Any, Final

import msgspec
import psycopg

from projections.engine.fold import Fold, Projection
from projections.engine.reading import rows_of

_REGISTERED: Final = Fold("""
INSERT INTO tenants (tenant, country, currency, time_zone, legal_name, registered_at, position)
SELECT event ->> 'tenant', event ->> 'country', event ->> 'currency', event ->> 'time_zone', event ->> 'legal_name',
    (event ->> 'recorded_at')::timestamptz, position
FROM (
    SELECT notification_id AS position, convert_from(state, 'UTF8')::jsonb AS event
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = 'bursar.tenant.registered.v1'
    OFFSET 0
) AS stored
""")

_FEATURES_SET: Final = Fold("""
MERGE INTO tenant_features f
USING (
    SELECT DISTINCT ON (tenant, feature) tenant, event ->> 'feature' AS feature,
        (event ->> 'enabled')::boolean AS enabled, position
    FROM (
        SELECT split_part(originator_id, '/', 1) AS tenant, notification_id AS position,
            convert_from(state, 'UTF8')::jsonb AS event
        FROM events
        WHERE notification_id > %(after)s AND notification_id <= %(upto)s
            AND topic = 'bursar.tenant.feature_set.v1'
        OFFSET 0
    ) AS stored
    ORDER BY tenant, feature, position DESC
) AS s ON f.tenant = s.tenant AND f.feature = s.feature
WHEN MATCHED THEN UPDATE SET enabled = s.enabled, position = s.position
WHEN NOT MATCHED THEN INSERT (tenant, feature, enabled, position)
    VALUES (s.tenant, s.feature, s.enabled, s.position)
""")

_KEYS_ADDED: Final = Fold("""
INSERT INTO api_keys (key_hash, tenant, client, prefix, role, capabilities, expires_at, position)
SELECT decode(event ->> 'key_hash', 'hex'), tenant, event ->> 'client', event ->> 'prefix', event ->> 'role',
    ARRAY(SELECT jsonb_array_elements_text(event -> 'capabilities')), (event ->> 'expires_at')::timestamptz, position
FROM (
    SELECT split_part(originator_id, '/', 1) AS tenant, notification_id AS position,
        convert_from(state, 'UTF8')::jsonb AS event
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = 'bursar.tenant.key_added.v1'
    OFFSET 0
) AS stored
""")

# Each key ends with the first revocation after it.
_KEYS_REVOKED: Final = Fold("""
WITH revoked AS MATERIALIZED (
    SELECT split_part(originator_id, '/', 1) AS tenant, notification_id AS position,
        convert_from(state, 'UTF8')::jsonb AS event
    FROM events
    WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = 'bursar.tenant.key_revoked.v1'
)
UPDATE api_keys k
SET revoked_at = s.recorded_at
FROM (
    SELECT DISTINCT ON (a.key_hash, a.position) a.key_hash, a.position, (r.event ->> 'recorded_at')::timestamptz AS recorded_at
    FROM revoked r JOIN api_keys a
        ON a.tenant = r.tenant AND a.prefix = r.event ->> 'prefix' AND a.position < r.position
    WHERE a.revoked_at IS NULL
    ORDER BY a.key_hash, a.position, r.position
) AS s
WHERE k.key_hash = s.key_hash AND k.position = s.position
""")

PROJECTION: Final = Projection(
    name="tenants",
    tables=("tenants", "tenant_features", "api_keys"),
    folds=(_REGISTERED, _FEATURES_SET, _KEYS_ADDED, _KEYS_REVOKED),
)

KEY_TOPICS: Final = frozenset[str]().union(
    *(fold.topics for fold in (_FEATURES_SET, _KEYS_ADDED, _KEYS_REVOKED))
)
"""Whoever caches what a key may do forgets it when one of these was projected."""


_AUTHENTICATE: Final = """
SELECT tenant, client, prefix, capabilities, features,
    extract(epoch FROM expires_at - clock_timestamp())::float8 AS expires_in_seconds
FROM bursar_authenticate(%(hash)s)
"""


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """What a live key stands for. By the database's clock it `expires_in_seconds`, or did where they are negative."""

    tenant: str
    client: str
    prefix: str
    capabilities: list[str]
    expires_in_seconds: float | None
    features: list[str]


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant whose rows the transaction sees."""

    tenant: str
    country: str
    currency: str
    time_zone: str
    legal_name: str


async def authenticate(connection: psycopg.AsyncConnection[Any], key_hash: bytes) -> Credential | None:
    """The live key with this SHA-256, of whatever tenant; None where there is none or it was revoked."""
    found = await rows_of(connection, Credential, _AUTHENTICATE, {"hash": key_hash})
    return found[0] if found else None


async def tenant(connection: psycopg.AsyncConnection[Any]) -> Tenant | None:
    """The tenant that the transaction has set, or None where it is not projected yet."""
    found = await rows_of(
        connection, Tenant, "SELECT tenant, country, currency, time_zone, legal_name FROM tenants", {}
    )
    return found[0] if found else None
