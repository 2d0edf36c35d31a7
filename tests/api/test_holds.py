"""Holds as clients meet them: statuses, codes, and what reads say afterwards."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from tests.support.service import api, fresh_key, fresh_name, ok, refused

HOLD = {"id", "account", "amount", "captured", "status", "expires_at", "currency", "description"}
UNKNOWN = "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57"


def place(client, account, amount=300, **fields):
    return client.post(f"wallets/{account}/holds", {"amount": amount, "currency": "KES", **fields})


def test_a_hold_is_placed_and_captured(service, admin):
    account = admin.wallet(1000)
    placed = ok(place(admin, account.lower(), description="Uniform"), 201)
    assert placed.keys() == {"hold", "wallet"}
    hold = placed["hold"]
    assert hold.keys() == HOLD
    assert (hold["account"], hold["amount"], hold["captured"], hold["status"]) == (account, 300, 0, "active")
    expected = datetime.now(UTC) + timedelta(hours=168)
    assert abs(datetime.fromisoformat(hold["expires_at"]) - expected) < timedelta(minutes=5)
    for wallet in (placed["wallet"], ok(admin.get(f"wallets/{account}"))):
        assert (wallet["balance"], wallet["held"], wallet["available"]) == (1000, 300, 700)
    assert ok(admin.get(f"holds/{hold['id']}"), 200) == hold
    assert ok(admin.get(f"wallets/{account}/holds", status="active"))["data"] == [hold]

    before = admin.accounts()
    captured = ok(admin.post(f"holds/{hold['id']}/capture", {"amount": 250, "income": "shop"}), 201)
    assert captured.keys() == {"transaction_id", "hold", "wallet", "receipt"}
    assert captured["hold"] == hold | {"status": "captured", "captured": 250}
    wallet = captured["wallet"]
    assert (wallet["balance"], wallet["held"], wallet["available"]) == (750, 0, 750)
    assert ok(admin.get(f"wallets/{account}")) == wallet
    assert ok(admin.get(f"holds/{hold['id']}")) == captured["hold"]
    after = admin.accounts()
    assert after["shop"]["balance"] - before["shop"]["balance"] == 250
    assert before["wallet_liability"]["balance"] - after["wallet_liability"]["balance"] == 250
    last = ok(admin.get("statements", account=account))["lines"][-1]
    assert (last["transaction_id"], last["amount"]) == (captured["transaction_id"], -250)
    assert last["description"] == "Uniform"
    found = ok(service.client_of(None).http.get(captured["receipt"]["qr"]))
    assert (found["kind"], found["amount"]) == ("charge", 250)


def test_a_hold_is_released(service, admin):
    account = admin.wallet(1000)
    hold = ok(place(admin, account))["hold"]
    found = ok(admin.post(f"holds/{hold['id']}/release", {}, key=None), 200)
    assert found["hold"] == hold | {"status": "released"}
    assert (found["wallet"]["held"], found["wallet"]["available"]) == (0, 1000)
    with service.nothing_written():
        for way in ("capture", "release"):
            refused(admin.post(f"holds/{hold['id']}/{way}", {}), 409, "hold_not_active")
    assert ok(admin.get(f"wallets/{account}/holds", status="released"))["data"] == [found["hold"]]
    assert ok(admin.get(f"wallets/{account}/holds", status="active"))["data"] == []


def test_a_hold_past_its_time_counts_no_more(admin):
    account = admin.wallet(1000)
    end = datetime.now(UTC) + timedelta(seconds=2)
    hold = ok(place(admin, account, 1000, expires_at=end.isoformat()))["hold"]
    assert hold["expires_at"] == end.isoformat().replace("+00:00", "Z")
    refused(place(admin, account, 1), 409, "insufficient_funds")
    time.sleep(max((end - datetime.now(UTC)).total_seconds(), 0) + 0.01)
    wallet = ok(admin.get(f"wallets/{account}"))
    assert (wallet["held"], wallet["available"]) == (0, 1000)
    expired = hold | {"status": "expired"}
    assert ok(admin.get(f"holds/{hold['id']}")) == expired
    assert ok(admin.get(f"wallets/{account}/holds", status="expired"))["data"] == [expired]
    refused(admin.post(f"holds/{hold['id']}/capture", {}), 409, "hold_not_active")
    assert ok(place(admin, account, 999))["wallet"]["held"] == 999
    assert ok(admin.get(f"holds/{hold['id']}")) == expired


def test_holds_that_are_refused(service, admin, refusing):
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    far = (datetime.now(UTC) + timedelta(days=367)).isoformat()
    refused(place(admin, refusing, 1001), 409, "insufficient_funds")
    refused(place(admin, fresh_name()), 404, "wallet_not_found")
    refused(place(admin, refusing, currency="CAD"), 422, "currency_mismatch")
    refused(place(admin, refusing, 10**10 + 1), 409, "insufficient_funds")
    for expires_at in (past, far):
        refused(place(admin, refusing, expires_at=expires_at), 422, "expires_at_out_of_range")
    for expires_at in ("2030-01-01T00:00:00", "tomorrow", 5):
        found = refused(place(admin, refusing, expires_at=expires_at), 422, "invalid_request")
        assert [error["pointer"] for error in found["errors"]] == ["/expires_at"]
    refused(place(admin, refusing, 0), 422, "invalid_request")
    for way in ("capture", "release"):
        refused(admin.post(f"holds/{UNKNOWN}/{way}", {}), 404, "hold_not_found")
        refused(admin.post(f"holds/nonsense/{way}", {}), 404, "hold_not_found")
    for path in (f"holds/{UNKNOWN}", "holds/nonsense"):
        refused(admin.get(path), 404, "hold_not_found")
    refused(admin.get(f"wallets/{fresh_name()}/holds"), 404, "wallet_not_found")
    refused(admin.get(f"wallets/{refusing}/holds", status="paid"), 422, "invalid_request")
    for path in (f"wallets/{refusing}/holds", f"holds/{UNKNOWN}/capture"):
        refused(admin.post(path, {"amount": 1, "currency": "KES"}, key=None), 400, "idempotency_key_required")


def test_captures_that_are_refused(service, admin, foreign):
    hold = ok(place(admin, admin.wallet(1000)))["hold"]["id"]
    with service.nothing_written():
        found = refused(admin.post(f"holds/{hold}/capture", {"amount": 301}), 409, "capture_exceeds_hold")
        assert (found["available"], found["required"]) == (300, 301)
        refused(admin.post(f"holds/{hold}/capture", {"income": "bank"}), 422, "unknown_income_role")
        refused(foreign.post(f"holds/{hold}/capture", {}), 404, "hold_not_found")
        refused(foreign.get(f"holds/{hold}"), 404, "hold_not_found")


def test_who_may_hold(service, admin):
    account = admin.wallet(1000)
    for role in ("cashier", "bursar", "integration"):
        client = service.client(role)
        hold = ok(place(client, account))["hold"]["id"]
        ok(client.post(f"holds/{hold}/{'release' if role == 'bursar' else 'capture'}", {}))
        ok(client.get(f"holds/{hold}"))
    auditor = service.client("auditor")
    assert refused(place(auditor, account), 403, "capability_missing")["capability"] == "wallet.hold"
    assert len(ok(auditor.get(f"wallets/{account}/holds"))["data"]) == 3


def test_a_hold_replays_and_acts_once(service, admin):
    account, key = admin.wallet(1000), fresh_key()
    body = {"amount": 300, "currency": "KES"}
    first = admin.post(f"wallets/{account}/holds", body, key=key)
    with service.nothing_written():
        assert admin.post(f"wallets/{account}/holds", body, key=key).content == first.content
    assert ok(admin.get(f"wallets/{account}"))["held"] == 300


def test_a_hold_in_bulk(admin):
    account = admin.wallet(1000)
    element = {"action": "wallet.hold", "idempotency_key": fresh_key()}
    (placed,) = admin.bulk([element | {"data": {"account": account, "amount": 300, "currency": "KES"}}])
    hold = placed["data"]["hold"]["id"]
    elements = [
        {"action": action, "idempotency_key": fresh_key(), "data": {"hold": hold}}
        for action in ("hold.capture", "hold.release")
    ]
    assert [(one["status"], one["code"]) for one in admin.bulk(elements)] == [
        (201, None),
        (409, "hold_not_active"),
    ]


def test_twenty_ends_at_once_through_two_processes(service, admin):
    account = admin.wallet(1000)
    hold = ok(place(admin, account))["hold"]["id"]
    with api(service) as url, ThreadPoolExecutor(20) as pool:
        clients = [admin, service.client(url=url)] * 10
        ways = ["capture", "capture", "release", "release"] * 5
        found = list(pool.map(lambda client, way: client.post(f"holds/{hold}/{way}", {}), clients, ways))
    (won,) = [response for response in found if response.is_success]
    for response in found:
        if response is not won:
            refused(response, 409, "hold_not_active")
    wallet = ok(won)["wallet"]
    left = 700 if "transaction_id" in ok(won) else 1000
    assert (wallet["balance"], wallet["held"], wallet["available"]) == (left, 0, left)
    assert ok(admin.get(f"wallets/{account}")) == wallet
