"""Each request of the API's table of shapes: its status, every field of its answer, and what reads say afterwards."""

from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tests.support.service import Client, Service, fresh_key, fresh_name, ok, refused

RECEIPT = {"number", "qr"}
WALLET = {"account", "currency", "payer", "balance", "held", "available", "overdraft_limit", "status"}
INVOICE = {"id", "number", "status", "payer", "currency", "total", "open", "due_date", "lines"}
ACCOUNT = {"code", "name", "type", "role", "currency", "debits", "credits", "balance"}


@pytest.fixture(scope="module")
def quiet(service: Service) -> Client:
    """A school in which little happens, so that its lists are short."""
    service.register("quiet", "KE")
    return service.client_of(service.create_key("quiet", "office", "admin"))


def wallet(account: str, balance: int, *, currency: str = "KES", payer: str = "") -> dict:
    return {
        "account": account,
        "currency": currency,
        "payer": payer or account,
        "balance": balance,
        "held": 0,
        "available": balance,
        "overdraft_limit": 0,
        "status": "open",
    }


def check_transaction(service, answer, response) -> None:
    """The transaction is a command of that id which ends at the position that the answer names."""
    assert UUID(answer["transaction_id"]).version == 7
    (position,) = service.row("SELECT position FROM commands WHERE id = %s", answer["transaction_id"])
    assert response.headers["bursar-position"] == str(position)
    assert answer["receipt"].keys() == RECEIPT
    assert answer["receipt"]["number"].startswith(f"RCT-{datetime.now(UTC).year}-")
    assert answer["receipt"]["qr"].startswith(f"{service.url}/v2/finance/receipts/")


def today(zone: str) -> str:
    return datetime.now(ZoneInfo(zone)).date().isoformat()


def test_ping(service, admin):
    response = admin.get("ping")
    found = ok(response, 200)
    assert found["tenant"] == "greenhill"
    assert found["version"]
    assert found["position"] == service.head()
    assert {"wallets", "ledger", "invoices"} <= found["projections"].keys()
    assert min(found["projections"].values()) == int(response.headers["bursar-position"])


def test_open_and_read_a_wallet(admin):
    account = fresh_name("Stu")
    response = admin.post("wallets", {"account": account.lower(), "currency": "KES"}, key=None)
    assert ok(response, 201) == wallet(account.upper(), 0)
    read = admin.get(f"wallets/{account.lower()}")
    assert ok(read, 200) == wallet(account.upper(), 0)
    assert int(read.headers["bursar-position"]) >= int(response.headers["bursar-position"])


def test_a_wallet_that_another_pays_for(admin):
    account = fresh_name()
    body = {"account": account, "currency": "KES", "payer": "par-1"}
    assert ok(admin.post("wallets", body)) == wallet(account, 0, payer="PAR-1")
    assert ok(admin.get(f"wallets/{account}"))["payer"] == "PAR-1"


@pytest.mark.parametrize(
    ("source", "role"),
    [("cash", "till_cash"), ("bank", "bank"), ("card", "card_clearing"), ("mpesa", "mpesa_clearing")],
)
def test_top_up(service, admin, source, role):
    account = admin.wallet()
    before = admin.accounts()
    body = {"amount": 150000, "currency": "KES", "source": {"type": source, "reference": fresh_name("ref")}}
    response = admin.post(f"wallets/{account.lower()}/top-up", body)
    answer = ok(response, 201)
    assert answer.keys() == {"transaction_id", "wallet", "receipt"}
    assert answer["wallet"] == wallet(account, 150000)
    check_transaction(service, answer, response)
    after = admin.accounts()
    assert after[role]["debits"] - before[role]["debits"] == 150000
    assert after["wallet_liability"]["credits"] - before["wallet_liability"]["credits"] == 150000


@pytest.mark.parametrize(("given", "role"), [({}, "sales"), ({"income": "meals"}, "meals")])
def test_charge(service, admin, given, role):
    account = admin.wallet(1000)
    before = admin.accounts()[role]["balance"]
    body = {"amount": 400, "currency": "KES", "description": "Library fine", **given}
    response = admin.post(f"wallets/{account}/charge", body)
    answer = ok(response, 201)
    assert answer.keys() == {"transaction_id", "wallet", "receipt"}
    assert answer["wallet"] == wallet(account, 600)
    check_transaction(service, answer, response)
    assert admin.accounts()[role]["balance"] - before == 400


