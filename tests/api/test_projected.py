"""Following the projector on a connection of its own, which may be lost."""

import asyncio

import psycopg
import pytest
from structlog.testing import capture_logs

from api.errors import ApiError
from api.projected import ProjectedPosition
from tests.conftest import Database
from tests.support.projected import catch_up, put
from tests.support.school import School


@pytest.mark.parametrize("losses", [1, 3])
def test_it_follows_again_after_its_connection_was_lost(database: Database, losses: int) -> None:
    school = School()
    changes: list[None] = []
    states: asyncio.Queue[bool] = asyncio.Queue()

    async def listening() -> None:
        async with asyncio.timeout(30):
            while not await states.get():
                pass

    async def follow() -> None:
        projected = ProjectedPosition(
            database.url("bursar_reader"),
            keys_changed=lambda: changes.append(None),
            listening=states.put_nowait,
        )
        projected.start()
        await listening()
        for _ in range(losses):
            cut(database)
            await listening()
        head = put(database, school)
        catch_up(database)
        await projected.wait_for(head)
        assert projected.position == head
        await projected.close()
        assert states.get_nowait() is False

    with capture_logs() as logged:
        asyncio.run(follow())
    assert [(entry["event"], entry["worker"]) for entry in logged] == [("interrupted", "listener")] * losses
    assert len(changes) > losses  # what changed meanwhile was not announced


def cut(database: Database) -> None:
    """End the listener's connection, once it is there to be ended."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'bursar_reader' AND datname = current_database()"
        ).fetchall()
    assert ended == [(True,)]


def test_who_waits_for_what_is_not_projected_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.projected.WAIT_SECONDS", 0.01)
    projected = ProjectedPosition("", keys_changed=lambda: None, listening=lambda _: None)
    with pytest.raises(ApiError):
        asyncio.run(projected.wait_for(1))
