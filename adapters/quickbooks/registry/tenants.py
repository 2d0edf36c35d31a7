"""What the exporter knows of each school, and which schools have something to send."""

from typing import Final

import msgspec


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A school whose messages are registered. `chart` maps roles to account codes; `taxed`: it is registered for tax."""

    tenant: str
    realm: str
    chart: dict[str, str]
    taxed: bool


LOCK: Final = """
    SELECT tenant, realm, chart, taxed FROM finance_export_tenants WHERE tenant = ANY(%(tenants)s)
    ORDER BY tenant FOR NO KEY UPDATE
"""
"""Read schools as `Tenant`, locked until the registration commits.

A sender that names the company, or pauses the tenant, comes before it or after it, so that it sees all that
was registered, or what is registered sees it.
"""

INSERT: Final = """
    INSERT INTO finance_export_tenants (tenant, realm, name, country, currency, chart, taxed)
    VALUES (%(tenant)s, %(realm)s, %(name)s, %(country)s, %(currency)s, '{}', %(taxed)s) ON CONFLICT (tenant) DO NOTHING
"""
"""Note a school; its chart comes with its own event."""

SET_CHART: Final = """
    UPDATE finance_export_tenants SET chart = %(chart)s::jsonb WHERE tenant = %(tenant)s
"""
"""Note which account codes stand for which roles from now on."""

CONNECT: Final = "UPDATE finance_export_tenants SET realm = %(realm)s WHERE tenant = %(tenant)s"
"""Name a school's company."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A school with open batches; `last_position` is the position of the last of them.

    `paused`: until a person has acted, who now has. `away`: QuickBooks did not answer the last time.
    """

    tenant: str
    realm: str
    name: str
    country: str
    currency: str
    chart: dict[str, str]
    taxed: bool
    last_position: int
    paused: bool
    away: bool


SELECT_WORK: Final = """
    SELECT t.tenant, t.realm, t.name, t.country, t.currency, t.chart, t.taxed, max(b.position) AS last_position,
        t.paused_reason IS NOT NULL AND t.paused_token IS NOT NULL AS paused,
        t.paused_reason IS NOT NULL AND t.paused_token IS NULL AS away
    FROM finance_export_batches b JOIN finance_export_tenants t ON t.tenant = b.tenant
    WHERE (b.status IN ('queued', 'running') OR (b.status = 'needs_attention' AND t.paused_reason IS NOT NULL))
        AND (t.paused_reason IS NULL OR t.paused_token IS DISTINCT FROM %(token)s)
    GROUP BY t.tenant ORDER BY t.tenant
"""
"""Read what there is to do as `Work`.

A pause under an access token waits for a person, or for another token; one without is only a matter of time.
"""

PAUSE: Final = """
    UPDATE finance_export_tenants SET paused_reason = %(reason)s, paused_token = %(token)s
    WHERE tenant = %(tenant)s
"""
"""Stop sending for a school, and say why. Without a token, until QuickBooks answers."""

LIFT_PAUSE: Final = """
    UPDATE finance_export_tenants SET paused_reason = NULL, paused_token = NULL
    WHERE tenant = %(tenant)s AND paused_reason IS NOT NULL
"""
"""Send again for a school."""
