"""The registers are read as an office needs them: receipts, wallets of a payer or with a balance, an account's days."""

from datetime import date, timedelta

import pytest

from projections.views import wallets
from tests.conftest import Database
from tests.support.projected import a_day, ask, catch_up, put
from tests.support.school import School
from tests.support.service import fresh_name, ok

TODAY = date.today()  # noqa: DTZ011  of the machine, which the tests date back from
CASH = {"type": "cash"}


def day(ago: int) -> str:
    return (TODAY - timedelta(days=ago)).isoformat()


def rows(client, path: str, limit: int = 500, **filters):
    found, cursor = [], {}
    while True:
        page = ok(client.get(path, limit=limit, **filters, **cursor))
        assert len(page["data"]) <= limit
        found += page["data"]
        if not page["has_more"]:
            return found
        cursor = {"cursor": page["next"]}


# --- receipts


def test_a_receipt_says_what_it_is_of(admin):
    account = admin.wallet()
    body = {"amount": 900, "currency": "KES", "source": CASH, "effective_date": day(2)}
    top_up = ok(admin.post(f"wallets/{account}/top-up", body))
    sold = ok(admin.checkout([500], {"type": "wallet"}, wallet=account))
    back = ok(admin.refund(sold["sale"]["id"], amount=100))
    invoice = admin.invoice(300)
    paid = ok(admin.settle(invoice["id"], CASH))
    nothing = {"sale": None, "invoice": None, "wallet": None}
    for answer, kind, amount, description, of in (
        (top_up, "top_up", 900, "Top-up, cash", {"wallet": account}),
        (sold, "sale", 500, f"Sale {sold['receipt']['number']}", {"sale": sold["sale"]["id"], "wallet": account}),
        (back, "refund", 100, f"Refund {back['receipt']['number']}",
         {"sale": sold["sale"]["id"], "wallet": account}),
        (paid, "settlement", 300, f"Payment of invoice {invoice['number']}", {"invoice": invoice["id"]}),
    ):  # fmt: skip
        number = answer["receipt"]["number"]
        (found,) = ok(admin.get("receipts", number=number.lower()))["data"]
        transaction = ok(admin.get(f"transactions/{answer['transaction_id']}"))
        assert found == {
            "number": number,
            "kind": kind,
            "amount": amount,
            "refunded": 100 if answer is sold else 0,
            "currency": "KES",
            "transaction_id": answer["transaction_id"],
            "recorded_at": found["recorded_at"],
            "effective_date": transaction["effective_date"],
            "position": transaction["position"],
            "description": description,
            **nothing,
            **of,
        }
        assert transaction["description"] == description
    assert ok(admin.get("receipts", number="RCT-1999-000001"))["data"] == []
    number = top_up["receipt"]["number"]
    assert [one["number"] for one in rows(admin, "receipts", number=number, to=day(2))] == [number]
    assert rows(admin, "receipts", number=number, **{"from": day(1)}) == []


@pytest.mark.parametrize("limit", [1, 2, 500])
def test_receipts_of_some_days_the_newest_first(admin, foreign, limit):
    made = []
    for ago in (21, 20, 22, 21):
        body = {"amount": 5, "currency": "KES", "source": CASH, "effective_date": day(ago)}
        made.append(ok(admin.post(f"wallets/{admin.wallet()}/top-up", body))["receipt"]["number"])
    admin.invoice(300, effective_date=day(21))  # an invoice has a number, and no receipt
    wanted = {"from": day(22), "to": day(20)}
    listed = [one["number"] for one in rows(admin, "receipts", limit, **wanted)]
    assert [made.index(number) for number in listed if number in made] == [1, 3, 0, 2]
    assert all(number.startswith("RCT") for number in listed)
    assert rows(foreign, "receipts", **wanted) == []


# --- wallets


