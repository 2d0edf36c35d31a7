"""Transactions are read back: what each posted, of which documents, by whom and why, and found by all that moved."""

from datetime import date, timedelta
from typing import Any

import pytest

from projections.views import transactions
from tests.support.service import Client, fresh_key, fresh_name, ok, refused

TODAY = date.today()  # noqa: DTZ011  of the machine, which the tests date back from
CASH = {"type": "cash"}


def day(ago: int) -> str:
    return (TODAY - timedelta(days=ago)).isoformat()


def postings(one: Any) -> list[tuple[str, str, int]]:
    return [(each["side"], each["role"], each["amount"]) for each in one["postings"]]


def get(client: Client, answer: Any) -> Any:
    return ok(client.get(f"transactions/{answer['transaction_id']}"))


def ids(client: Client, limit: int = 500, **filters: object) -> list[str]:
    rows: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = ok(client.get("transactions", limit=limit, **filters, **cursor))
        assert len(page["data"]) <= limit
        rows += [one["transaction_id"] for one in page["data"]]
        if not page["has_more"]:
            return rows
        cursor = {"cursor": page["next"]}


# --- one


def test_a_top_up(service, admin):
    account = admin.wallet()
    body = {"amount": 700, "currency": "KES", "source": CASH, "effective_date": day(3)}
    response = admin.post(f"wallets/{account}/top-up", body, headers={"Bursar-Reason": "Fête".encode()})
    answer = ok(response)
    found = get(admin, answer)
    codes = {role: one["code"] for role, one in admin.accounts().items()}
    assert found == {
        "transaction_id": answer["transaction_id"],
        "action": "wallet.top_up",
        "effective_date": day(3),
        "recorded_at": found["recorded_at"],
        "position": int(response.headers["bursar-position"]) - 3,
        "actor": f"ADMIN/{service.keys['admin'][:11]}",
        "reason": "Fête",
        "description": "Top-up, cash",
        "receipt": answer["receipt"]["number"],
        "wallet": account,
        "metadata": {},
        "postings": [
            {"code": codes[role], "role": role, "side": side, "amount": 700, "currency": "KES"}
            for side, role in (("debit", "till_cash"), ("credit", "wallet_liability"))
        ],
        "documents": [
            {"kind": "top_up", "id": answer["transaction_id"], "number": answer["receipt"]["number"]}
        ],
        "reverses": None,
        "reversed_by": None,
    }
    assert found["recorded_at"][:10] >= day(1)


def test_a_sale_and_its_refund(admin):
    account = admin.wallet(600)
    sold = ok(admin.checkout([1000], {"type": "wallet"}, CASH, wallet=account))
    found = get(admin, sold)
    assert found["action"] == "pos.checkout"
    assert postings(found) == [
        ("debit", "wallet_liability", 600), ("debit", "till_cash", 400), ("credit", "sales", 1000),
    ]  # fmt: skip
    sale = {"kind": "sale", "id": sold["sale"]["id"], "number": sold["receipt"]["number"]}
    assert found["documents"] == [sale]
    refunded = ok(admin.refund(sold["sale"]["id"], amount=500))
    found = get(admin, refunded)
    assert found["action"] == "pos.refund"
    receipt = {"kind": "refund", "id": refunded["transaction_id"], "number": refunded["receipt"]["number"]}
    assert found["documents"] == [receipt, sale | {"number": None}]


def test_an_invoice_and_its_settlement(admin):
    account = admin.wallet(300)
    invoice = admin.invoice(1000, payer=account)
    document = {"kind": "invoice", "id": invoice["id"], "number": invoice["number"]}
    found = ok(admin.get(f"transactions/{invoice['id']}"))
    assert (found["action"], found["documents"]) == ("invoice.create", [document])
    assert postings(found) == [("debit", "receivables", 1000), ("credit", "tuition", 1000)]
    paid = ok(
        admin.settle(invoice["id"], {"type": "wallet", "account": account}, {"type": "cash", "amount": 500})
    )
    found = get(admin, paid)
    assert found["action"] == "invoice.settle"
    receipt = {"kind": "settlement", "id": paid["transaction_id"], "number": paid["receipt"]["number"]}
    assert found["documents"] == [receipt, document]


