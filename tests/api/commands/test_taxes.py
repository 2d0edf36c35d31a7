"""Sales with taxes and discounts as clients meet them: what is answered, read again, posted and taken back."""

import pytest

from tests.support.service import ok, refused

CASH = {"type": "cash"}


def line(total, code, **fields):
    return {"sku": "A", "quantity": 1, "total": total, "tax_code": code, **fields}


def test_a_taxed_sale_answers_its_parts_and_a_read_shows_the_same(admin):
    before = admin.accounts()
    lines = [line(37900, "B"), line(37900, "B"), line(1000, "A", income="meals")]
    answer = ok(admin.checkout(lines, CASH, discount={"amount": 768}), 201)
    sale = answer["sale"]
    # 768 of 76800 is 1 %: 379, 379 and 10; 75042 x 16/116 = 10350.62
    assert [(one["discount"], one["net"], one["tax"], one["total"]) for one in sale["lines"]] == [
        (379, 32345, 5176, 37521),
        (379, 32346, 5175, 37521),
        (10, 990, 0, 990),
    ]
    assert {name: sale[name] for name in ("net", "discount", "tax", "total", "rounding", "payable")} == {
        "net": 65681,
        "discount": 768,
        "tax": 10351,
        "total": 76032,
        "rounding": 0,
        "payable": 76032,
    }
    assert sale["taxes"] == [{"component": "VAT", "rate": "16", "net": 64691, "amount": 10351}]
    assert sale.items() <= ok(admin.get(f"sales/{sale['id']}")).items()
    after = admin.accounts()

    def moved(role, side):
        return after[role][side] - before[role][side]

    # 379 x 100/116 is 326.72: 327 twice, and 10 of the exempt line
    assert moved("discounts", "debits") == 664
    assert moved("sales", "credits") == 32345 + 32346 + 2 * 327
    assert moved("meals", "credits") == 1000
    assert moved("vat_payable", "credits") == 10351
    assert moved("till_cash", "debits") == 76032

    back = ok(admin.refund(sale["id"], lines=[{"line": 1, "quantity": 1}]), 201)
    assert back["refund"]["taxes"] == [{"component": "VAT", "rate": "16", "net": 32345, "amount": 5176}]
    assert {name: back["refund"][name] for name in ("net", "discount", "tax", "total")} == {
        "net": 32345,
        "discount": 379,
        "tax": 5176,
        "total": 37521,
    }
    rest = ok(admin.refund(sale["id"], amount=76032 - 37521))["refund"]
    assert (rest["tax"], rest["total"]) == (5175, 38511)
    ended = admin.accounts()
    assert ended["vat_payable"]["balance"] == before["vat_payable"]["balance"]
    assert ended["discounts"]["balance"] == before["discounts"]["balance"]
    assert ended["till_cash"]["balance"] == before["till_cash"]["balance"]


def test_prices_may_be_without_tax(admin):
    sale = ok(admin.checkout([line(10000, "B"), line(10000, "E")], CASH, prices="exclusive"))["sale"]
    assert (sale["net"], sale["tax"], sale["total"]) == (20000, 2400, 22400)
    assert [(one["rate"], one["net"], one["amount"]) for one in sale["taxes"]] == [
        ("16", 10000, 1600),
        ("8", 10000, 800),
    ]


def test_in_canada_prices_are_without_tax_and_each_tax_has_its_account(foreign):
    before = foreign.accounts()
    sale = ok(foreign.checkout([line(10000, "GST_QST")], {"type": "card"}, currency="CAD"))["sale"]
    assert (sale["net"], sale["tax"], sale["total"]) == (10000, 1498, 11498)
    assert [(one["component"], one["rate"], one["amount"]) for one in sale["taxes"]] == [
        ("GST", "5", 500),
        ("QST", "9.975", 998),
    ]
    after = foreign.accounts()
    assert after["gst_payable"]["balance"] - before["gst_payable"]["balance"] == 500
    assert after["qst_payable"]["balance"] - before["qst_payable"]["balance"] == 998


def test_a_sale_that_is_given_away_takes_no_tenders(admin):
    for tenders in ((), (CASH,)):
        sale = ok(admin.checkout([line(500, "B")], *tenders, discount={"percent": "100"}))["sale"]
        assert (sale["discount"], sale["net"], sale["tax"], sale["total"]) == (500, 0, 0, 0)
        assert (sale["payable"], sale["tenders"]) == (0, [])
        assert sale.items() <= ok(admin.get(f"sales/{sale['id']}")).items()
        refused(admin.refund(sale["id"], lines=[{"line": 1, "quantity": 1}]), 409, "refund_exceeds_sale")
    paid = {"type": "cash", "amount": 1}
    refused(admin.checkout([line(500, "B")], paid, discount={"percent": "100"}), 422, "tenders_exceed_total")


def test_a_sale_that_is_not_given_away_needs_tenders(admin):
    refused(admin.checkout([line(500, "B")]), 422, "tenders_too_low")


@pytest.mark.parametrize(
    ("sold", "fields", "status", "code"),
    [
        (line(500, "B"), {"effective_date": "2019-12-31"}, 409, "not_tax_registered"),
        (line(500, "B"), {"effective_date": "2013-09-01"}, 422, "tax_code_not_in_force"),
        (line(500, "HST_ON"), {}, 422, "unknown_tax_code"),
        (line(500, "A"), {"discount": {"amount": 501}}, 422, "discount_exceeds_price"),
        (line(500, "A"), {"discount": {"amount": 1, "percent": "1"}}, 422, "invalid_request"),
    ],
)
def test_a_refusal_says_why_and_writes_nothing(service, admin, sold, fields, status, code):
    with service.nothing_written():
        found = refused(admin.checkout([sold], CASH, **fields), status, code)
    assert ("registered_from" in found) == (code == "not_tax_registered")


def test_untaxed_codes_are_sold_before_the_school_is_registered(admin):
    ok(admin.checkout([line(500, "C")], CASH, effective_date="2019-12-31"))


def test_a_rate_is_that_of_the_documents_date(admin):
    sale = ok(admin.checkout([line(11400, "B")], CASH, effective_date="2020-06-30"))["sale"]
    assert sale["taxes"] == [{"component": "VAT", "rate": "14", "net": 10000, "amount": 1400}]
