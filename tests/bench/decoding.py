"""What no rebuild can leave out: to read the topics of the log, and from its events the members that the folds use."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Final, LiteralString

import psycopg
from psycopg.types.numeric import Int8

_RANGE_EVENTS: Final = 50_000

_NAMES: Final = ("split_part(originator_id, '/', 1)", "split_part(originator_id, '/', 3)")
_AMOUNT: Final = "bursar_number(event, 'amount')"
_WHEN: Final = (
    "bursar_member(event, 'transaction_id')::uuid",
    "bursar_member(event, 'effective_date')::date",
    "bursar_member(event, 'recorded_at')::timestamptz",
)


def _decode(*members: LiteralString, topics: LiteralString) -> LiteralString:
    counts = ", ".join(f"count({member})" for member in members)
    return f"""
    SELECT {counts} FROM (
        SELECT originator_id, topic, convert_from(state, 'UTF8') AS event FROM events
        WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic IN ({topics})
        OFFSET 0
    ) AS stored
    """


_STATEMENTS: Final = (
    "SELECT DISTINCT topic FROM events WHERE notification_id > %(after)s AND notification_id <= %(upto)s",
    _decode(  # of one transaction, the debits alone are asked when it was
        *_NAMES,
        _AMOUNT,
        *(f"CASE WHEN topic = 'bursar.account.debited.v1' THEN {member} END" for member in _WHEN),
        topics="'bursar.account.debited.v1', 'bursar.account.credited.v1'",
    ),
    _decode(
        *_NAMES, _AMOUNT, *_WHEN, "bursar_words(event, 'description')", topics="'bursar.wallet.topped_up.v1'"
    ),
    _decode(
        _NAMES[0],
        _AMOUNT,
        "bursar_member(event, 'number')",
        "bursar_member(event, 'kind')",
        "bursar_member(event, 'currency')",
        "bursar_member(event, 'document')::uuid",
        _WHEN[2],
        topics="'bursar.series.number_allocated.v1'",
    ),
)


def decoded_per_second(url: str) -> float:
    """Events a second, on two connections like the rebuild: nothing is added up, written or compared."""
    with psycopg.connect(url) as connection:
        [(events,)] = connection.execute("SELECT max(notification_id) FROM events").fetchall()
    work = iter(
        [
            (statement, after, upto)
            for after, upto in pairwise([*range(0, events, _RANGE_EVENTS), events])
            for statement in _STATEMENTS
        ]
    )
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: _read(url, work), range(2)))
    return events / (time.perf_counter() - began)


def _read(url: str, work: Iterator[tuple[LiteralString, int, int]]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET jit = off; SET plan_cache_mode = force_custom_plan")
        for statement, after, upto in work:
            range_: dict[str, Any] = {"after": Int8(after), "upto": Int8(upto)}
            connection.execute(statement, range_, prepare=True).fetchall()