def test_an_invoice_from_draft_to_paid(service, admin):
    payer = admin.wallet(700)
    lines = [
        {"description": "Tuition", "quantity": 2, "unit_amount": 300, "income": "tuition", "tax_code": "A"},
        {"description": "Hostel", "quantity": 3, "total": 400, "income": "hostel"},
    ]
    body = {
        "payer": payer.lower(),
        "currency": "KES",
        "due_date": "2026-12-15",
        "lines": lines,
        "issue": False,
    }
    draft = ok(admin.post("invoices", body), 201)
    assert draft.keys() == INVOICE
    assert {name: draft[name] for name in ("number", "status", "payer", "currency", "total", "open")} == {
        "number": None,
        "status": "draft",
        "payer": payer,
        "currency": "KES",
        "total": 1000,
        "open": 0,
    }
    assert [line["total"] for line in draft["lines"]] == [600, 400]
    assert draft["lines"][0].keys() == {
        "description",
        "quantity",
        "discount",
        "net",
        "tax",
        "total",
        "income",
        "tax_code",
    }
    path = f"invoices/{draft['id']}"
    read = ok(admin.get(path), 200)
    assert read == draft

    receivables = admin.accounts()["receivables"]["balance"]
    issued = ok(admin.post(f"{path}/issue", {}), 200)
    assert issued["number"].startswith("INV-")
    assert issued == draft | {"number": issued["number"], "status": "issued", "open": 1000}
    assert ok(admin.get(path)) == issued
    assert admin.accounts()["receivables"]["balance"] - receivables == 1000

    response = admin.settle(draft["id"], {"type": "wallet"}, {"type": "cash", "amount": 100})
    settled = ok(response, 200)
    assert settled.keys() == {"transaction_id", "invoice", "receipt"}
    check_transaction(service, settled, response)
    assert settled["invoice"] == issued | {"status": "partially_paid", "open": 200}
    assert ok(admin.get(path)) == settled["invoice"]
    paid = ok(admin.settle(draft["id"], {"type": "bank", "reference": "slip-1"}))
    assert paid["invoice"] == issued | {"status": "paid", "open": 0}
    assert ok(admin.get(path)) == paid["invoice"]
    assert admin.accounts()["receivables"]["balance"] == receivables


def test_an_invoice_issued_at_once_and_without_a_body(admin):
    assert admin.invoice()["status"] == "issued"
    draft = admin.invoice(issue=False)
    assert ok(admin.post(f"invoices/{draft['id']}/issue", b""), 200)["status"] == "issued"


def test_invoices_by_payer_and_status(quiet):
    payer = fresh_name("P")
    draft, issued, paid = (quiet.invoice(payer=payer, issue=n > 0) for n in range(3))
    paid = ok(quiet.settle(paid["id"], {"type": "cash"}))["invoice"]
    quiet.invoice()

    def found(**filters):
        return [one["id"] for one in ok(quiet.get("invoices", **filters))["data"]]

    assert found(payer=payer) == [draft["id"], issued["id"], paid["id"]]
    assert found(payer=payer.lower(), status="issued") == [issued["id"]]
    assert found(payer=payer, status="paid") == [paid["id"]]
    assert draft["id"] in found(status="draft", limit=500)
    assert found(payer=payer, status="void") == []
    assert ok(quiet.get("invoices", payer=payer, status="paid"))["data"] == [paid]


def test_checkout_and_refund(service, admin):
    account = admin.wallet(700)
    line = {"sku": "meal", "description": "Lunch", "quantity": 4, "unit_amount": 250, "tax_code": "A"}
    response = admin.checkout([line], {"type": "wallet"}, {"type": "cash"}, wallet=account.lower())
    answer = ok(response, 201)
    assert answer.keys() == {"transaction_id", "sale", "wallet", "receipt"}
    assert answer["sale"] == {
        "id": answer["transaction_id"],
        "receipt": answer["receipt"]["number"],
        "customer": account,
        "currency": "KES",
        "net": 1000,
        "discount": 0,
        "tax": 0,
        "total": 1000,
        "rounding": 0,
        "payable": 1000,
        "taxes": [],
        "refunded": 0,
        "lines": [
            {
                "sku": "MEAL",
                "description": "Lunch",
                "quantity": 4,
                "discount": 0,
                "net": 1000,
                "tax": 0,
                "total": 1000,
                "income": "sales",
                "tax_code": "A",
            }
        ],
        "tenders": [{"type": "wallet", "amount": 700}, {"type": "cash", "amount": 300}],
    }
    assert answer["wallet"] == wallet(account, 0)
    check_transaction(service, answer, response)

    response = admin.refund(answer["sale"]["id"], lines=[{"line": 1, "quantity": 2}])
    back = ok(response, 201)
    assert back.keys() == {"transaction_id", "sale", "refund", "wallet", "receipt"}
    assert back["transaction_id"] != answer["transaction_id"]
    assert back["sale"] == answer["sale"] | {"refunded": 500}
    assert back["refund"]["tenders"] == [{"type": "cash", "amount": 300}, {"type": "wallet", "amount": 200}]
    assert back["wallet"] == wallet(account, 200)
    check_transaction(service, back, response)
    read = ok(admin.get(f"sales/{answer['sale']['id']}"))
    assert {name: read.pop(name) for name in back["sale"]} == back["sale"]
    assert read.keys() == {"effective_date", "recorded_at", "position"}


