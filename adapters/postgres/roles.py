"""The roles that log in: their names, their passwords, and the URL that connects as one of them."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec
import psycopg
from psycopg import sql

from adapters.system.files import write_atomically

SUPERUSER: Final = "postgres"
LOGIN_ROLES: Final = (
    "bursar_writer",
    "bursar_projector",
    "bursar_reader",
    "bursar_relay",
    "bursar_exporter",
    "bursar_auditor",
)


def load_passwords(data: Path) -> dict[str, str]:
    """Return the generated password of each role and the superuser, kept in a file in `data` that only its owner reads.

    Raises PermissionError where that file belongs to another user.
    """
    path = data / "passwords.json"
    try:
        known = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        known = {}
    except PermissionError as error:
        raise PermissionError(
            f"{path} belongs to another user; run as that user or name another folder"
        ) from error
    missing = [role for role in (SUPERUSER, *LOGIN_ROLES) if role not in known]
    if missing:
        known |= {role: secrets.token_urlsafe(32) for role in missing}
        write_atomically(path, msgspec.json.format(msgspec.json.encode(known)) + b"\n")
    return known


def set_role_passwords(connection: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    """Give each login role its password and the right to log in. The migrations make the roles.

    The password is hashed here, so that it stands in no server log. Runs in the caller's transaction.
    """
    for role in LOGIN_ROLES:
        verifier = connection.pgconn.encrypt_password(
            passwords[role].encode(), role.encode(), b"scram-sha-256"
        ).decode()
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier))
        )


def url_for_role(superuser_url: str, role: str, password: str) -> str:
    """Return the URL of the same database for another role, without the user and password of the given one."""
    parts = urlsplit(superuser_url)
    hosts = parts.netloc.rpartition("@")[2]
    query = urlencode(
        [(k, v) for k, v in parse_qsl(parts.query) if k not in {"user", "password"}], quote_via=quote
    )
    return urlunsplit(parts._replace(netloc=f"{quote(role)}:{quote(password, safe='')}@{hosts}", query=query))
