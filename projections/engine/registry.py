"""All projections, and how far each has come."""

from typing import Any, Final

import msgspec
import psycopg

from projections.engine.fold import Projection
from projections.engine.reading import rows_of
from projections.views import exports, imports, invoices, ledger, receipts, sales, tenants, wallets

PROJECTIONS: Final[tuple[Projection, ...]] = (
    tenants.PROJECTION,
    ledger.PROJECTION,
    wallets.PROJECTION,
    invoices.PROJECTION,
    receipts.PROJECTION,
    sales.PROJECTION,
    exports.PROJECTION,
    imports.PROJECTION,
)


HOLD_STILL: Final = f"LOCK TABLE {PROJECTIONS[0].tables[0]} IN ACCESS SHARE MODE"
"""Before a read's snapshot is taken: it waits for the switch of a rebuild, which locks this table first, and not later,
where it would see the new tables as they were before the switch: empty.
"""


class _Position(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    position: int


async def head_position(connection: psycopg.AsyncConnection[Any]) -> int:
    """Where the log ends. Needs no tenant."""
    row = await (await connection.execute("SELECT position FROM head", prepare=True)).fetchone()
    assert row is not None
    return int(row[0])


async def positions(connection: psycopg.AsyncConnection[Any]) -> dict[str, int]:
    """The last position that each projection reflects. Needs no tenant."""
    rows = await rows_of(
        connection, _Position, "SELECT name, position FROM projection_positions ORDER BY name", {}
    )
    return {row.name: row.position for row in rows}
