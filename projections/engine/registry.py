"""All projections, and how far each has come."""

from typing import Any, Final, LiteralString

import msgspec
import psycopg

from projections.engine.fold import Projection
from projections.engine.reading import rows_of
from projections.views import (
    exports,
    imports,
    invoices,
    ledger,
    receipts,
    sales,
    tax_codes,
    tenants,
    wallets,
)

PROJECTIONS: Final[tuple[Projection, ...]] = (
    tenants.PROJECTION,
    ledger.PROJECTION,
    wallets.PROJECTION,
    invoices.PROJECTION,
    receipts.PROJECTION,
    sales.PROJECTION,
    exports.PROJECTION,
    imports.PROJECTION,
    tax_codes.PROJECTION,
)


HOLD_STILL: Final = f"LOCK TABLE {PROJECTIONS[0].tables[0]} IN ACCESS SHARE MODE"
"""Before a read's snapshot is taken: it waits for the switch of a rebuild, which locks this table first, and not later,
where it would see the new tables as they were before the switch: empty.
"""


_NAMES: Final[LiteralString] = "'), ('".join(sorted(projection.name for projection in PROJECTIONS))
# Of each row the newest version is found first, however many older ones a held snapshot keeps.
POSITIONS: Final = f"""
SELECT n.name, p.position FROM (VALUES ('{_NAMES}')) AS n (name) CROSS JOIN LATERAL (
    SELECT position FROM projection_positions WHERE name = n.name ORDER BY position DESC LIMIT 1
) AS p
"""  # noqa: S608  names from above
"""The last position that each projection reflects, by name."""
LOCK_POSITIONS: Final = POSITIONS.replace("LIMIT 1", "LIMIT 1 FOR UPDATE")
"""The same, locked in this order against all other projectors."""
REFLECTED: Final = f"SELECT coalesce(min(position), 0) FROM ({POSITIONS}) AS p"  # noqa: S608  the query above
"""The last position that all projections reflect."""
HEAD: Final = "SELECT position FROM head ORDER BY position DESC LIMIT 1"
"""Where the log ends."""


class _Position(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    position: int


async def head_position(connection: psycopg.AsyncConnection[Any]) -> int:
    """Where the log ends. Needs no tenant."""
    row = await (await connection.execute(HEAD, prepare=True)).fetchone()
    assert row is not None
    return int(row[0])


async def positions(connection: psycopg.AsyncConnection[Any]) -> dict[str, int]:
    """The last position that each projection reflects. Needs no tenant."""
    rows = await rows_of(connection, _Position, POSITIONS, {})
    return {row.name: row.position for row in rows}
