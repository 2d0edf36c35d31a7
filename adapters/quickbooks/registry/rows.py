"""Rows of the registry as structs, and structs as the columns of one statement."""

from collections.abc import Sequence
from typing import Any, LiteralString, TypeVar

import msgspec
from psycopg import Connection
from psycopg.rows import class_row

_Row = TypeVar("_Row", bound=msgspec.Struct)


def select(
    connection: Connection[Any], row_type: type[_Row], statement: LiteralString, **parameters: object
) -> list[_Row]:
    """Read rows as structs whose fields have the names of the columns."""
    with connection.cursor(binary=True, row_factory=class_row(row_type)) as cursor:
        return cursor.execute(statement, parameters).fetchall()


def columns(row_type: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> dict[str, object]:
    """Turn structs into one list for each field, by its name: the parameters of a statement with `unnest`."""
    return {field: [getattr(row, field) for row in rows] for field in row_type.__struct_fields__}
