"""Who may read which rows of the read tables, and who may write them."""

import psycopg
import pytest
from psycopg import sql

from tests.conftest import Database
from tests.support.projected import TABLES, a_day, catch_up, put
from tests.support.school import School


@pytest.fixture
def filled(database: Database) -> Database:
    for tenant, country, keys in (("greenhill", "KE", "a"), ("maple", "CA", "b")):
        school = School(tenant, country)
        a_day(school, keys=keys)
        put(database, school)
    catch_up(database)
    return database


def tenants_in(connection: psycopg.Connection[tuple[str]], table: str) -> set[str]:
    found = connection.execute(sql.SQL("SELECT DISTINCT tenant FROM {}").format(sql.Identifier(table)))
    return {tenant for (tenant,) in found.fetchall()}


def test_a_reader_sees_the_tenant_it_has_set_and_nothing_without(filled: Database) -> None:
    with psycopg.connect(filled.superuser_url) as connection:
        for table in TABLES:
            assert tenants_in(connection, table) == {"greenhill", "maple"}, table
    with psycopg.connect(filled.url("bursar_reader")) as connection:
        for tenant in (None, "", "greenhill", "maple", "nobody"):
            if tenant is not None:
                connection.execute("SELECT set_config('bursar.tenant', %s, true)", (tenant,))
            for table in TABLES:
                assert tenants_in(connection, table) == {"greenhill", "maple"} & {tenant}, (tenant, table)
        connection.commit()
        # The tenant ends with its transaction, also on a connection that is used again.
        for table in TABLES:
            assert tenants_in(connection, table) == set(), table


def test_every_table_of_the_projector_is_shielded(filled: Database) -> None:
    with psycopg.connect(filled.superuser_url) as connection:
        rows = connection.execute(
            "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class"
            " WHERE relowner = 'bursar_projector'::regrole AND relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace"
        ).fetchall()
    shielded = {name for name, enabled, forced in rows if enabled and not forced}
    assert shielded == set(TABLES)
    # Positions hold no tenant's rows, and nobody but writer and auditor reads snapshots.
    assert {name for name, _, _ in rows} - shielded == {"projection_positions", "snapshots"}


@pytest.mark.parametrize("role", ["writer", "reader", "relay", "exporter", "auditor"])
def test_nobody_else_writes_the_read_tables(filled: Database, role: str) -> None:
    with psycopg.connect(filled.url(f"bursar_{role}"), autocommit=True) as connection:
        connection.execute("SELECT set_config('bursar.tenant', 'greenhill', false)")
        for table in [*TABLES, "projection_positions"]:
            name = sql.Identifier(table)
            for statement in (
                sql.SQL("DELETE FROM {}").format(name),
                sql.SQL("UPDATE {} SET position = 0").format(name),
                sql.SQL("TRUNCATE {}").format(name),
                sql.SQL("DROP TABLE {}").format(name),
            ):
                with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedColumn)):
                    connection.execute(statement)
        for call in ("bursar_switch_tables(ARRAY['tenants'])", "bursar_make_readable('tenants')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.SQL("SELECT " + call))


def test_the_projector_makes_nothing_in_public_and_moves_nothing_of_others(filled: Database) -> None:
    with psycopg.connect(filled.url("bursar_projector"), autocommit=True) as connection:
        for statement in (
            "CREATE TABLE public.x (a int)",
            "CREATE FUNCTION public.cardinality(text[]) RETURNS int LANGUAGE sql RETURN 0",
            "ALTER TABLE tenants RENAME TO x",
            "DELETE FROM events",
            "SELECT bursar_switch_tables(ARRAY['events'])",
            "SET ROLE bursar_switch",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)  # type: ignore[call-overload]  # the loop's own
        # A table that has none to take the place of stays where it is.
        connection.execute("CREATE TABLE bursar_shadow.x (a int)")
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT bursar_switch_tables(ARRAY['x'])")


@pytest.mark.parametrize("role", ["writer", "relay", "exporter", "auditor"])
def test_only_the_reader_authenticates(filled: Database, role: str) -> None:
    with (
        psycopg.connect(filled.url(f"bursar_{role}"), autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT * FROM bursar_authenticate('x')")