@pytest.fixture
def family(admin) -> tuple[str, list[str]]:
    """A payer with four wallets of 0, 100, 200 and 300, of which the third is frozen."""
    payer = fresh_name("P")
    accounts = [f"{payer}-{n}" for n in range(4)]
    for n, account in enumerate(accounts):
        ok(admin.post("wallets", {"account": account, "currency": "KES", "payer": payer}))
        if n:
            ok(admin.top_up(account, 100 * n))
    ok(admin.post(f"wallets/{accounts[2]}/freeze", {}, headers={"Bursar-Reason": "lost"}))
    return payer, accounts


@pytest.mark.parametrize("limit", [1, 3, 500])
def test_wallets_of_a_payer(admin, foreign, family, limit):
    payer, accounts = family

    def found(**filters: object) -> list[int]:
        return [accounts.index(one["account"]) for one in rows(admin, "wallets", limit, **filters)]

    assert found(payer=payer.lower()) == [0, 1, 2, 3]
    assert found(payer=payer, status="frozen") == [2]
    assert found(payer=payer, status="open") == [0, 1, 3]
    assert found(payer=payer, min_balance=100) == [1, 2, 3]
    assert found(payer=payer, max_balance=100) == [0, 1]
    assert found(payer=payer, min_balance=100, max_balance=200, status="open") == [1]
    assert found(payer=payer, min_balance=301) == []
    assert rows(foreign, "wallets", payer=payer) == []
    frozen = rows(admin, "wallets", 500, status="frozen")
    assert accounts[2] in {one["account"] for one in frozen}
    assert {one["status"] for one in frozen} == {"frozen"}


def test_so_many_wallets_are_looked_at_for_a_balance(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    school = School()
    a_day(school)
    put(database, school)
    catch_up(database)
    monkeypatch.setattr(wallets, "MAX_EXAMINED", 1)

    def page(after: str | None):
        return ask(
            database,
            "greenhill",
            lambda c: wallets.wallets(c, max_balance=7_500, limit=5, after=after),
        )

    first = page(None)
    assert (first.data, first.next, first.has_more) == ([], "STU-1", True)
    second = page(first.next)
    assert [one.account for one in second.data] == ["STU-2"]


# --- the ledger


def test_the_trial_balance_ends_with_its_totals(admin):
    ok(admin.top_up(admin.wallet(), 5))
    found = ok(admin.get("accounts"))
    for side in ("debits", "credits"):
        assert found["totals"][side] == sum(one[side] for one in found["data"]) > 0
    assert found["totals"]["debits"] == found["totals"]["credits"]


@pytest.mark.parametrize("limit", [1, 3, 500])
def test_entries_of_some_days(admin, limit):
    code = admin.accounts()["bank"]["code"]
    account, made = admin.wallet(), []
    for ago in (14, 12, 13, 14):
        body = {"amount": 5, "currency": "KES", "source": {"type": "bank"}, "effective_date": day(ago)}
        made.append(ok(admin.post(f"wallets/{account}/top-up", body)))

    def found(**filters: object) -> list[int]:
        listed = rows(admin, f"accounts/{code}/entries", limit, **filters)
        known = {one["transaction_id"]: n for n, one in enumerate(made)}
        return [known[one["transaction_id"]] for one in listed if one["transaction_id"] in known]

    assert found(**{"from": day(14), "to": day(12)}) == [0, 3, 2, 1]
    assert found(**{"from": day(13)}) == [2, 1]
    assert found(to=day(14)) == [0, 3]
    assert found(**{"from": day(13), "to": day(13)}) == [2]
    assert found() == [0, 1, 2, 3]
    (last,) = rows(admin, f"accounts/{code}/entries", 500, **{"from": day(12), "to": day(12)})[-1:]
    assert (last["description"], last["receipt"]) == ("Top-up, bank", made[1]["receipt"]["number"])
    assert last["effective_date"] == day(12)


def test_an_entry_of_an_invoice_has_no_receipt(admin):
    invoice = admin.invoice(700)
    code = admin.accounts()["receivables"]["code"]
    found = rows(admin, f"accounts/{code}/entries", **{"from": day(1)})
    (entry,) = [one for one in found if one["transaction_id"] == invoice["id"]]
    assert (entry["description"], entry["receipt"]) == (f"Invoice {invoice['number']}", None)
