"""Holds as they are read: by the log what became of them, by the clock whether they still count."""

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest

from domain.wallet import HoldView, WalletView
from projections.views import holds, wallets
from tests.conftest import Database
from tests.support.projected import AWKWARD, ask, catch_up, put
from tests.support.school import School


@pytest.fixture
def school() -> School:
    school = School()
    school.run("wallet.open", account="STU-1")
    school.run("wallet.top_up", account="STU-1", amount=1_000, source={"type": "cash"})
    return school


def hold(school: School, amount: int = 100, **fields: Any) -> Any:
    return school.run("wallet.hold", account="STU-1", amount=amount, **fields)


def project(database: Database, school: School) -> None:
    put(database, school)
    catch_up(database)


def wallet(database: Database) -> WalletView:
    return ask(database, "greenhill", lambda c: wallets.find(c, ["STU-1"]))["STU-1"]


def listed(database: Database, status: Any = None, *, limit: int = 500) -> list[str]:
    """The ids of all pages."""
    found: list[str] = []
    after = None
    while True:
        query = partial(holds.holds, account="STU-1", status=status, limit=limit, after=after)
        page = ask(database, "greenhill", query)
        assert all(one.status == (status or one.status) for one in page.data)
        found += [one.id for one in page.data]
        after = page.next
        assert page.has_more == (after is not None)
        if after is None:
            return found


def test_a_hold_is_read_back_as_its_last_command_answered(database: Database, school: School) -> None:
    placed = [
        hold(school, amount, description=words)["hold"]["id"] for amount, words in ((200, None), (50, "x"))
    ]
    answers = [
        hold(school, description=AWKWARD),
        school.run("hold.capture", hold=placed[0], amount=150),
        school.run("hold.release", hold=placed[1]),
    ]
    project(database, school)
    for answer in answers:
        expected = msgspec.convert(answer["hold"], HoldView)
        assert ask(database, "greenhill", lambda c, one=expected: holds.find(c, [one.id])) == {
            expected.id: expected
        }
        assert ask(database, "maple", lambda c, one=expected: holds.find(c, [one.id])) == {}
    assert wallet(database) == msgspec.convert(answers[-1]["wallet"], WalletView)
    assert (wallet(database).balance, wallet(database).held, wallet(database).available) == (850, 100, 750)


@pytest.mark.parametrize("limit", [1, 2, 500])
def test_holds_are_listed_by_what_has_become_of_them(database: Database, school: School, limit: int) -> None:
    ids = [hold(school, 10)["hold"]["id"] for _ in range(7)]
    for one in ids[1:3]:
        school.run("hold.capture", hold=one)
    for one in ids[3:5]:
        school.run("hold.release", hold=one)
    project(database, school)
    assert listed(database, limit=limit) == sorted(ids)
    assert listed(database, "active", limit=limit) == sorted([ids[0], *ids[5:]])
    assert listed(database, "captured", limit=limit) == sorted(ids[1:3])
    assert listed(database, "released", limit=limit) == sorted(ids[3:5])
    assert listed(database, "expired", limit=limit) == []


def test_a_hold_that_has_expired_counts_no_more_whether_or_not_that_is_recorded(
    database: Database, school: School
) -> None:
    end = datetime.now(UTC) + timedelta(seconds=1)
    expiring = [hold(school, 300, expires_at=end.isoformat())["hold"]["id"] for _ in range(2)]
    staying = hold(school, 50)["hold"]["id"]
    project(database, school)
    time.sleep(max((end - datetime.now(UTC)).total_seconds(), 0) + 0.05)

    def is_seen() -> None:
        found = ask(database, "greenhill", lambda c: holds.find(c, [*expiring, staying]))
        assert [found[one].status for one in (*expiring, staying)] == ["expired", "expired", "active"]
        for limit in (1, 500):
            assert listed(database, "expired", limit=limit) == sorted(expiring)
            assert listed(database, "active", limit=limit) == [staying]

    is_seen()
    assert (wallet(database).held, wallet(database).available) == (50, 950)
    spent = school.run("wallet.charge", account="STU-1", amount=950, description="all that is free")
    assert spent["wallet"]["held"] == 50
    topics = [event.topic for _, events, _ in school.events for _, _, event in events]
    assert topics.count("bursar.wallet.hold_expired.v1") == 2
    project(database, school)
    is_seen()
    assert (wallet(database).held, wallet(database).available) == (50, 0)
