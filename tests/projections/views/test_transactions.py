"""What the list of transactions looks at for one page, and what it makes of a log that was folded in any pieces."""

from functools import partial

import pytest

from projections.views import transactions
from tests.conftest import Database
from tests.support.projected import a_day, ask, catch_up, dump, forget, put
from tests.support.school import School


@pytest.fixture
def school(database: Database) -> School:
    school = School()
    a_day(school)
    put(database, school)
    catch_up(database)
    return school


def test_every_transaction_of_the_log_is_there_with_its_postings(database: Database, school: School) -> None:
    page = ask(database, "greenhill", partial(transactions.transactions, limit=500))
    told = [
        (message.transaction, message.command)
        for message in school.messages
        if message.transaction is not None
    ]
    found = {one.transaction_id: one for one in page.data}
    assert len(found) == len(told) > 8
    for transaction, action in told:
        one = found[transaction.id]
        assert (one.action, one.effective_date, one.actor) == (action, transaction.effective_date, "tester")
        assert [(p.code, p.role, p.side, p.amount) for p in one.postings] == [
            (p.code, p.role, p.side, p.amount) for p in transaction.postings
        ]
    keys = [(one.effective_date, one.position) for one in page.data]
    assert keys == sorted(keys, reverse=True)


@pytest.mark.parametrize("limits", [(1,), (7,), (3, 40)])
def test_the_pieces_make_no_difference(database: Database, school: School, limits: tuple[int, ...]) -> None:
    assert school.messages
    whole = dump(database)
    forget(database)
    catch_up(database, limits=limits)
    assert dump(database) == whole


def test_a_page_looks_at_so_many_movements_and_says_that_more_follow(
    database: Database, school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert school.messages
    monkeypatch.setattr(transactions, "MAX_EXAMINED", 2)
    wanted = {"wallet": "STU-1", "action": "wallet.top_up", "limit": 5}
    pages = []
    after = None
    while True:
        page = ask(database, "greenhill", partial(transactions.transactions, **wanted, after=after))
        pages.append([one.action for one in page.data])
        after = page.next
        if not page.has_more:
            break
    # Of its movements one is the top-up; the pages before and after it have none, and no transaction comes twice.
    assert [action for actions in pages for action in actions] == ["wallet.top_up"]
    assert len(pages) > 1
