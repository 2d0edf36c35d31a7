"""`POST transactions/{id}/reverse`, as clients meet it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.support.bodies import charge, top_up
from tests.support.service import Client, fresh_key, fresh_name, ok, refused


def reverse(client: Client, transaction_id: str, **options: Any) -> httpx.Response:
    return client.post(f"transactions/{transaction_id}/reverse", {"reason": "Wrong wallet"}, **options)


def checked(service: Any, receipt: dict[str, str]) -> dict[str, Any]:
    """What the public check says of a receipt."""
    token = receipt["qr"].rsplit("/", 1)[-1]
    return ok(httpx.get(f"{service.url}/v2/finance/receipts/{token}"))


def test_a_top_up_is_taken_back(service, admin):
    account = admin.wallet(300)
    before = admin.accounts()
    made = ok(admin.top_up(account, 700))
    response = reverse(admin, made["transaction_id"])
    found = ok(response, 201)
    assert found["reverses"] == made["transaction_id"]
    assert [(one["account"], one["balance"]) for one in found["wallets"]] == [(account, 300)]
    lines = ok(admin.get("statements", account=account))["lines"]
    assert [line["amount"] for line in lines] == [300, 700, -700]
    assert lines[-1]["transaction_id"] == found["transaction_id"]
    assert lines[-1]["description"] == f"Reversal of {made['receipt']['number']}"
    assert {role: one["balance"] for role, one in admin.accounts().items()} == {
        role: one["balance"] for role, one in before.items()
    }
    original, own = checked(service, made["receipt"]), checked(service, found["receipt"])
    assert (original["status"], original["amount"], original["refunded"]) == ("reversed", 700, 700)
    assert (own["status"], own["kind"], own["amount"], own["refunded"]) == ("valid", "reversal", 700, 0)


def test_a_settlement_is_taken_back_and_the_invoice_reopens(service, admin):
    account = admin.wallet(300)
    bill = admin.invoice(1000, payer=account)
    settled = ok(
        admin.settle(bill["id"], {"type": "wallet", "account": account}, {"type": "bank", "amount": 700})
    )
    assert ok(admin.get(f"invoices/{bill['id']}"))["status"] == "paid"
    found = ok(reverse(admin, settled["transaction_id"]), 201)
    reopened = ok(admin.get(f"invoices/{bill['id']}"))
    assert (reopened["status"], reopened["open"]) == ("issued", 1000)
    assert [one["balance"] for one in found["wallets"]] == [300]
    assert admin.balance(account) == 300
    assert checked(service, settled["receipt"])["status"] == "reversed"
    ok(admin.settle(bill["id"], {"type": "cash"}))


def test_the_same_key_again_is_the_first_answer(admin):
    made = ok(admin.top_up(admin.wallet(), 700))
    key = fresh_key()
    first, again = (reverse(admin, made["transaction_id"], key=key) for _ in range(2))
    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"
    body = {"reason": "Another"}
    path = f"transactions/{made['transaction_id']}/reverse"
    refused(admin.post(path, body, key=key), 422, "idempotency_key_reused")


def test_twenty_at_once_take_it_back_once(admin):
    account = admin.wallet(10_000)
    made = ok(admin.top_up(account, 700))
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: reverse(admin, made["transaction_id"]), range(20)))
    statuses = sorted(one.status_code for one in found)
    assert statuses == [201] + [409] * 19
    (winner,) = [one.json()["transaction_id"] for one in found if one.status_code == 201]
    for one in found:
        if one.status_code == 409:
            assert refused(one, 409, "already_reversed")["transaction_id"] == winner
    assert admin.balance(account) == 10_000


def test_a_transaction_of_an_atomic_bulk_is_found(admin):
    account = admin.wallet()
    elements = [
        {"action": action, "idempotency_key": fresh_key(), "data": {"account": account, **body}}
        for action, body in (("wallet.top_up", top_up(amount=500)), ("wallet.charge", charge(amount=200)))
    ]
    made = ok(admin.post("bulk", elements, key=None, atomic="true"))["data"]
    topped_up, charged = (one["data"]["transaction_id"] for one in made)
    ok(reverse(admin, charged), 201)
    assert admin.balance(account) == 500
    in_bulk = {"transaction": topped_up, "reason": "Both"}
    key = fresh_key()
    (result,) = admin.bulk([{"action": "transaction.reverse", "idempotency_key": key, "data": in_bulk}])
    assert (result["status"], result["data"]["reverses"]) == (201, topped_up)
    assert admin.balance(account) == 0


def test_what_is_refused(service, admin, foreign):
    account = admin.wallet()
    spent = ok(admin.top_up(account, 500))
    ok(admin.post(f"wallets/{account}/charge", charge(amount=1)))
    source = {"type": "mpesa", "reference": fresh_name("RKT")}
    by_mpesa = ok(admin.post(f"wallets/{account}/top-up", top_up(source=source)))
    sold = ok(admin.checkout([100], {"type": "cash"}))
    bill, paid = admin.invoice(100), admin.invoice(100)
    ok(admin.settle(paid["id"], {"type": "cash", "amount": 1}))
    gone = ok(reverse(admin, ok(admin.top_up(account, 9))["transaction_id"]))
    with service.nothing_written():
        for transaction_id, status, code in (
            (by_mpesa["transaction_id"], 409, "not_reversible"),
            (sold["transaction_id"], 409, "use_refund"),
            (bill["id"], 409, "use_void"),
            (paid["id"], 409, "use_credit"),
            (gone["reverses"], 409, "already_reversed"),
            (gone["transaction_id"], 409, "not_reversible"),
            ("01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57", 404, "transaction_not_found"),
            ("STU-0042", 404, "transaction_not_found"),
        ):
            refused(reverse(admin, transaction_id), status, code)
        refused(reverse(foreign, spent["transaction_id"]), 404, "transaction_not_found")
        path = f"transactions/{spent['transaction_id']}/reverse"
        assert refused(admin.post(path, {}), 422, "invalid_request")["errors"][0]["pointer"] == "/reason"
        refused(admin.post(path, {"reason": " "}), 422, "invalid_request")
        refused(admin.post(path, {"reason": "x", "colour": "red"}), 422, "invalid_request")
        refused(reverse(admin, spent["transaction_id"], key=None), 400, "idempotency_key_required")


def test_money_that_is_spent_is_not_taken_back(service, admin):
    account = admin.wallet()
    made = ok(admin.top_up(account, 500))
    ok(admin.post(f"wallets/{account}/charge", charge(amount=1)))
    with service.nothing_written():
        found = refused(reverse(admin, made["transaction_id"]), 409, "insufficient_funds")
        assert (found["available"], found["required"]) == (499, 500)


@pytest.mark.parametrize(
    ("role", "may"),
    [("bursar", True), ("approver", True), ("cashier", False), ("integration", False), ("auditor", False)],
)
def test_who_may(service, admin, role, may):
    made = ok(admin.top_up(admin.wallet(), 500))
    answer = reverse(service.client(role), made["transaction_id"])
    if may:
        ok(answer, 201)
    else:
        assert refused(answer, 403, "capability_missing")["capability"] == "transaction.reverse"


def test_its_date(service, admin):
    made = ok(admin.top_up(admin.wallet(), 500))
    today = datetime.now(ZoneInfo("Africa/Nairobi")).date()
    path = f"transactions/{made['transaction_id']}/reverse"
    with service.nothing_written():
        for days, code in ((1, "effective_date_in_future"), (-1, "effective_date_too_early")):
            day = (today + timedelta(days)).isoformat()
            refused(admin.post(path, {"reason": "Wrong", "effective_date": day}), 422, code)
    ok(admin.post(path, {"reason": "Wrong", "effective_date": today.isoformat()}), 201)
