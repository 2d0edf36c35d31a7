"""What a projection is: its tables, and the statements that fold a range of the log into them.

A fold is one SQL statement over the events after one position, up to another. The live projector runs it over
each batch and a rebuild over large ranges, into tables of the same names in another schema: one definition,
whatever the range. Tables are therefore named without a schema, and no fold relies on an index or a key.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, LiteralString

import msgspec
import psycopg
from psycopg.types.numeric import Int8

from domain.aggregates import TOPICS

_TOPIC: Final = re.compile(r"'(bursar\.[a-z_.]+\.v[0-9]+)'")


class Fold(msgspec.Struct, frozen=True):
    """One statement, with the parameters `after` and `upto`: both are last positions of commands.

    Whatever it finds of an event's stream before `after` is already in the tables.
    """

    sql: LiteralString

    @property
    def topics(self) -> frozenset[str]:
        """The topics that the statement names; where none of them occurs it changes nothing."""
        return frozenset(_TOPIC.findall(self.sql))


class Projection(msgspec.Struct, frozen=True, kw_only=True):
    """A view of the log. Its name is its row in `projection_positions`; its folds run in their order."""

    name: LiteralString
    tables: tuple[LiteralString, ...]
    folds: tuple[Fold, ...]

    @property
    def topics(self) -> frozenset[str]:
        """The topics that any of its folds names."""
        return frozenset[str]().union(*(fold.topics for fold in self.folds))


def fold_range(
    connection: psycopg.Connection[Any],
    projection: Projection,
    *,
    after: int,
    upto: int,
    topics: frozenset[str] | set[str],
) -> None:
    """Fold the events of `(after, upto]`, whose topics are `topics`, into the projection's tables."""
    range_ = {"after": Int8(after), "upto": Int8(upto)}
    for fold in projection.folds:
        if not topics.isdisjoint(fold.topics):
            connection.execute(fold.sql, range_, prepare=True)


class UnknownTopicError(Exception):
    """The log has an event that this version does not know: tables made without it would be wrong."""


def topics_between(connection: psycopg.Connection[Any], *, after: int, upto: int) -> frozenset[str]:
    """The topics that occur in `(after, upto]`. Raises `UnknownTopicError`."""
    topics = topics_in(connection, after=after, upto=upto)
    check_known(connection, topics, after=after, upto=upto)
    return topics


def topics_in(connection: psycopg.Connection[Any], *, after: int, upto: int) -> frozenset[str]:
    """The topics that occur in `(after, upto]`, known or not."""
    rows: Sequence[tuple[str]] = connection.execute(
        "SELECT DISTINCT topic FROM events WHERE notification_id > %s AND notification_id <= %s",
        (Int8(after), Int8(upto)),
    ).fetchall()
    return frozenset(topic for (topic,) in rows)


def check_known(
    connection: psycopg.Connection[Any], topics: frozenset[str], *, after: int, upto: int
) -> None:
    """Raise `UnknownTopicError`, with the first place, where one of the topics of `(after, upto]` is not known."""
    unknown = sorted(topics - TOPICS.keys())
    if not unknown:
        return
    row = connection.execute(
        "SELECT topic, notification_id FROM events"
        " WHERE notification_id > %s AND notification_id <= %s AND topic = ANY (%s)"
        " ORDER BY notification_id LIMIT 1",
        (Int8(after), Int8(upto), unknown),
    ).fetchone()
    assert row is not None
    raise UnknownTopicError(f"This version does not know {row[0]}, at position {row[1]}; run a newer one.")