def test_commands_that_commit_together_are_a_transaction_each(admin):
    account, payer = admin.wallet(), fresh_name("P")
    line = {"description": "Bus", "quantity": 1, "total": 50, "income": "transport", "tax_code": "A"}
    bill = {"payer": payer, "currency": "KES", "due_date": "2030-01-01", "lines": [line]}
    draft = admin.invoice(70, issue=False)
    money = {"account": account, "amount": 900, "currency": "KES"}
    elements = [
        ("wallet.top_up", {**money, "source": CASH}),
        ("invoice.create", {**bill, "issue": True}),
        ("invoice.create", {**bill, "issue": False}),
        ("invoice.issue", {"invoice": draft["id"]}),
        ("wallet.charge", {**money, "description": "Trip"}),
    ]
    body = [{"action": action, "idempotency_key": fresh_key(), "data": data} for action, data in elements]
    answers = [one["data"] for one in ok(admin.post("bulk", body, key=None, atomic="true"))["data"]]
    top_up, created, charge = get(admin, answers[0]), answers[1], get(admin, answers[4])
    assert (top_up["action"], charge["action"]) == ("wallet.top_up", "wallet.charge")
    assert postings(top_up) == [("debit", "till_cash", 900), ("credit", "wallet_liability", 900)]
    assert [one["number"] for one in top_up["documents"]] == [answers[0]["receipt"]["number"]]
    assert [one["number"] for one in charge["documents"]] == [answers[4]["receipt"]["number"]]
    billed = ok(admin.get(f"transactions/{created['id']}"))
    assert (billed["action"], billed["documents"][0]["number"]) == ("invoice.create", created["number"])
    refused(admin.get(f"transactions/{answers[2]['id']}"), 404, "transaction_not_found")
    (issued,) = ok(admin.get("transactions", action="invoice.issue", limit=1))["data"]
    assert issued["documents"] == [{"kind": "invoice", "id": draft["id"], "number": answers[3]["number"]}]
    assert ids(admin, wallet=account) == [charge["transaction_id"], top_up["transaction_id"]]


def test_a_reversal_and_what_it_took_back_point_at_each_other(admin):
    account = admin.wallet()
    body = {"amount": 40, "currency": "KES", "source": CASH, "metadata": {"shift": "am"}}
    topped_up = ok(admin.post(f"wallets/{account}/top-up", body))
    path = f"transactions/{topped_up['transaction_id']}/reverse"
    taken_back = ok(admin.post(path, {"reason": "Wrong wallet"}))
    first, second = get(admin, topped_up), get(admin, taken_back)
    assert (first["reverses"], first["reversed_by"]) == (None, taken_back["transaction_id"])
    assert (second["reverses"], second["reversed_by"]) == (topped_up["transaction_id"], None)
    assert (first["metadata"], second["metadata"]) == ({"shift": "am"}, {})
    assert (second["action"], second["reason"]) == ("transaction.reverse", "Wrong wallet")
    assert postings(second) == [("debit", "wallet_liability", 40), ("credit", "till_cash", 40)]


def test_reversals_and_transfers_that_commit_together(admin):
    account, other = admin.wallet(100), fresh_name("W")
    ok(admin.post("wallets", {"account": other, "currency": "KES", "payer": account}))
    body = {"amount": 10, "currency": "KES", "description": "Trip"}
    charged = ok(admin.post(f"wallets/{account}/charge", body))
    elements = [
        ("wallet.transfer", {"from": account, "to": other, "amount": 20, "currency": "KES"}),
        ("transaction.reverse", {"transaction": charged["transaction_id"], "reason": "Twice"}),
        ("wallet.transfer", {"from": other, "to": account, "amount": 5, "currency": "KES"}),
    ]
    body = [{"action": action, "idempotency_key": fresh_key(), "data": data} for action, data in elements]
    answers = [one["data"] for one in ok(admin.post("bulk", body, key=None, atomic="true"))["data"]]
    found = [get(admin, one) for one in answers]
    assert [one["action"] for one in found] == [action for action, _ in elements]
    assert [len(one["documents"]) for one in found] == [0, 1, 0]
    assert found[1]["reverses"] == charged["transaction_id"]


