"""Each role attacks the log. Nothing but the append function writes it, and only the writer calls that."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from adapters.postgres.embedded.cluster import Cluster
from adapters.postgres.roles import LOGIN_ROLES, load_passwords, url_for_role
from tests.conftest import Database
from tests.support.log import append_all, top_up
from tests.support.store import emptied

LOG = ("events", "commands", "commits")
HEADS = ("head", "tenant_heads", "store")
_ARRAYS = "text,text,text,uuid,text,text,text,bytea,text,text,text,text,text,bytea,bigint,text,bigint,text,bytea,bigint"
CALL = (
    "SELECT * FROM bursar_append(0, now(), "
    + ", ".join(f"'{{}}'::{kind}[]" for kind in _ARRAYS.split(","))
    + ")"
)
NOT_MINE = errors.InsufficientPrivilege
Connection = psycopg.Connection[Any]


@pytest.fixture
def database(cluster: Cluster) -> Database:
    made = emptied(cluster)
    with psycopg.connect(made.url("bursar_writer"), autocommit=True) as connection:
        append_all(connection, [top_up("greenhill", "STU-1", 1)])
    return made


@pytest.fixture
def connected(database: Database) -> Iterator[dict[str, Connection]]:
    connections = {role: psycopg.connect(database.url(role)) for role in LOGIN_ROLES}
    yield connections
    for connection in connections.values():
        connection.close()


def refused(connection: Connection, statement: str, error: Any = NOT_MINE) -> None:
    with pytest.raises(error):
        connection.execute(statement)  # type: ignore[arg-type]  # built here
    connection.rollback()


def works(connection: Connection, statement: str) -> list[Any]:
    rows = connection.execute(statement).fetchall()  # type: ignore[arg-type]  # built here
    connection.rollback()
    return rows


def changes(table: str, column: str) -> list[str]:
    return [
        f"INSERT INTO {table} SELECT * FROM {table}",
        f"INSERT INTO {table} DEFAULT VALUES",
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
        f"MERGE INTO {table} USING (SELECT 1) AS x ON true WHEN MATCHED THEN DELETE",
        f"COPY {table} FROM STDIN",
        f"SELECT * FROM {table} FOR UPDATE",
        f"SELECT * FROM {table} FOR KEY SHARE",
        f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        f"ALTER TABLE {table} OWNER TO CURRENT_USER",
        f"CREATE RULE nothing AS ON INSERT TO {table} DO INSTEAD NOTHING",
        f"CREATE TRIGGER mine BEFORE INSERT ON {table} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        f"CREATE INDEX ON {table} ({column})",
        f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE",
        f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
        f"GRANT INSERT ON {table} TO CURRENT_USER",
        f"DROP TABLE {table}",
    ]


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_no_role_that_logs_in_changes_the_log(connected: dict[str, Connection], role: str) -> None:
    connection = connected[role]
    for table, column in (
        ("events", "topic"), ("commands", "command"), ("commits", "number"), ("head", "position"),
        ("tenant_heads", "sequence"), ("store", "epoch"),
    ):  # fmt: skip
        for statement in changes(table, column):
            if statement.startswith("GRANT"):
                continue  # a grant of what one has not is a warning; that it gave nothing is tested below
            refused(connection, statement)
    if role != "bursar_relay":
        for statement in (
            "INSERT INTO {} VALUES ('t', 1, 1)",
            "UPDATE {} SET position = 1",
            "DELETE FROM {}",
            "TRUNCATE {}",
        ):
            refused(connection, statement.format("relay_positions"))
    if role != "bursar_projector":
        for statement in (
            "INSERT INTO {} VALUES ('s', 1, 1, 1, '')",
            "UPDATE {} SET format = 1",
            "DELETE FROM {}",
            "TRUNCATE {}",
        ):
            refused(connection, statement.format("snapshots"))


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_nobody_gives_himself_what_he_has_not(
    connected: dict[str, Connection], database: Database, role: str
) -> None:
    connection = connected[role]
    for other in ("bursar_owner", "bursar_append", "bursar_switch", "postgres", *LOGIN_ROLES):
        if other != role:
            refused(connection, f"SET ROLE {other}")
    refused(connection, "SET SESSION AUTHORIZATION postgres")
    refused(connection, "SET session_replication_role = replica")
    refused(connection, f"GRANT bursar_append TO {role}")
    refused(connection, f"ALTER ROLE {role} SUPERUSER")
    refused(connection, "CREATE ROLE mine")
    refused(connection, "CREATE FUNCTION public.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT $1'")
    refused(connection, "CREATE OPERATOR public.|| (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = byteacat)")
    refused(connection, "CREATE TABLE public.mine (x int)")
    refused(connection, "CREATE SCHEMA mine")
    refused(
        connection,
        "CREATE OR REPLACE FUNCTION bursar_text(value text) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea'",
    )
    refused(connection, "ALTER FUNCTION bursar_append SET search_path = pg_temp")
    refused(connection, "DROP FUNCTION bursar_append")
    refused(connection, "COPY (SELECT 1) TO PROGRAM 'true'")
    with psycopg.connect(database.superuser_url) as superuser:
        members = superuser.execute(
            "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member"
            " WHERE r.rolname LIKE 'bursar%' AND r.rolcanlogin"
        ).fetchall()
    assert members == []


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_who_reads_what(connected: dict[str, Connection], role: str) -> None:
    connection = connected[role]
    if role == "bursar_reader":
        for table in (*LOG, "tenant_heads", "store", "snapshots", "relay_positions"):
            refused(connection, f"SELECT * FROM {table}")
        refused(connection, "SELECT hash FROM head")
        assert works(connection, "SELECT position FROM head") == [(3,)]
        return
    for table in (*LOG, *HEADS):
        assert works(connection, f"SELECT * FROM {table}")
    if role in ("bursar_writer", "bursar_auditor", "bursar_projector"):
        assert works(connection, "SELECT * FROM snapshots") == []
    else:
        refused(connection, "SELECT * FROM snapshots")


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_only_the_writer_appends_and_locks(connected: dict[str, Connection], role: str) -> None:
    connection = connected[role]
    if role == "bursar_writer":
        assert works(connection, CALL)[0][0] == "moved"
        assert works(connection, "SELECT position FROM bursar_lock_head()") == [(3,)]
    else:
        refused(connection, CALL)
        refused(connection, "SELECT bursar_lock_head()")


@pytest.mark.parametrize("role", [role for role in LOGIN_ROLES if role != "bursar_writer"])
def test_no_other_role_stops_the_writer(
    connected: dict[str, Connection], database: Database, role: str
) -> None:
    """A role does its worst and stays in its transaction: locks it may take, and every advisory lock."""
    connection = connected[role]
    if role != "bursar_reader":
        for table in (*LOG, *HEADS):
            connection.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
            connection.execute(f"SELECT * FROM {table}")
    connection.execute("SELECT pg_advisory_lock(n) FROM generate_series(0, 100) AS n")
    connection.execute(
        "SELECT pg_advisory_lock(n, m) FROM generate_series(0, 9) AS n, generate_series(0, 9) AS m"
    )
    connection.execute("SELECT pg_advisory_lock(oid::bigint) FROM pg_class")
    with psycopg.connect(
        database.url("bursar_writer"), autocommit=True, options="-c lock_timeout=2s"
    ) as writer:
        writer.execute("SELECT bursar_lock_head()")
        assert append_all(writer, [top_up("greenhill", "STU-1", 2)]) == 6
    connection.rollback()


def test_shadows_in_a_temporary_schema_deceive_nobody(connected: dict[str, Connection]) -> None:
    """A session may make temporary tables: the functions of the owner never look there first."""
    writer = connected["bursar_writer"]
    for statement in (
        "CREATE TEMP TABLE head (LIKE public.head)",
        "INSERT INTO pg_temp.head VALUES (3, 1, 1, '', '1970-01-01')",
        "CREATE TEMP TABLE events (LIKE public.events)",
        "CREATE TEMP TABLE commands (LIKE public.commands)",
        "CREATE TEMP TABLE store (id uuid)",
        "CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea'",
        "SET search_path = pg_temp, public",
    ):
        writer.execute(statement)
    writer.execute("UPDATE pg_temp.head SET position = 0")
    assert writer.execute("SELECT position FROM bursar_lock_head()").fetchall() == [(3,)]
    assert (writer.execute(CALL).fetchone() or ("",))[0] == "moved"
    writer.rollback()


def test_the_functions_of_the_log_trust_no_search_path(database: Database) -> None:
    with psycopg.connect(database.superuser_url) as superuser:
        found = superuser.execute(
            "SELECT proname, proconfig FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace"
            " WHERE prosecdef AND nspname = 'public'"
        ).fetchall()
        public = superuser.execute(
            "SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'public'"
            " AND prosecdef AND has_function_privilege('public', pg_proc.oid, 'EXECUTE')"
        ).fetchall()
    assert {"bursar_append", "bursar_lock_head"} <= {name for name, _ in found}
    for name, settings in found:
        assert settings is not None, name
        assert any(
            setting.startswith("search_path=") and setting.endswith("pg_temp") for setting in settings
        ), name
    assert public == []


@pytest.mark.parametrize("table", LOG)
@pytest.mark.parametrize("statement", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0}"])
def test_the_superuser_too_meets_the_guard(database: Database, table: str, statement: str) -> None:
    column = {"events": "topic", "commands": "command", "commits": "number"}[table]
    with psycopg.connect(database.superuser_url) as superuser:
        refused(superuser, statement.format(table, column))
        refused(
            superuser,
            statement.format(table, column) + (" WHERE false" if "TRUNCATE" not in statement else ""),
        )


def test_the_owner_itself_has_no_right_to_the_rows(database: Database) -> None:
    with psycopg.connect(database.superuser_url) as superuser:
        superuser.execute("SET ROLE bursar_owner")
        superuser.commit()
        for table in (*LOG, *HEADS):
            refused(superuser, f"SELECT * FROM {table}")
            refused(superuser, f"INSERT INTO {table} DEFAULT VALUES")
            refused(superuser, f"DELETE FROM {table}")


def test_the_appending_role_adds_and_changes_nothing(database: Database) -> None:
    with psycopg.connect(database.superuser_url) as superuser:
        roles = superuser.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'bursar%' AND (rolsuper OR rolcreaterole OR rolcreatedb"
            " OR rolbypassrls OR rolreplication OR rolcanlogin = (rolname IN ('bursar_owner', 'bursar_append',"
            " 'bursar_switch')))"
        ).fetchall()
        assert roles == []
        superuser.execute("SET ROLE bursar_append")
        superuser.commit()
        for table in LOG:
            refused(superuser, f"DELETE FROM {table}")
            refused(superuser, f"TRUNCATE {table}")
            refused(
                superuser,
                f"UPDATE {table} SET {'topic = topic' if table == 'events' else 'position = position'}",
            )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://admin:secret@db.example:5433/bursar?sslmode=require", "postgresql://r:p%2Fw@db.example:5433/bursar?sslmode=require"),
        ("postgresql://localhost/bursar?user=admin&password=x", "postgresql://r:p%2Fw@localhost/bursar"),
        ("postgresql:///bursar?host=/run/pg", "postgresql://r:p%2Fw@/bursar?host=%2Frun%2Fpg"),
    ],
)  # fmt: skip
def test_a_role_reaches_the_same_database_without_the_superusers_secret(given: str, expected: str) -> None:
    derived = url_for_role(given, "r", "p/w")
    assert derived == expected
    assert psycopg.conninfo.conninfo_to_dict(derived)["user"] == "r"
    assert psycopg.conninfo.conninfo_to_dict(derived)["password"] == "p/w"


def test_passwords_are_generated_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    passwords = load_passwords(tmp_path)
    assert set(passwords) == {"postgres", *LOGIN_ROLES}
    assert len(set(passwords.values())) == len(passwords)
    assert load_passwords(tmp_path) == passwords
    assert stat.S_IMODE((tmp_path / "passwords.json").stat().st_mode) == 0o600
