"""The schema goes up, down and up again, and is what it was; the log itself never goes down."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from adapters.postgres import migrations
from adapters.postgres.embedded.cluster import Cluster
from adapters.postgres.migrations import migrate
from tests.conftest import Database, of_database
from tests.support.projected import a_day, catch_up, dump, put
from tests.support.school import School

NAME = "migrated"
# Columns, constraints, indexes, triggers, policies, rights and the text of functions: what a schema is.
SCHEMA = """
    SELECT 'relation', c.oid::regclass::text, c.relkind::text, c.relrowsecurity::text, c.relforcerowsecurity::text,
        pg_get_userbyid(c.relowner), (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(c.relacl) a)::text,
        c.reloptions::text
    FROM pg_class c WHERE relnamespace::regnamespace::text IN ('public', 'bursar_shadow')
    UNION ALL SELECT 'column', attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull::text,
        (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum),
        attcollation::text, attacl::text
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE attnum > 0 AND NOT attisdropped AND relnamespace::regnamespace::text IN ('public', 'bursar_shadow')
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', '', ''
    FROM pg_constraint WHERE connamespace::regnamespace::text IN ('public', 'bursar_shadow')
    UNION ALL SELECT 'index', indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid), '', '',
        '', ''
    FROM pg_index JOIN pg_class c ON c.oid = indrelid
    WHERE relnamespace::regnamespace::text IN ('public', 'bursar_shadow')
    UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), tgenabled::text, '', '', ''
    FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'policy', tablename, policyname, roles::text, cmd, qual, with_check, '' FROM pg_policies
    UNION ALL SELECT 'function', oid::regprocedure::text, prosrc, prosecdef::text, proconfig::text,
        pg_get_userbyid(proowner), (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(proacl) a)::text, ''
    FROM pg_proc WHERE pronamespace::regnamespace::text IN ('public', 'bursar_shadow')
    UNION ALL SELECT 'schema', nspname, pg_get_userbyid(nspowner),
        (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(nspacl) a)::text, '', '', '', ''
    FROM pg_namespace WHERE nspname IN ('public', 'bursar_shadow')
    ORDER BY 1, 2, 3, 4, 5
"""
REVISIONS = sorted(path.stem for path in (Path(migrations.__file__).parent / "versions").glob("0*.py"))


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    name = sql.Identifier(NAME)
    with psycopg.connect(cluster.superuser_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield of_database(cluster.superuser_url, NAME)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def schema(url: str) -> list[tuple[str, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(SCHEMA).fetchall()


def test_up_down_and_up_again_is_the_same_schema(url: str) -> None:
    migrate(url, to="0001")
    bottom = schema(url)
    migrate(url)
    top = schema(url)
    assert len(top) > len(bottom) > 50
    migrate(url)
    assert schema(url) == top, "again is nothing"
    migrate(url, to=f"-{len(REVISIONS) - 1}")
    assert schema(url) == bottom
    migrate(url)
    assert schema(url) == top


def test_the_log_is_never_dropped(url: str) -> None:
    migrate(url, to="0001")
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE store SET epoch = 7")
    with pytest.raises(RuntimeError, match="never dropped"):
        migrate(url, to="-1")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT epoch FROM store").fetchone() == (7,)


def test_each_revision_is_a_pair_of_files() -> None:
    folder = Path(migrations.__file__).parent
    ups = {path.name.removesuffix(".up.sql") for path in folder.glob("*.up.sql")}
    downs = {path.name.removesuffix(".down.sql") for path in folder.glob("*.down.sql")}
    assert ups == set(REVISIONS)
    assert downs == set(REVISIONS[1:]), "all but the log"


def test_a_store_of_before_gets_what_is_found_again_filled(database: Database) -> None:
    school = School()
    a_day(school)
    put(database, school)
    catch_up(database)
    projected = dump(database)
    migrate(database.superuser_url, to="0014")
    migrate(database.superuser_url)
    catch_up(database)
    assert dump(database) == projected
