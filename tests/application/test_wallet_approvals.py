"""The commands on wallets that an approval executes: what they post, show in the read tables, and are in QuickBooks."""

from collections import Counter
from typing import Any

import pytest

from application.commands import COMMANDS, wallet_approvals
from domain.errors import Code, DomainError
from projections.views import wallets
from tests.adapters.quickbooks.mapping.test_documents import CHART, booked, made, nonzero
from tests.conftest import Database
from tests.support.projected import ask, catch_up, put
from tests.support.school import School

ADJUST: dict[str, Any] = {"account": "STU-1", "role": "other_income", "description": "Booked twice"}
PAY_OUT: dict[str, Any] = {"account": "STU-1", "tender": {"type": "bank", "reference": "S-1"}}


@pytest.fixture
def school(monkeypatch: pytest.MonkeyPatch) -> School:
    """A school in which they are given without an approval."""
    for spec in wallet_approvals.SPECS:
        assert spec.action not in COMMANDS, "nobody does alone what takes two"
        monkeypatch.setitem(COMMANDS, spec.action, spec)
    school = School()
    school.run("wallet.open", account="STU-1")
    school.run("wallet.top_up", account="STU-1", amount=1_000, source={"type": "cash"})
    return school


def posted(school: School) -> dict[str, int]:
    """Debits less credits by role of the last command, the same in the ledger and in QuickBooks."""
    message = school.messages[-1]
    assert message.transaction is not None
    sums = Counter[str]()
    for posting in message.transaction.postings:
        sums[posting.code] += posting.amount if posting.side == "debit" else -posting.amount
    (entry,) = made(school)
    assert (entry.kind, nonzero(booked(entry))) == ("JournalEntry", nonzero(sums))
    roles = {code: role for role, code in CHART.items()}
    return {roles[code]: amount for code, amount in sums.items()}


def test_what_each_posts(school: School, database: Database) -> None:
    down = school.run("wallet.adjust", **ADJUST, amount=-300)
    assert posted(school) == {"wallet_liability": 300, "other_income": -300}
    assert down["wallet"]["balance"] == 700
    school.run("wallet.adjust", **ADJUST | {"role": "bad_debts"}, amount=50)
    assert posted(school) == {"wallet_liability": -50, "bad_debts": 50}
    school.run("wallet.payout", **PAY_OUT, amount=150)
    assert posted(school) == {"wallet_liability": 150, "bank": -150}
    dormant = school.run("wallet.dormant", account="STU-1")
    assert posted(school) == {"wallet_liability": 600, "unclaimed_balances": -600}
    assert dormant["wallet"]["balance"] == 0
    put(database, school)
    catch_up(database)
    statement = ask(database, "greenhill", lambda c: wallets.statement(c, "STU-1", limit=500))
    assert statement is not None
    assert [(line.amount, line.balance) for line in statement.lines] == [
        (1_000, 1_000), (-300, 700), (50, 750), (-150, 600), (-600, 0),
    ]  # fmt: skip


def test_an_overdraft_is_shown_and_spent(school: School, database: Database) -> None:
    school.run("wallet.overdraft", account="STU-1", limit=7)
    granted = school.run("wallet.overdraft", account="STU-1", limit=500)
    assert (granted["available"], granted["overdraft_limit"]) == (1_500, 500)
    spent = school.run("wallet.charge", account="STU-1", amount=1_500, description="Trip")["wallet"]
    assert (spent["balance"], spent["available"]) == (-500, 0)
    put(database, school)
    catch_up(database)
    found = ask(database, "greenhill", lambda c: wallets.find(c, ["STU-1"]))["STU-1"]
    assert (found.balance, found.available, found.overdraft_limit) == (-500, 0, 500)


@pytest.mark.parametrize(
    ("action", "fields", "code"),
    [
        ("wallet.adjust", ADJUST | {"amount": 0}, Code.INVALID_REQUEST),
        ("wallet.adjust", ADJUST | {"amount": -1_001}, Code.INSUFFICIENT_FUNDS),
        ("wallet.payout", PAY_OUT | {"amount": 1_001}, Code.INSUFFICIENT_FUNDS),
        ("wallet.dormant", {"account": "STU-9"}, Code.WALLET_NOT_FOUND),
    ],
)
def test_what_is_refused(school: School, action: str, fields: dict[str, Any], code: Code) -> None:
    with pytest.raises(DomainError) as refusal:
        school.run(action, **fields)
    assert refusal.value.code == code