def test_what_is_no_transaction(admin, foreign):
    answer = ok(admin.top_up(admin.wallet(), 5))
    draft = admin.invoice(issue=False)
    for path in (draft["id"], "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57", "x"):
        found = refused(admin.get(f"transactions/{path}"), 404, "transaction_not_found")
        assert found["detail"] == f"There is no transaction {path}."
    refused(foreign.get(f"transactions/{answer['transaction_id']}"), 404, "transaction_not_found")


# --- lists


@pytest.fixture
def moved(admin) -> tuple[str, list[str]]:
    """A wallet and the transactions that moved it: two of three days ago, two of yesterday, one of today."""
    account = admin.wallet()
    money = {"amount": 1000, "currency": "KES"}
    made = []
    for ago, path, body in (
        (3, "top-up", {"source": CASH}),
        (1, "top-up", {"source": {"type": "bank"}}),
        (1, "charge", {"description": "Trip", "income": "transport"}),
        (0, "charge", {"description": "Shop", "amount": 100, "income": "shop"}),
        (3, "top-up", {"source": CASH}),
    ):
        dated = {"effective_date": day(ago)} if ago else {}
        answer = ok(admin.post(f"wallets/{account}/{path}", {**money, **body, **dated}))
        made.append(answer["transaction_id"])
    return account, made


@pytest.mark.parametrize("limit", [1, 2, 500])
def test_filters_add_up(admin, moved, limit):
    account, made = moved
    codes = {role: one["code"] for role, one in admin.accounts().items()}

    def found(**filters: object) -> list[int]:
        return [made.index(one) for one in ids(admin, limit, **filters) if one in made]

    def wallets(**filters: object) -> list[int]:
        listed = ids(admin, limit, wallet=account, **filters)
        return [made.index(one) for one in listed]

    assert wallets() == [3, 2, 1, 4, 0]
    assert wallets(action="wallet.charge") == [3, 2]
    assert wallets(action="pos.checkout") == []
    assert wallets(account=codes["till_cash"]) == [4, 0]
    assert wallets(account=codes["shop"], action="wallet.charge") == [3]
    assert wallets(account=codes["shop"], action="wallet.top_up") == []
    assert wallets(**{"from": day(1)}) == [3, 2, 1]
    assert wallets(to=day(1)) == [2, 1, 4, 0]
    assert wallets(**{"from": day(2), "to": day(1)}) == [2, 1]
    if limit == 500:
        assert found(**{"from": day(3)}) == [3, 2, 1, 4, 0]
        assert found(account=codes["wallet_liability"], **{"from": day(3)}) == [3, 2, 1, 4, 0]
        assert found(account=codes["till_cash"], action="wallet.top_up", to=day(3)) == [4, 0]
        assert found(action="wallet.charge", **{"from": day(1)}) == [3, 2]
    assert ids(admin, account="9999") == ids(admin, wallet="NOBODY") == ids(admin, action="a.b") == []


def test_a_transaction_that_moves_a_wallet_twice_is_listed_once(admin):
    account = admin.wallet(1000)
    shares = [{"type": "wallet", "account": account, "amount": 100}] * 3
    sold = [ok(admin.checkout([300], *shares))["transaction_id"] for _ in range(3)]
    for limit in (1, 2, 500):
        assert ids(admin, limit, wallet=account)[:3] == sold[::-1]
        assert ids(admin, limit, wallet=account, action="pos.checkout") == sold[::-1]


def test_another_school_sees_none(admin, foreign, moved):
    account, made = moved
    assert ids(foreign, wallet=account) == []
    assert not set(ids(foreign)) & set(made)


def test_who_may(service, admin):
    answer = ok(admin.top_up(admin.wallet(), 5))
    for path in ("transactions", f"transactions/{answer['transaction_id']}"):
        found = refused(service.client("cashier").get(path), 403, "capability_missing")
        assert found["capability"] == "account.read"
        ok(service.client("auditor").get(path))


def test_the_bound_of_a_page_is_told(service, admin):
    document = admin.http.get(f"{service.url}/openapi.json").json()
    told = document["paths"]["/v2/finance/transactions"]["get"]["description"]
    assert f"at most {transactions.MAX_EXAMINED:,} movements" in told
