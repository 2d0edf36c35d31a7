"""The shadow: tables beside the live ones, of the same names in schema bursar_shadow, and what is done to a table there.

All of it as bursar_projector, who owns both. Nobody else reads or writes them until they stand in the live ones' place.
"""

from typing import Any, Final, LiteralString

import msgspec
import psycopg
from psycopg import sql

from projections.engine.registry import PROJECTIONS

SCHEMA: Final = "bursar_shadow"
TABLES: Final[tuple[LiteralString, ...]] = tuple(
    table for projection in PROJECTIONS for table in projection.tables
)


class TableDigest(msgspec.Struct, frozen=True, kw_only=True):
    """A table, live and rebuilt: row counts, and digests that do not depend on the rows' order.

    A digest is the sum of a 64-bit hash of each row. `differing` counts the rows that stand in only one of
    the two tables; it is counted where digests differ.
    """

    rows_live: int
    rows_rebuilt: int
    digest_live: str
    digest_rebuilt: str
    differing: int

    @property
    def equal(self) -> bool:
        """Whether the rebuild changes no row of the table."""
        return (self.rows_live, self.digest_live) == (self.rows_rebuilt, self.digest_rebuilt)


def drop(connection: psycopg.Connection[Any]) -> None:
    """Drop what there is of the shadow."""
    for table in TABLES:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_shadow(table)))


def make(connection: psycopg.Connection[Any]) -> None:
    """Make empty tables like the live ones, in the place of what a killed rebuild left.

    They have no indexes and are not logged before they are finished, and autovacuum leaves them alone.
    """
    drop(connection)
    for table in TABLES:
        connection.execute(
            sql.SQL(
                "CREATE UNLOGGED TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
                " WITH (autovacuum_enabled = false)"
            ).format(_shadow(table), sql.Identifier("public", table))
        )


def compare(connection: psycopg.Connection[Any], table: LiteralString) -> TableDigest:
    """Compare a table with the live one, in a snapshot in which both reflect one position."""
    names = {"live": sql.Identifier("public", table), "rebuilt": _shadow(table)}
    sums: dict[str, tuple[int, str]] = {}
    for side, name in names.items():
        digest = sql.SQL(
            "SELECT count(*), coalesce(sum(hash_record_extended(t, 0)), 0)::text FROM {} AS t"
        ).format(name)
        sums[side] = connection.execute(digest).fetchone() or (0, "0")
    differing = 0
    if sums["live"] != sums["rebuilt"]:
        query = sql.SQL(
            "SELECT count(*) FROM ((TABLE {live} EXCEPT ALL TABLE {rebuilt})"
            " UNION ALL (TABLE {rebuilt} EXCEPT ALL TABLE {live})) AS d"
        ).format(**names)
        differing = (connection.execute(query).fetchone() or (0,))[0]
    return TableDigest(
        rows_live=sums["live"][0],
        rows_rebuilt=sums["rebuilt"][0],
        digest_live=sums["live"][1],
        digest_rebuilt=sums["rebuilt"][1],
        differing=differing,
    )


_OPTIONS: Final = """
SELECT array_to_string(reloptions, ', ') FROM pg_class
WHERE oid = format('public.%%I', %s::text)::regclass AND reloptions IS NOT NULL
"""
# As the live table has them: first what is no constraint, then the constraints, each with its index.
_INDEXES: Final = """
SELECT replace(pg_get_indexdef(i.indexrelid), ' ON public.', ' ON bursar_shadow.')
FROM pg_index i
WHERE i.indrelid = format('public.%%I', %s::text)::regclass
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""
_CONSTRAINTS: Final = """
SELECT format('ALTER TABLE bursar_shadow.%%I ADD CONSTRAINT %%I %%s', %s::text, conname, pg_get_constraintdef(oid))
FROM pg_constraint
WHERE conrelid = format('public.%%I', %s::text)::regclass AND conindid <> 0
"""


def finish(connection: psycopg.Connection[Any], table: LiteralString) -> None:
    """Give a table all that the live one has: durability, indexes, readers, statistics."""
    shadow = _shadow(table)
    for (options,) in connection.execute(_OPTIONS, (table,)).fetchall():
        connection.execute(sql.SQL("ALTER TABLE {} SET ({})").format(shadow, sql.SQL(options)))
    connection.execute(sql.SQL("ALTER TABLE {} SET LOGGED").format(shadow))
    statements = connection.execute(_INDEXES, (table,)).fetchall()
    statements += connection.execute(_CONSTRAINTS, (table, table)).fetchall()
    for (statement,) in statements:
        connection.execute(sql.SQL(statement))
    connection.execute("SELECT bursar_make_readable(%s::regclass)", (f"{SCHEMA}.{table}",))
    connection.execute(sql.SQL("ANALYZE {}").format(shadow))


def switch(connection: psycopg.Connection[Any]) -> None:
    """Put the finished tables in the place of the live ones, in a transaction that has locked those.

    Autovacuum comes to them only from then on: at work on one, it would hold the switch up, and all readers with it.
    """
    for table in TABLES:
        connection.execute(sql.SQL("ALTER TABLE {} RESET (autovacuum_enabled)").format(_shadow(table)))
    connection.execute("SELECT bursar_switch_tables(%s::text[])", (list(TABLES),))


def _shadow(table: LiteralString) -> sql.Identifier:
    return sql.Identifier(SCHEMA, table)
