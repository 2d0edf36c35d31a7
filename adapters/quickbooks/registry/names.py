"""Names and their ids in QuickBooks: accounts and items (by account code), customers (by wallet or payer)."""

from typing import Any, Final

import msgspec

from projections.views.export_reasons import ExportReason

# --- registering them


class LedgerAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an account: all that QuickBooks' account is made of."""

    name: str
    type: str
    role: str


class NewName(msgspec.Struct, frozen=True, kw_only=True):
    """A name that documents may refer to. `attributes` is JSON, for an account a `LedgerAccount`."""

    tenant: str
    realm: str
    kind: str
    key: str
    attributes: str = "{}"


INSERT: Final = """
    INSERT INTO finance_export_map (tenant, realm, kind, key, attributes)
    SELECT tenant, realm, kind, key, attributes::jsonb
    FROM unnest(%(tenant)s::text[], %(realm)s::text[], %(kind)s::text[], %(key)s::text[], %(attributes)s::text[])
        AS n (tenant, realm, kind, key, attributes)
    ON CONFLICT (tenant, realm, kind, key) DO NOTHING
"""
"""Note `NewName`s; a name that is known keeps its id."""

CONNECT: Final = """
    UPDATE finance_export_map SET realm = %(realm)s WHERE tenant = %(tenant)s AND realm = ''
"""
"""Give names that were registered before a company was named their company."""

# --- making them


class MappedName(msgspec.Struct, frozen=True, kw_only=True):
    """A name and its id, None while QuickBooks has none."""

    key: str
    attributes: dict[str, Any]
    quickbooks_id: str | None


SELECT: Final = """
    SELECT key, attributes, quickbooks_id FROM finance_export_map
    WHERE tenant = %(tenant)s AND realm = %(realm)s AND kind = %(kind)s ORDER BY key
"""
"""Read the names of a kind as `MappedName`."""


class WantedCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """A customer without whom a document cannot be sent."""

    customer: str


SELECT_WANTED_CUSTOMERS: Final = """
    WITH wanted AS MATERIALIZED (
        SELECT DISTINCT customer FROM finance_export_jobs
        WHERE tenant = %(tenant)s AND state = 'blocked' AND position <= %(last_position)s
            AND customer IS NOT NULL
    )
    SELECT w.customer FROM wanted w
    CROSS JOIN LATERAL (
        SELECT FROM finance_export_map m
        WHERE m.tenant = %(tenant)s AND m.realm = %(realm)s AND m.kind = 'Customer' AND m.key = w.customer
            AND m.quickbooks_id IS NULL AND m.error IS NULL
        LIMIT 1
    ) AS missing
    ORDER BY w.customer
"""
"""Read the customers to be made as `WantedCustomer`.

Looked up name by name: without statistics, as after a large import, a join would read the map for each row.
"""


class MadeName(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one name: QuickBooks' id, or why there is none."""

    key: str
    quickbooks_id: str | None = None
    reason: ExportReason | None = None
    error: str | None = None


SET: Final = """
    UPDATE finance_export_map m SET quickbooks_id = n.quickbooks_id, reason = n.reason, error = n.error
    FROM unnest(%(key)s::text[], %(quickbooks_id)s::text[], %(reason)s::text[], %(error)s::text[])
        AS n (key, quickbooks_id, reason, error)
    WHERE m.tenant = %(tenant)s AND m.realm = %(realm)s AND m.kind = %(kind)s AND m.key = n.key
"""
"""Note what came of `MadeName`s."""

FORGET_ERRORS: Final = """
    UPDATE finance_export_map SET reason = NULL, error = NULL WHERE tenant = %(tenant)s AND error IS NOT NULL
"""
"""Try names again that could not be made."""
