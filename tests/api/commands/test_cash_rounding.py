"""Cash in a currency whose smallest coin is five cents, and change."""

import pytest

from tests.support.service import ok, refused


def sold(client, total, *tenders, **fields):
    line = {"sku": "A", "quantity": 1, "total": total, "tax_code": "D"}
    return ok(client.checkout([line], *tenders, currency="CAD", **fields), 201)


def rounding(client):
    account = client.accounts()["rounding"]
    return account["debits"] - account["credits"]


@pytest.mark.parametrize(
    ("total", "tenders", "paid", "rounded"),
    [
        (1002, [{"type": "cash"}], [1000], -2),
        (1003, [{"type": "cash"}], [1005], 2),
        (1005, [{"type": "cash"}], [1005], 0),
        (1002, [{"type": "cash", "amount": 1000}], [1000], -2),
        (1002, [{"type": "cash", "amount": 1002}], [1000], -2),
        (1002, [{"type": "card"}], [1002], 0),
        (1002, [{"type": "card", "amount": 501}, {"type": "cash"}], [501, 500], -1),
        (1002, [{"type": "card", "amount": 501}, {"type": "cash", "amount": 500}], [501, 500], -1),
        (1002, [{"type": "cash", "amount": 500}, {"type": "card"}], [500, 502], 0),
        (2, [{"type": "cash"}], [], -2),
    ],
)
def test_the_cash_of_a_sale_is_rounded_and_nothing_else(foreign, total, tenders, paid, rounded):
    before = rounding(foreign)
    sale = sold(foreign, total, *tenders)["sale"]
    assert [tender["amount"] for tender in sale["tenders"]] == paid
    assert (sale["total"], sale["rounding"], sale["payable"]) == (total, rounded, total + rounded)
    assert rounding(foreign) - before == -rounded
    assert sale.items() <= ok(foreign.get(f"sales/{sale['id']}")).items()


@pytest.mark.parametrize("amount", [999, 1001, 1005])
def test_cash_that_is_neither_due_nor_payable_is_refused(foreign, amount):
    line = {"sku": "A", "quantity": 1, "total": 1002, "tax_code": "D"}
    code = "tenders_too_low" if amount < 1002 else "tenders_exceed_total"
    refused(foreign.checkout([line], {"type": "cash", "amount": amount}, currency="CAD"), 422, code)


@pytest.mark.parametrize("total", [1002, 1003])
def test_a_sale_taken_back_in_parts_gives_back_what_was_paid(foreign, total):
    before = rounding(foreign)
    sale = sold(foreign, total, {"type": "card", "amount": 301}, {"type": "cash"})["sale"]
    got = {"card": 0, "cash": 0}
    for part in (3, 333, 333, total - 669):
        refund = ok(foreign.refund(sale["id"], amount=part))["refund"]
        assert refund["total"] == part
        for tender in refund["tenders"]:
            got[tender["type"]] += tender["amount"]
            assert tender["type"] != "cash" or tender["amount"] % 5 == 0
    assert got == {tender["type"]: tender["amount"] for tender in sale["tenders"]}
    assert rounding(foreign) == before


def test_a_sale_taken_back_whole_gives_back_what_was_paid(foreign):
    sale = sold(foreign, 1003, {"type": "cash"})["sale"]
    refund = ok(foreign.refund(sale["id"], amount=1003))["refund"]
    assert (refund["total"], refund["tenders"]) == (1003, [{"type": "cash", "amount": 1005}])


def test_change_is_told_where_cash_was_given(foreign, admin):
    assert sold(foreign, 1002, {"type": "cash", "given": 2000})["change"] == 1000
    assert sold(foreign, 1002, {"type": "card", "amount": 2}, {"type": "cash", "given": 1000})["change"] == 0
    assert "change" not in sold(foreign, 1002, {"type": "cash"})
    refused(admin.checkout([500], {"type": "cash", "given": 499}), 422, "tenders_too_low")
    refused(admin.checkout([500], {"type": "card", "given": 500}), 422, "invalid_request")
    invoice = admin.invoice(1000)
    refused(admin.settle(invoice["id"], {"type": "cash", "given": 1000}), 422, "invalid_request")


def test_where_every_unit_is_a_coin_nothing_is_rounded(admin):
    sale = ok(admin.checkout([1003], {"type": "cash"}))["sale"]
    assert (sale["rounding"], sale["payable"]) == (0, 1003)
