"""A refund by the number of the sale's receipt is the refund of that sale, however it comes in."""

import pytest

from application.commands.pos import Refund
from domain.ids import SaleId
from tests.support.service import api, fresh_key, ok, refused

CASH = {"type": "cash"}
UUID = "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57"


def sell(client, amount: int = 1000):
    return ok(client.checkout([amount], CASH))["sale"]


def refund(client, body, **options):
    return client.post("pos/refund", body, **options)


def test_it_is_the_refund_of_the_sale(admin):
    sale = sell(admin)
    found = ok(refund(admin, {"receipt": sale["receipt"].lower(), "lines": [{"line": 1, "quantity": 1}]}))
    assert found["sale"] == sale | {"refunded": 1000}
    refused(refund(admin, {"receipt": sale["receipt"], "amount": 1}), 409, "refund_exceeds_sale")


def test_its_key_is_bound_to_what_was_sent(service, admin):
    sale, key = sell(admin), fresh_key()
    body = {"receipt": sale["receipt"], "amount": 100}
    first = refund(admin, body, key=key)
    again = refund(admin, body, key=key)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    with service.nothing_written():
        other = {"sale": sale["id"], "amount": 100}
        refused(refund(admin, other, key=key), 422, "idempotency_key_reused")
        other = {"receipt": sell_elsewhere(sale["receipt"]), "amount": 100}
        refused(refund(admin, other, key=key), 404, "sale_not_found")
    assert ok(admin.get(f"sales/{sale['id']}"))["refunded"] == 100


def sell_elsewhere(receipt: str) -> str:
    """A number that no sale has."""
    return f"{receipt[:-6]}999999"


def test_the_encoding_of_a_refund_by_its_sale_is_what_it_was():
    assert Refund(sale=SaleId(UUID), amount=5).encoded() == f'{{"sale":"{UUID}","amount":5}}'.encode()
    sent = Refund(receipt="RCT-1", amount=5)
    assert sent.encoded() == b'{"receipt":"RCT-1","amount":5}'
    assert Refund(sale=SaleId(UUID), receipt="RCT-1", amount=5).encoded() == sent.encoded()


def test_exactly_one_of_both(service, admin):
    sale = sell(admin)
    with service.nothing_written():
        for body in ({}, {"sale": sale["id"], "receipt": sale["receipt"]}):
            found = refused(refund(admin, {**body, "amount": 1}), 422, "invalid_request")
            expected = {"pointer": "/sale", "detail": "Give exactly one of sale and receipt."}
            assert found["errors"] == [expected]
            element = {"action": "pos.refund", "idempotency_key": fresh_key(), "data": {**body, "amount": 1}}
            (one,) = admin.bulk([element])
            assert (one["code"], one["errors"]) == (
                "invalid_request",
                [expected | {"pointer": "/0/data/sale"}],
            )


def test_a_receipt_that_is_no_sales(service, admin, foreign):
    sale = sell(admin)
    top_up = ok(admin.top_up(admin.wallet(), 5))["receipt"]["number"]
    back = ok(admin.refund(sale["id"], amount=1))["receipt"]["number"]
    with service.nothing_written():
        for number in (top_up, back, "RCT-1999-000001", "X"):
            found = refused(refund(admin, {"receipt": number, "amount": 1}), 404, "sale_not_found")
            assert found["detail"] == f"There is no sale with the receipt {number}."
    theirs = ok(foreign.checkout([700], CASH, currency="CAD"))["sale"]
    found = refund(foreign, {"receipt": theirs["receipt"], "amount": 700})
    assert ok(found)["sale"]["id"] == theirs["id"]


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_what_was_only_just_sold_is_found_by_others(service, admin, dry_run):
    cashier = service.client("cashier")
    with api(service) as url:
        there = service.client("bursar", url=url)
        for client in (cashier, there) * 5:
            receipt = sell(admin)["receipt"]
            ok(refund(client, {"receipt": receipt, "amount": 10}, dry_run=dry_run))


@pytest.mark.parametrize("atomic", ["true", "false"])
def test_in_bulk(admin, atomic):
    sales = [sell(admin, 100) for _ in range(3)]
    body = [
        {
            "action": "pos.refund",
            "idempotency_key": fresh_key(),
            "data": {"receipt": sale["receipt"], "amount": 40},
        }
        for sale in sales
    ]
    for replayed in (False, True):
        found = ok(admin.post("bulk", body, key=None, atomic=atomic))["data"]
        assert [one["data"]["sale"]["id"] for one in found] == [sale["id"] for sale in sales]
        assert {one["replayed"] for one in found} == {replayed}
    wrong = {**body[0], "idempotency_key": fresh_key(), "data": {"receipt": "RCT-1999-000001", "amount": 1}}
    more = [{**body[1], "idempotency_key": fresh_key()}, wrong, {**body[2], "idempotency_key": fresh_key()}]
    response = admin.post("bulk", more, key=None, atomic=atomic)
    if atomic == "true":
        found = refused(response, 404, "sale_not_found")
        assert [error["pointer"] for error in found["errors"]] == ["/1"]
    else:
        assert [one["code"] for one in ok(response)["data"]] == [None, "sale_not_found", None]
