"""Tax codes: those that a school has changed, beside those of its country's template."""

from typing import Any, Final

import msgspec
import psycopg

from domain.tax import DatedTaxCode, codes_of
from projections.engine.fold import Fold, Projection
from projections.engine.reading import rows_of
from projections.views import tenants

_SET: Final = Fold("""
MERGE INTO finance_tax_codes f
USING (
    SELECT DISTINCT ON (tenant, event ->> 'code') tenant, event ->> 'code' AS code, event ->> 'name' AS name,
        event -> 'components' AS components, position
    FROM (
        SELECT split_part(originator_id, '/', 1) AS tenant, notification_id AS position,
            convert_from(state, 'UTF8')::jsonb AS event
        FROM events
        WHERE notification_id > %(after)s AND notification_id <= %(upto)s
            AND topic = 'bursar.tenant.tax_code_set.v1'
        OFFSET 0
    ) AS stored
    ORDER BY tenant, event ->> 'code', position DESC
) AS s ON f.tenant = s.tenant AND f.code = s.code
WHEN MATCHED THEN UPDATE SET name = s.name, components = s.components, position = s.position
WHEN NOT MATCHED THEN INSERT (tenant, code, name, components, position)
    VALUES (s.tenant, s.code, s.name, s.components, s.position)
""")

PROJECTION: Final = Projection(name="tax_codes", tables=("finance_tax_codes",), folds=(_SET,))

_CHANGED: Final = "SELECT code, name, components FROM finance_tax_codes ORDER BY code"


class TaxCodes(msgspec.Struct, frozen=True):
    """The school's tax codes."""

    data: list[DatedTaxCode]


async def tax_codes(connection: psycopg.AsyncConnection[Any]) -> TaxCodes:
    """Every code of the tenant, the template's first."""
    school = await tenants.tenant(connection)
    assert school is not None
    changed = {code.code: code for code in await rows_of(connection, DatedTaxCode, _CHANGED, {})}
    return TaxCodes([*codes_of(school.country, changed)])
