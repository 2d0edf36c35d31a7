"""A wallet tender that names a hold captures what it needs of it, and releases the rest."""

import pytest

from tests.support.service import ok, refused

WALLET, CASH = {"type": "wallet"}, {"type": "cash"}


def held(admin, account: str, amount: int) -> str:
    body = {"amount": amount, "currency": "KES"}
    return ok(admin.post(f"wallets/{account}/holds", body))["hold"]["id"]


@pytest.mark.parametrize(
    ("amount", "tenders", "shares", "captured"),
    [
        (400, [{}], [("wallet", 250)], 250),
        (250, [{}], [("wallet", 250)], 250),
        # what the hold does not cover, the wallet's other money pays
        (100, [{}], [("wallet", 250)], 100),
        (400, [{"amount": 200}, CASH], [("wallet", 200), ("cash", 50)], 200),
        # it is not needed
        (400, [{}, CASH | {"amount": 250}], [("cash", 250)], 0),
    ],
)
def test_a_sale_takes_what_it_needs_of_a_hold(admin, amount, tenders, shares, captured):
    account = admin.wallet(1000)
    hold = held(admin, account, amount)
    tenders = [tender if "type" in tender else WALLET | {"hold": hold} | tender for tender in tenders]
    answer = ok(admin.checkout([250], *tenders, wallet=account))
    assert [(tender["type"], tender["amount"]) for tender in answer["sale"]["tenders"]] == shares
    left = 1000 - sum(paid for kind, paid in shares if kind == "wallet")
    wallet = answer["wallet"]
    assert (wallet["balance"], wallet["held"], wallet["available"]) == (left, 0, left)
    assert ok(admin.get(f"wallets/{account}")) == wallet
    found = ok(admin.get(f"holds/{hold}"))
    assert (found["captured"], found["status"]) == (captured, "captured" if captured else "released")


def test_all_that_is_held_pays_where_nothing_else_is_free(service, admin):
    account = admin.wallet(1000)
    hold, other = held(admin, account, 700), held(admin, account, 300)
    with service.nothing_written():
        refused(admin.checkout([700], WALLET, wallet=account), 409, "insufficient_funds")
        refused(admin.checkout([701], WALLET | {"hold": hold}), 409, "insufficient_funds")
    answer = ok(admin.checkout([800], WALLET | {"hold": hold}, CASH))
    assert [tender["amount"] for tender in answer["sale"]["tenders"]] == [700, 100]
    assert (answer["wallet"]["balance"], answer["wallet"]["held"]) == (300, 300)
    invoice = admin.invoice(400, payer=account)
    tenders = [WALLET | {"hold": other}, CASH | {"amount": 100}]
    assert ok(admin.settle(invoice["id"], *tenders))["invoice"]["status"] == "paid"
    assert ok(admin.get(f"wallets/{account}"))["balance"] == 0
    assert ok(admin.get(f"holds/{other}"))["captured"] == 300


def test_two_holds_pay_together(admin):
    account = admin.wallet(1000)
    holds = [held(admin, account, amount) for amount in (600, 400)]
    tenders = [
        WALLET | {"hold": hold, "amount": amount} for hold, amount in zip(holds, (500, 400), strict=True)
    ]
    answer = ok(admin.checkout([900], *tenders))
    assert (answer["wallet"]["balance"], answer["wallet"]["held"]) == (100, 0)
    assert [ok(admin.get(f"holds/{hold}"))["captured"] for hold in holds] == [500, 400]


def test_holds_that_do_not_fit(service, admin):
    account, other = admin.wallet(1000), admin.wallet(1000)
    hold, ended = held(admin, account, 100), held(admin, account, 100)
    ok(admin.post(f"holds/{ended}/release", {}))
    with service.nothing_written():
        refused(admin.checkout([50], WALLET | {"hold": ended}), 409, "hold_not_active")
        unknown = "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57"
        refused(admin.checkout([50], WALLET | {"hold": unknown}), 404, "hold_not_found")
        refused(admin.checkout([50], CASH | {"hold": hold}), 422, "invalid_request")
        refused(admin.checkout([50], WALLET | {"hold": hold, "account": other}), 422, "invalid_request")
        twice = [WALLET | {"hold": hold, "amount": 25}] * 2
        refused(admin.checkout([50], *twice), 422, "invalid_request")
    assert ok(admin.get(f"holds/{hold}"))["status"] == "active"


def test_a_hold_of_another_payer_pays_no_invoice(admin):
    hold = held(admin, admin.wallet(1000), 100)
    invoice = admin.invoice(100)
    refused(admin.settle(invoice["id"], WALLET | {"hold": hold}), 409, "not_same_family")
