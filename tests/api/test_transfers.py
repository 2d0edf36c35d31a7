"""Transfers between wallets of one payer, and the closing of a wallet."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.bodies import charge, top_up
from tests.support.service import fresh_name, ok, refused


def transfer(client, source, target, amount=300, **fields):
    return client.post(
        "wallets/transfer", {"from": source, "to": target, "amount": amount, "currency": "KES", **fields}
    )


@pytest.fixture
def family(admin):
    payer = fresh_name("PAR")
    return admin.wallet(1000, payer=payer), admin.wallet(payer=payer)


def test_a_transfer(service, admin, family):
    source, target = family
    before = admin.accounts()["wallet_liability"]
    answer = ok(transfer(admin, source.lower(), target.lower(), 300), 201)
    assert answer.keys() == {"transaction_id", "from", "to"}
    assert [answer[end]["balance"] for end in ("from", "to")] == [700, 300]
    assert [answer[end]["account"] for end in ("from", "to")] == [source, target]
    for end, account in (("from", source), ("to", target)):
        assert ok(admin.get(f"wallets/{account}")) == answer[end]
    after = admin.accounts()["wallet_liability"]
    assert after["balance"] == before["balance"]
    assert [after[side] - before[side] for side in ("debits", "credits")] == [300, 300]
    for account, amount, words in (
        (source, -300, f"Transfer to {target}"),
        (target, 300, f"Transfer from {source}"),
    ):
        last = ok(admin.get("statements", account=account))["lines"][-1]
        assert (last["transaction_id"], last["amount"], last["description"]) == (
            answer["transaction_id"],
            amount,
            words,
        )
    ok(transfer(admin, target, source, 300, description="Back again"))
    assert ok(admin.get("statements", account=target))["lines"][-1]["description"] == "Back again"


def test_transfers_that_are_refused(service, admin, family):
    source, target = family
    stranger = admin.wallet(10)
    with service.nothing_written():
        refused(transfer(admin, source, stranger), 409, "not_same_family")
        refused(transfer(admin, source, target, 1001), 409, "insufficient_funds")
        refused(transfer(admin, source, source), 422, "invalid_request")
        refused(transfer(admin, source, fresh_name()), 404, "wallet_not_found")
        refused(transfer(admin, fresh_name(), target), 404, "wallet_not_found")
        refused(transfer(admin, source, target, currency="CAD"), 422, "currency_mismatch")
        found = refused(admin.post("wallets/transfer", {"to": target}), 422, "invalid_request")
        assert [error["pointer"] for error in found["errors"]] == ["/from", "/amount", "/currency"]
        body = {"from": source, "to": target, "amount": 1, "currency": "KES"}
        refused(admin.post("wallets/transfer", body, key=None), 400, "idempotency_key_required")
        cashier = service.client("cashier")
        assert (
            refused(transfer(cashier, source, target), 403, "capability_missing")["capability"]
            == "wallet.transfer"
        )
    ok(transfer(service.client("bursar"), source, target, 1))


def test_what_is_held_is_not_transferred(admin, family):
    source, target = family
    ok(admin.post(f"wallets/{source}/holds", {"amount": 800, "currency": "KES"}))
    refused(transfer(admin, source, target, 201), 409, "insufficient_funds")
    assert ok(transfer(admin, source, target, 200))["from"]["available"] == 0


def test_transfers_to_and_fro_at_once_lose_nothing(admin, family):
    ends = [family, family[::-1]] * 15
    with ThreadPoolExecutor(15) as pool:
        found = list(pool.map(lambda pair: transfer(admin, *pair, 70), ends))
    for response in found:
        if not response.is_success:
            refused(response, 409, "insufficient_funds")
    assert sum(admin.balance(account) for account in family) == 1000


def test_a_wallet_is_closed_for_good(service, admin):
    account = admin.wallet(100)
    path = f"wallets/{account}"
    with service.nothing_written():
        refused(admin.post(f"{path}/close", {}), 409, "wallet_not_empty")
        refused(admin.post(f"{path}/close", {"payout": {"type": "cash"}}), 422, "not_supported")
        refused(admin.post(f"wallets/{fresh_name()}/close", {}), 404, "wallet_not_found")
        cashier = service.client("cashier")
        refused(cashier.post(f"{path}/close", {}), 403, "capability_missing")
    hold = ok(admin.post(f"{path}/holds", {"amount": 100, "currency": "KES"}))["hold"]["id"]
    ok(admin.post(f"holds/{hold}/capture", {}))
    closed = ok(admin.post(f"{path}/close", {}, key=None), 200)
    assert (closed["status"], closed["balance"]) == ("closed", 0)
    assert ok(admin.get(path)) == closed
    with service.nothing_written():
        assert ok(admin.post(f"{path}/close", {})) == closed
        refused(admin.post(f"{path}/top-up", top_up()), 409, "wallet_closed")
        refused(admin.post(f"{path}/charge", charge()), 409, "wallet_closed")
        refused(admin.post(f"{path}/holds", {"amount": 1, "currency": "KES"}), 409, "wallet_closed")
        refused(admin.post("wallets", {"account": account, "currency": "KES"}), 409, "wallet_exists")
        headers = {"Bursar-Reason": "tried"}
        refused(admin.post(f"{path}/unfreeze", {}, headers=headers), 409, "wallet_closed")


def test_a_wallet_with_a_hold_of_nothing_left_is_not_closed(admin):
    account = admin.wallet(100)
    hold = ok(admin.post(f"wallets/{account}/holds", {"amount": 60, "currency": "KES"}))["hold"]["id"]
    ok(admin.post(f"wallets/{account}/charge", charge(amount=40)))
    refused(admin.post(f"wallets/{account}/close", {}), 409, "wallet_not_empty")
    ok(admin.post(f"holds/{hold}/capture", {}))
    ok(admin.post(f"wallets/{account}/close", {}))