def test_a_sale_of_another_school_does_not_exist(admin, foreign):
    sale = ok(admin.checkout([250], {"type": "cash"}))["sale"]["id"]
    refused(foreign.get(f"sales/{sale}"), 404, "sale_not_found")
    refused(admin.get("sales/RCT-2026-000001"), 404, "sale_not_found")


def test_a_sale_without_a_wallet(admin):
    answer = ok(admin.checkout([250], {"type": "cash"}, customer="VIS-1"))
    assert answer.keys() == {"transaction_id", "sale", "receipt"}
    assert ok(admin.refund(answer["sale"]["id"], amount=100)).keys() == {
        "transaction_id",
        "sale",
        "refund",
        "receipt",
    }


def test_accounts_are_the_trial_balance(admin):
    admin.wallet(500)
    found = ok(admin.get("accounts"), 200)["data"]
    assert all(account.keys() == ACCOUNT for account in found)
    assert {account["type"] for account in found} == {"asset", "liability", "equity", "income", "expense"}
    assert sum(account["debits"] for account in found) == sum(account["credits"] for account in found) > 0
    for account in found:
        sign = 1 if account["type"] in ("asset", "expense") else -1
        assert account["balance"] == sign * (account["debits"] - account["credits"])
    one = next(account for account in found if account["role"] == "wallet_liability")
    assert ok(admin.get(f"accounts/{one['code']}/balance")) == one


def test_the_entries_of_an_account_run_to_its_balance(admin):
    admin.wallet(500)
    safe = admin.accounts()["till_cash"]
    entries, cursor = [], {}
    while True:
        page = ok(admin.get(f"accounts/{safe['code']}/entries", limit=500, **cursor))
        entries += page["data"]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next"]}
    balance = 0
    for entry in entries:
        balance += entry["debit"] - entry["credit"]
        assert entry["balance"] == balance
    assert [entry["position"] for entry in entries] == sorted({entry["position"] for entry in entries})
    assert balance == safe["balance"]
    assert {"position", "transaction_id", "effective_date", "recorded_at"} < entries[-1].keys()


def test_a_statement(admin):
    account = admin.wallet()
    paid = ok(admin.top_up(account, 1000))
    body = {"amount": 300, "currency": "KES", "description": "Fine"}
    charged = ok(admin.post(f"wallets/{account}/charge", body))
    found = ok(admin.get("statements", account=account.lower()), 200)
    lines = found.pop("lines")
    assert found == {
        "account": account,
        "currency": "KES",
        "order": "effective",
        "opening_balance": 0,
        "closing_balance": 700,
        "next": None,
        "has_more": False,
    }
    day = today("Africa/Nairobi")
    assert [
        (line["transaction_id"], line["effective_date"], line["description"], line["amount"], line["balance"])
        for line in lines
    ] == [
        (paid["transaction_id"], day, "Top-up, cash", 1000, 1000),
        (charged["transaction_id"], day, "Fine", -300, 700),
    ]
    assert lines[0].keys() == {
        "position",
        "transaction_id",
        "recorded_at",
        "effective_date",
        "description",
        "amount",
        "balance",
    }
    assert all(datetime.fromisoformat(line["recorded_at"]).utcoffset() is not None for line in lines)
    assert all(line["recorded_at"].endswith("Z") for line in lines)


def test_a_statement_with_back_dated_movements(admin):
    account = admin.wallet()

    def top_up(amount, day):
        body = {"amount": amount, "currency": "KES", "source": {"type": "cash"}, "effective_date": day}
        return int(admin.post(f"wallets/{account}/top-up", body).headers["bursar-position"])

    positions = [
        top_up(100, "2026-03-02"),
        top_up(10, "2026-03-01"),
        top_up(1, "2026-03-02"),
        top_up(5, "2026-02-01"),
    ]
    whole = ok(admin.get("statements", account=account))
    assert [(line["amount"], line["balance"]) for line in whole["lines"]] == [
        (5, 5),
        (10, 15),
        (100, 115),
        (1, 116),
    ]
    assert [line["position"] for line in whole["lines"]] == [positions[n] for n in (3, 1, 0, 2)]

    march = {"account": account, "from": "2026-03-01", "to": "2026-03-02"}
    found = ok(admin.get("statements", **march))
    assert (found["opening_balance"], found["closing_balance"]) == (5, 116)
    assert [line["balance"] for line in found["lines"]] == [15, 115, 116]
    day = ok(admin.get("statements", **march | {"to": "2026-03-01"}))
    assert (day["opening_balance"], day["closing_balance"], len(day["lines"])) == (5, 15, 1)

    pages, cursor = [], {}
    for _ in range(3):
        page = ok(admin.get("statements", **march, **cursor, limit=1))
        assert (page["opening_balance"], page["closing_balance"]) == (5, 116)
        pages += page["lines"]
        cursor = {"cursor": page["next"]}
    assert (page["has_more"], page["next"]) == (False, None)
    assert pages == found["lines"]


