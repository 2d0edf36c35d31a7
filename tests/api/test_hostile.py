"""Texts and names that look like something else: what is stored, projected and told is what was sent."""

import pytest

from tests.support.service import fresh_name, ok, refused

TEXTS = [
    '"amount":5',
    '","amount":5,"x":"',
    '\\","amount":5,"x":"',
    '\\\\","amount":5,"x":"',
    '"amount":5}',
    '{"amount":5,"open":0,"total":5,"account":"X","transaction_id":"0"}',
    "amount",
    '"',
    "\\",
    '\\"',
    '"' * 500,
    "\\" * 500,
    "\\u0000 \\ud800",
    "\N{GRINNING FACE}" * 500,
    "e\N{COMBINING ACUTE ACCENT} \N{RIGHT-TO-LEFT OVERRIDE}abc \N{NO-BREAK SPACE} \N{REPLACEMENT CHARACTER}",
    "'; DROP TABLE events; --",
    "%s %(amount)s {0} $1 ${x} <script>",
    '"description":"fooled","receipt":"RCT-0"',
    "null",
    " x ",
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_texts(service, admin, text):
    account = admin.wallet(1000)
    before = admin.accounts()

    answer = ok(
        admin.post(f"wallets/{account}/charge", {"amount": 70, "currency": "KES", "description": text})
    )
    line = ok(admin.get("statements", account=account))["lines"][-1]
    assert (line["description"], line["amount"], line["balance"]) == (text, -70, 930)
    assert line["transaction_id"] == answer["transaction_id"]

    sold = {"sku": "A", "description": text, "quantity": 2, "total": 60, "tax_code": "A"}
    sale = ok(admin.checkout([sold], {"type": "wallet"}, wallet=account))
    back = ok(admin.refund(sale["sale"]["id"], amount=10))
    assert back["wallet"]["balance"] == 880
    checked = ok(service.client_of(None).http.get(sale["receipt"]["qr"]))
    assert checked["amount"] == 60

    billed = {"description": text, "quantity": 1, "total": 300, "income": "tuition"}
    body = {
        "payer": account,
        "currency": "KES",
        "due_date": "2026-12-31",
        "lines": [billed] * 2,
        "issue": True,
    }
    invoice = ok(admin.post("invoices", body))
    assert ok(admin.get(f"invoices/{invoice['id']}")) == invoice
    assert [line["description"] for line in invoice["lines"]] == [text] * 2
    settled = ok(admin.settle(invoice["id"], {"type": "wallet", "amount": 500}))
    assert ok(admin.get(f"invoices/{invoice['id']}")) == settled["invoice"]
    assert settled["invoice"]["open"] == 100

    assert ok(admin.get(f"wallets/{account}"))["balance"] == 380
    after = admin.accounts()
    moved = {role: after[role]["balance"] - before[role]["balance"] for role in after}
    assert {role: amount for role, amount in moved.items() if amount} == {
        "wallet_liability": 380 - 1000,
        "receivables": 100,
        "sales": 130,
        "sales_returns": -10,
        "tuition": 600,
    }


@pytest.mark.parametrize(
    "name", ["AMOUNT", "amount.5", "NULL", "true", "0", "A.B_C-D", "description", "X" * 33, "5.-_", "1E9"]
)
def test_names(service, admin, name):
    account = f"{name}-{fresh_name('N')}"[-40:]
    account = account if account[0].isalnum() else f"0{account[1:]}"
    ok(admin.post("wallets", {"account": account, "currency": "KES", "payer": name}))
    reference = fresh_name(name[:20])
    body = {"amount": 500, "currency": "KES", "source": {"type": "mpesa", "reference": reference}}
    ok(admin.post(f"wallets/{account}/top-up", body))
    line = {"sku": name, "quantity": 1, "total": 120, "tax_code": "A"}
    ok(admin.checkout([line], {"type": "wallet"}, wallet=account, customer=name))
    invoice = admin.invoice(80, payer=account)
    tender = {"type": "card", "amount": 100, "reference": reference}
    ok(admin.settle(invoice["id"], tender))
    found = ok(admin.get("statements", account=account))
    assert found["account"] == account.upper()
    assert [line["amount"] for line in found["lines"]] == [500, -120, 20]
    assert found["closing_balance"] == 400 == admin.balance(account)
    stored = service.row(
        "SELECT tender, amount, account, reference FROM finance_payments WHERE invoice = %s", invoice["id"]
    )
    assert stored == ("card", 80, None, reference.upper())


def test_the_largest_amounts(service, admin):
    account = admin.wallet()
    for n in range(1, 12):
        assert ok(admin.top_up(account, 10**10))["wallet"]["balance"] == n * 10**10
    assert admin.balance(account) == 11 * 10**10
    lines = ok(admin.get("statements", account=account))["lines"]
    assert [line["balance"] for line in lines] == [n * 10**10 for n in range(1, 12)]
    charge = {"amount": 10**10, "currency": "KES", "description": "All of it"}
    ok(admin.post(f"wallets/{account}/charge", charge))
    assert admin.balance(account) == 10**11
    with service.nothing_written():
        for response in (
            admin.top_up(account, 10**10 + 1),
            admin.post(f"wallets/{account}/charge", charge | {"amount": 10**10 + 1}),
            admin.checkout([6 * 10**9, 6 * 10**9], {"type": "cash"}),
            create_invoice(admin, 10**10 + 1, issue=False),
        ):
            assert refused(response, 422, "amount_too_large")["largest_amount"] == 10**10


def create_invoice(admin, total, *, issue):
    line = {"description": "Tuition", "quantity": 1, "total": total, "income": "tuition"}
    body = {"payer": fresh_name("P"), "currency": "KES", "due_date": "2030-12-31", "issue": issue}
    return admin.post("invoices", {**body, "lines": [line]})


@pytest.mark.parametrize("day", ["1970-01-01", "2000-02-29", "2024-02-29"])
def test_days_long_ago(admin, day):
    account = admin.wallet()
    body = {"amount": 5, "currency": "KES", "source": {"type": "cash"}, "effective_date": day}
    ok(admin.post(f"wallets/{account}/top-up", body))
    found = ok(admin.get("statements", account=account, **{"from": day, "to": day}))
    assert [(line["effective_date"], line["balance"]) for line in found["lines"]] == [(day, 5)]


@pytest.mark.parametrize("day", ["1970-01-01", "9999-12-31"])
def test_due_dates_at_the_ends_of_the_calendar(admin, day):
    line = {"description": "Tuition", "quantity": 1, "total": 10, "income": "tuition"}
    body = {"payer": "P", "currency": "KES", "due_date": day, "lines": [line], "issue": True}
    invoice = ok(admin.post("invoices", body))
    assert ok(admin.get(f"invoices/{invoice['id']}"))["due_date"] == day


@pytest.mark.parametrize("piece", [b"0,", b"{},", b"[],", b'"",'])
def test_a_bulk_of_nothings_is_refused_before_it_is_decoded(service, admin, piece):
    body = b"[" + piece * (15_000_000 // len(piece)) + piece.rstrip(b",") + b"]"
    with service.nothing_written():
        refused(admin.post("bulk", body), 422, "invalid_request")


def test_a_precondition_is_not_dropped_in_silence(admin):
    account = admin.wallet()
    refused(admin.top_up(account, 5, headers={"If-Match": '"1"'}), 422, "not_supported")
