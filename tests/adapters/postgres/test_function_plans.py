"""What the database's own functions do costs no more in a long log: their statements find by an index what they ask for.

Nobody sees the plans of a function's statements; so it is counted how many rows and entries of an index they read.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest

from adapters.postgres.store import _APPEND, _LOCK, _OPTIONS
from api.services import READ_OPTIONS
from tests.conftest import Database, fresh_database
from tests.support.grown import fill, mislead

FEW = 50
"""More rows than any of the calls below is about."""

READ = """
    SELECT oid::regclass::text, pg_stat_get_xact_tuples_returned(oid) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND pg_stat_get_xact_tuples_returned(oid) > 0
"""
"""How many rows of each table, and entries of each index, the transaction has read."""

HASH = b"h" * 32


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What makes functions do their work, and how a process connects that does so."""

    functions: tuple[str, ...]
    role: str
    options: str = ""
    statement: str
    values: tuple[Any, ...] = ()


def append(keys: list[str], tenants: list[str]) -> tuple[Any, ...]:
    """The arguments of an append that asks for keys and, where there are tenants, has a new command of each."""
    each = len(tenants)

    def of_each(value: Any) -> list[Any]:
        return [value] * each

    ids = [f"00000000-0000-0000-0000-{n:012}" for n in range(each)]
    asked = (["greenhill"] * len(keys), ["till"] * len(keys), keys)
    texts = of_each("")
    new_keys = [f"new-{n}" for n in range(each)]
    commands = (
        ids,
        tenants,
        of_each("till"),
        new_keys,
        of_each(HASH),
        *(texts,) * 5,
        of_each(b""),
        of_each(1),
    )
    streams = [f"{tenant}/wallet/NEW" for tenant in tenants]
    events = (streams, of_each(1), of_each("t"), of_each(b""), list(range(1, each + 1)))
    no_further_keys: tuple[list[str], list[int]] = ([], [])
    return (*asked, *commands, *events, *no_further_keys)


APPENDED = _APPEND.replace("%s, %s,", "(SELECT position FROM head), (SELECT recorded_at FROM head),", 1)

CALLS = {
    "an append of new commands": Call(
        functions=("bursar_append",),
        role="bursar_writer",
        options=_OPTIONS,
        statement=APPENDED,
        values=append(["new-0", "new-1"], ["greenhill", "school-7", "a-new-school"]),
    ),
    "an append of a known key": Call(
        functions=("bursar_append",),
        role="bursar_writer",
        options=_OPTIONS,
        statement=APPENDED,
        values=append(["key-7", "new-1"], []),
    ),
    "a lock of the head": Call(
        functions=("bursar_lock_head",), role="bursar_writer", options=_OPTIONS, statement=_LOCK
    ),
    "a look-up of a key": Call(
        functions=("bursar_authenticate",),
        role="bursar_reader",
        options=READ_OPTIONS,
        statement="SELECT * FROM bursar_authenticate(%s)",
        values=(b"7",),
    ),
    "what a transaction says": Call(
        functions=("bursar_transactions",),
        role="bursar_reader",
        options=f"{READ_OPTIONS} -c bursar.tenant=greenhill",
        statement="SELECT * FROM bursar_transactions(ARRAY["
        "(SELECT transaction_id FROM ledger_transactions ORDER BY position DESC LIMIT 1)])",
    ),
    "a change of a document": Call(
        functions=("bursar_log_export_jobs", "bursar_count_export_jobs"),
        role="bursar_exporter",
        statement="UPDATE finance_export_jobs SET state = 'dead', quickbooks_id = NULL WHERE id = %s",
        values=(7,),
    ),
}

READS_NO_TABLE = {
    "bursar_field": "computes",
    "bursar_text": "computes",
    "bursar_member": "computes",
    "bursar_words": "computes",
    "bursar_number": "computes",
    "bursar_refuse_change": "refuses",
    "bursar_take_turn": "waits",
    "bursar_end_turn": "lets others go on",
    "bursar_make_readable": "changes the schema",
    "bursar_switch_tables": "changes the schema",
}


def connected(database: Database, call: Call) -> psycopg.Connection[Any]:
    connection = psycopg.connect(database.superuser_url, options=call.options, autocommit=True)
    connection.execute("SET plan_cache_mode = force_generic_plan")
    connection.execute(f"SET ROLE {call.role}")
    return connection


def much_read(connection: psycopg.Connection[Any], call: Call) -> dict[str, int]:
    """What a call reads more of than of a few rows. Nothing of it stays."""
    with connection.transaction(force_rollback=True):
        connection.execute(call.statement, call.values)
        return {name: count for name, count in connection.execute(READ) if count > FEW}


@pytest.fixture(scope="module")
def early(cluster: Any) -> Iterator[dict[str, psycopg.Connection[Any]]]:
    """Connections whose plans are from when the store was empty and known to be, to a store that has grown."""
    with fresh_database(cluster) as database:
        with psycopg.connect(database.superuser_url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        connections = {name: connected(database, call) for name, call in CALLS.items()}
        for name, call in CALLS.items():
            much_read(connections[name], call)
        fill(database)
        yield connections
        for connection in connections.values():
            connection.close()


@pytest.fixture(scope="module")
def grown(cluster: Any) -> Iterator[Database]:
    """A store that has grown, of which the planner believes what is not so."""
    with fresh_database(cluster) as database:
        fill(database)
        mislead(database)
        yield database


@pytest.mark.parametrize("name", CALLS)
def test_a_plan_from_when_the_store_was_empty_reads_little_of_what_it_became(
    early: dict[str, psycopg.Connection[Any]], name: str
) -> None:
    assert much_read(early[name], CALLS[name]) == {}


@pytest.mark.parametrize("name", CALLS)
def test_a_plan_by_wrong_statistics_reads_little(grown: Database, name: str) -> None:
    with connected(grown, CALLS[name]) as connection:
        assert much_read(connection, CALLS[name]) == {}


def test_what_reads_much_is_seen(grown: Database) -> None:
    """An append that has not the index of keys."""
    name = "an append of a known key"
    with psycopg.connect(grown.superuser_url) as connection:
        connection.execute("DROP INDEX commands_idempotency_key_idx")
        connection.execute(f"SET ROLE {CALLS[name].role}")
        assert much_read(connection, CALLS[name]).keys() & {"commands", "commands_pkey"}
        connection.rollback()


def test_every_function_is_called_or_reads_no_table(grown: Database) -> None:
    with psycopg.connect(grown.superuser_url) as connection:
        functions = connection.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        ).fetchall()
    called = {function for call in CALLS.values() for function in call.functions}
    assert {name for (name,) in functions} == called | READS_NO_TABLE.keys()