@pytest.mark.parametrize("path", ["wallets", "invoices", "accounts/1000/entries", "statements"])
def test_lists_page_by_cursor(quiet, path):
    account = quiet.wallet(100)
    for _ in range(3):
        quiet.wallet()
        ok(quiet.top_up(account, 100))
        quiet.invoice(payer=account)
    own = {"statements": {"account": account}, "invoices": {"payer": account}}.get(path, {})
    name = "lines" if path == "statements" else "data"
    whole = ok(quiet.get(path, limit=500, **own))
    assert not whole["has_more"]
    found, cursor = [], {}
    size = max(1, len(whole[name]) // 3)
    while True:
        page = ok(quiet.get(path, limit=size, **own, **cursor))
        found += page[name]
        assert page["has_more"] == (page["next"] is not None)
        if not page["has_more"]:
            break
        assert len(page[name]) == size
        cursor = {"cursor": page["next"]}
    assert found == whole[name]
    assert len(found) >= 3


def test_bulk(admin):
    account = fresh_name()
    top_up = {"account": account, "amount": 500, "currency": "KES", "source": {"type": "cash"}}
    keys = [fresh_key() for _ in range(3)]
    found = admin.bulk(
        [
            {
                "action": "wallet.open",
                "idempotency_key": keys[0],
                "data": {"account": account, "currency": "KES"},
            },
            {"action": "wallet.top_up", "idempotency_key": keys[1], "data": top_up},
            {
                "action": "wallet.charge",
                "idempotency_key": keys[2],
                "data": {"account": account, "amount": 501, "currency": "KES", "description": "Too much"},
            },
        ]
    )
    assert [(one["status"], one["code"], one["replayed"]) for one in found] == [
        (201, None, False),
        (201, None, False),
        (409, "insufficient_funds", False),
    ]
    assert found[1]["data"].keys() == {"transaction_id", "wallet", "receipt"}
    assert found[1]["position"] == found[0]["position"] + 4
    assert (found[2]["position"], found[2]["data"]) == (None, None)


def test_export(admin):
    response = admin.post("quickbooks/export", {}, key=None)
    answer = ok(response, 202)
    assert answer.keys() == {"batch_id", "status"}
    assert answer["status"] == "queued"
    found = ok(admin.get(f"quickbooks/exports/{answer['batch_id']}"), 200)
    assert found["batch_id"] == answer["batch_id"]
    assert found["status"] == "queued"
    assert found["documents"] == {}


def test_the_other_country(foreign):
    account = foreign.wallet(2500, currency="CAD")
    assert ok(foreign.get(f"wallets/{account}")) == wallet(account, 2500, currency="CAD")
    line = ok(foreign.get("statements", account=account))["lines"][0]
    assert line["effective_date"] == today("America/Toronto")
    assert ok(foreign.get("ping"))["currency"] == "CAD"


def test_a_receipt_can_be_checked_by_anybody(service, admin):
    nobody = service.client_of(None)
    sale = ok(admin.checkout([1000], {"type": "cash"}))
    address = sale["receipt"]["qr"]
    response = nobody.http.get(address)
    found = ok(response, 200)
    assert {name: found[name] for name in ("number", "status", "kind", "amount", "currency")} == {
        "number": sale["receipt"]["number"],
        "status": "valid",
        "kind": "sale",
        "amount": 1000,
        "currency": "KES",
    }
    assert "greenhill" not in response.text
    back = ok(admin.refund(sale["sale"]["id"], amount=400))
    # The refund was made a moment ago by somebody else, so that this read need not see it yet.
    ok(admin.get("ping", headers={"Bursar-Min-Position": str(service.head())}))
    found = ok(nobody.http.get(address))
    assert (found["status"], found["refunded"]) == ("refunded", 400)
    assert ok(nobody.http.get(back["receipt"]["qr"]))["kind"] == "refund"
