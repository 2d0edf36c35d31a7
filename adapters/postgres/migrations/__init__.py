"""The schema: Alembic revisions, each a pair of SQL files that go up and down."""

from pathlib import Path
from typing import Final

import psycopg

_FOLDER: Final = Path(__file__).parent
HEAD: Final = max(path.name for path in (_FOLDER / "versions").glob("[0-9]*.py"))[:4]
"""The newest revision: its file's name begins with it."""


def run_sql(file_name: str) -> None:
    """Run a file of statements as it stands; for the revisions only."""
    from alembic import op

    # The driver's own cursor without arguments, so that neither ":name" nor "%" is taken for a parameter.
    raw = op.get_bind().connection.driver_connection
    assert raw is not None
    raw.execute((_FOLDER / file_name).read_text())


def migrate(superuser_url: str, *, to: str = "head") -> None:
    """Bring the database's schema up, or down, to a revision."""
    if to == "head" and _is_at_head(superuser_url):
        return
    # Imported here: at most starts there is nothing to do, and Alembic takes longest of all to import.
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    url = superuser_url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        # Two `up`s on one database must not migrate at once.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('bursar migrations'))")
        config.attributes["connection"] = connection
        if to == "head" or not to.startswith("-"):
            command.upgrade(config, to)
        else:
            command.downgrade(config, to)


def _is_at_head(url: str) -> bool:
    with psycopg.connect(url) as connection:
        try:
            return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        except psycopg.errors.UndefinedTable:
            return False
