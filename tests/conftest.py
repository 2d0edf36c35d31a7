"""The real things that tests run on: one PostgreSQL and one Kafka per session, one database per test."""

import secrets
import shutil
import tempfile
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec
import psycopg
import pytest
from hypothesis import settings
from psycopg import sql

from adapters.postgres.embedded.cluster import Cluster, temporary_cluster
from adapters.postgres.migrations import migrate
from adapters.postgres.roles import set_role_passwords
from tests.support.service import Service, serving

with warnings.catch_warnings():
    # kafka-python 3.0.12 reads its schemas, on import, by a call that Python 3.11 deprecates (and 3.13 keeps).
    warnings.simplefilter("ignore", DeprecationWarning)
    from ops.kafka_broker import Broker, broker, default_cache

TEMPLATE = "bursar_template"

# A busy machine may take any time for an example; speed belongs to the benchmark.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """A migrated database that is one test's own. `url("bursar_writer")` connects as that role."""

    name: str
    cluster: Cluster

    @property
    def superuser_url(self) -> str:
        return of_database(self.cluster.superuser_url, self.name)

    def url(self, role: str) -> str:
        return of_database(self.cluster.url_for(role), self.name)

    def urls(self) -> dict[str, str]:
        return {role: of_database(url, self.name) for role, url in self.cluster.urls().items()}


def of_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.fixture(scope="session")
def shared_folder() -> Iterator[Path]:
    """A folder that every user reaches, as pytest's own are not: as root, the server runs as another."""
    made = Path(tempfile.mkdtemp(prefix="bursar-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def cluster(shared_folder: Path) -> Iterator[Cluster]:
    """A running PostgreSQL whose `TEMPLATE` database is migrated. Leave that alone: take `database`."""
    with temporary_cluster(shared_folder / "postgres") as running:
        with psycopg.connect(running.superuser_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
            migrate(of_database(running.superuser_url, TEMPLATE))
            set_role_passwords(connection, running.passwords)
        yield running


@contextmanager
def fresh_database(cluster: Cluster) -> Generator[Database]:
    """A migrated database, with a store identity of its own."""
    name = f"test_{secrets.token_hex(4)}"
    with psycopg.connect(cluster.superuser_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(TEMPLATE))
        )
        made = Database(name=name, cluster=cluster)
        with psycopg.connect(made.superuser_url) as inside:
            inside.execute("UPDATE store SET id = gen_random_uuid()")
            inside.execute("UPDATE head SET hash = sha256(uuid_send(id)) FROM store")
        yield made
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """A fresh migrated database."""
    with fresh_database(cluster) as made:
        yield made


@pytest.fixture(scope="session")
def service(cluster: Cluster) -> Iterator[Service]:
    """API and projector at work for two schools. What a test writes there stays: use names of your own."""
    with fresh_database(cluster) as made, serving(made.urls(), made.superuser_url) as running:
        yield running


@pytest.fixture(scope="session")
def kafka(shared_folder: Path) -> Iterator[Broker]:
    """A running Apache Kafka; each test makes topics and groups under names of its own."""
    with broker(default_cache(), shared_folder / "kafka") as running:
        yield running
