"""How tenders pay and are paid back, over the counter and on invoices, to the letter of the API's rules."""

import pytest

from tests.support.service import fresh_name, ok, refused

WALLET, CASH = {"type": "wallet"}, {"type": "cash"}


def paid(answer) -> list[tuple[str, int]]:
    return [(tender["type"], tender["amount"]) for tender in answer["sale"]["tenders"]]


def lines_back(answer) -> list[tuple[int, int]]:
    return [(line["line"], line["amount"]) for line in answer["refund"]["lines"]]


def tenders_back(answer) -> list[tuple[str, int]]:
    return [(tender["type"], tender["amount"]) for tender in answer["refund"]["tenders"]]


# --- at the counter


@pytest.mark.parametrize(
    ("balance", "tenders", "shares"),
    [
        # a wallet without amount takes what is available up to the rest, and one other the rest
        (700, [WALLET, CASH], [("wallet", 700), ("cash", 300)]),
        (1500, [WALLET, CASH], [("wallet", 1000)]),
        (1500, [WALLET, CASH | {"amount": 400}], [("wallet", 600), ("cash", 400)]),
        (0, [WALLET, CASH], [("cash", 1000)]),
        (1000, [WALLET], [("wallet", 1000)]),
        # a wallet comes first, wherever it stands; the others in the order given
        (
            700,
            [{"type": "card"}, CASH | {"amount": 100}, WALLET],
            [("wallet", 700), ("card", 200), ("cash", 100)],
        ),
        (
            0,
            [
                {"type": "mpesa", "amount": 300, "reference": "RKT-SHARES"},
                CASH,
                {"type": "bank", "amount": 200},
            ],
            [("mpesa", 300), ("cash", 500), ("bank", 200)],
        ),
        (800, [WALLET | {"amount": 250}, CASH], [("wallet", 250), ("cash", 750)]),
        # the share of 0 is dropped
        (0, [CASH | {"amount": 1000}, {"type": "card"}], [("cash", 1000)]),
        (1000, [WALLET | {"amount": 1000}, CASH], [("wallet", 1000)]),
        (0, [CASH | {"amount": 400}, CASH | {"amount": 600}], [("cash", 400), ("cash", 600)]),
    ],
)
def test_shares_of_a_sale(admin, balance, tenders, shares):
    account = admin.wallet(balance)
    answer = ok(admin.checkout([1000], *tenders, wallet=account))
    assert paid(answer) == shares
    left = balance - sum(amount for kind, amount in shares if kind == "wallet")
    assert answer["wallet"]["balance"] == left == admin.balance(account)


@pytest.mark.parametrize(
    ("balance", "tenders", "status", "code"),
    [
        (0, [CASH | {"amount": 999}], 422, "tenders_too_low"),
        (0, [CASH | {"amount": 1001}], 422, "tenders_exceed_total"),
        (1001, [WALLET | {"amount": 1001}], 422, "tenders_exceed_total"),
        (5000, [WALLET | {"amount": 600}, CASH | {"amount": 600}], 422, "tenders_exceed_total"),
        (100, [WALLET, CASH | {"amount": 400}], 422, "tenders_too_low"),
        (0, [CASH, {"type": "card"}], 422, "tenders_ambiguous"),
        (999, [WALLET], 409, "insufficient_funds"),
        (999, [WALLET | {"amount": 1000}], 409, "insufficient_funds"),
        (0, [CASH | {"amount": 0}], 422, "invalid_request"),
        (0, [CASH | {"amount": -5}, {"type": "card"}], 422, "invalid_request"),
        (0, [CASH | {"amount": 1.5}], 422, "invalid_request"),
        (0, [{"type": "iou"}], 422, "invalid_request"),
        (0, [CASH | {"colour": "red"}], 422, "invalid_request"),
        (0, [CASH | {"amount": 10**15}, {"type": "card", "amount": 10**15}], 422, "amount_too_large"),
    ],
)
def test_tenders_that_do_not_fit_a_sale(service, admin, balance, tenders, status, code):
    account = admin.wallet(balance)
    with service.nothing_written():
        refused(admin.checkout([1000], *tenders, wallet=account), status, code)
    assert admin.balance(account) == balance


def test_a_wallet_tender_needs_a_wallet(service, admin):
    with service.nothing_written():
        refused(admin.checkout([1000], WALLET, CASH, customer=fresh_name()), 422, "tender_without_wallet")


def test_a_wallet_pays_only_through_a_tender(admin):
    account = admin.wallet(500)
    answer = ok(admin.checkout([100], CASH, wallet=account))
    assert paid(answer) == [("cash", 100)]
    assert (answer["wallet"]["account"], answer["wallet"]["balance"]) == (account, 500)


def test_two_wallets_pay(admin):
    own, parents = admin.wallet(300), admin.wallet(900)
    answer = ok(admin.checkout([1000], WALLET, WALLET | {"account": parents.lower()}, wallet=own))
    assert paid(answer) == [("wallet", 300), ("wallet", 700)]
    assert (admin.balance(own), admin.balance(parents)) == (0, 200)
    back = ok(admin.refund(answer["sale"]["id"], amount=800))
    assert tenders_back(back) == [("wallet", 700), ("wallet", 100)]
    assert (admin.balance(own), admin.balance(parents)) == (100, 900)


def test_one_wallet_twice_pays_no_more_than_it_has(service, admin):
    account = admin.wallet(1000)
    halves = [WALLET | {"amount": 600}, WALLET | {"amount": 600}]
    with service.nothing_written():
        refused(admin.checkout([1200], *halves, wallet=account), 409, "insufficient_funds")
    assert paid(ok(admin.checkout([1200], WALLET, WALLET | {"account": account}, CASH, wallet=account))) == [
        ("wallet", 1000),
        ("cash", 200),
    ]


def test_a_sale_posts_each_line_to_its_income(admin):
    before = admin.accounts()
    lines = [
        {"sku": "A", "quantity": 3, "unit_amount": 100, "tax_code": "A", "income": "meals"},
        {"sku": "B", "quantity": 3, "total": 100, "tax_code": "C", "income": "shop"},
        {"sku": "C", "quantity": 1, "total": 7, "tax_code": "D"},
    ]
    ok(admin.checkout(lines, CASH))
    after = admin.accounts()
    moved = {
        role: after[role]["balance"] - before[role]["balance"]
        for role in after
        if after[role]["balance"] != before[role]["balance"]
    }
    assert moved == {"till_cash": 407, "meals": 300, "shop": 100, "sales": 7}


def test_a_claimed_reference_of_each_share(service, admin):
    first, second = fresh_name("R"), fresh_name("R")
    tenders = [{"type": "mpesa", "amount": 400, "reference": first}, {"type": "card", "reference": second}]
    ok(admin.checkout([1000], *tenders))
    with service.nothing_written():
        for kind, reference in (("mpesa", first), ("card", second)):
            tender = {"type": kind, "reference": reference}
            refused(admin.checkout([5], tender), 409, "reference_already_used")


# --- refunds


def test_a_refund_by_line_is_in_proportion_and_the_last_takes_the_remainder(service, admin):
    sale = ok(admin.checkout([{"sku": "A", "quantity": 3, "total": 100, "tax_code": "A"}, 50], CASH))["sale"][
        "id"
    ]
    backs = [ok(admin.refund(sale, lines=[{"line": 1, "quantity": 1}])) for _ in range(3)]
    assert [lines_back(back) for back in backs] == [[(1, 33)], [(1, 33)], [(1, 34)]]
    assert backs[-1]["sale"]["refunded"] == 100
    with service.nothing_written():
        refused(admin.refund(sale, lines=[{"line": 1, "quantity": 1}]), 409, "refund_exceeds_sale")
        refused(admin.refund(sale, lines=[{"line": 2, "quantity": 2}]), 409, "refund_exceeds_sale")
        refused(admin.refund(sale, amount=51), 409, "refund_exceeds_sale")
    assert lines_back(ok(admin.refund(sale, amount=50))) == [(2, 50)]
    with service.nothing_written():
        refused(admin.refund(sale, amount=1), 409, "refund_exceeds_sale")


def test_pieces_of_a_line_may_be_named_apart(admin):
    sale = ok(admin.checkout([{"sku": "A", "quantity": 4, "total": 100, "tax_code": "A"}, 50], CASH))["sale"][
        "id"
    ]
    wanted = [{"line": 2, "quantity": 1}, {"line": 1, "quantity": 1}, {"line": 1, "quantity": 2}]
    assert lines_back(ok(admin.refund(sale, lines=wanted))) == [(1, 75), (2, 50)]


def test_an_amount_is_spread_over_what_is_left_of_each_line(admin):
    lines = [{"sku": "A", "quantity": 1, "total": total, "tax_code": "A"} for total in (100, 200, 1)]
    sale = ok(admin.checkout(lines, CASH))["sale"]["id"]
    assert lines_back(ok(admin.refund(sale, amount=150))) == [(1, 50), (2, 100)]
    assert lines_back(ok(admin.refund(sale, amount=1))) == [(2, 1)]
    ok(admin.refund(sale, lines=[{"line": 1, "quantity": 1}]))
    assert lines_back(ok(admin.refund(sale, amount=100))) == [(2, 99), (3, 1)]


def test_tenders_are_paid_back_the_last_first(admin):
    account = admin.wallet(300)
    mpesa = {"type": "mpesa", "amount": 400, "reference": fresh_name("RKT")}
    sale = ok(admin.checkout([1000], WALLET, mpesa, CASH, wallet=account))["sale"]["id"]
    before = admin.accounts()
    backs = [ok(admin.refund(sale, amount=amount)) for amount in (200, 350, 450)]
    assert [tenders_back(back) for back in backs] == [
        [("cash", 200)],
        [("cash", 100), ("mpesa", 250)],
        [("mpesa", 150), ("wallet", 300)],
    ]
    assert "wallet" not in backs[0]
    assert backs[2]["wallet"]["balance"] == 300 == admin.balance(account)
    after = admin.accounts()
    assert after["sales_returns"]["debits"] - before["sales_returns"]["debits"] == 1000
    assert after["sales"] == before["sales"]
    lines = ok(admin.get("statements", account=account))["lines"]
    assert [line["amount"] for line in lines] == [300, -300, 300]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"amount": 1, "lines": [{"line": 1, "quantity": 1}]},
        {"lines": []},
        {"lines": [{"line": 0, "quantity": 1}]},
        {"lines": [{"line": 2, "quantity": 1}]},
        {"lines": [{"line": 1, "quantity": 0}]},
        {"lines": [{"line": 1, "quantity": -1}]},
        {"lines": [{"line": 1, "quantity": 1.5}]},
        {"lines": [{"line": 1}]},
        {"lines": [{"line": 1, "quantity": 1, "amount": 5}]},
        {"amount": 0},
        {"amount": -1},
        {"amount": 10**15 + 1},
    ],
)
def test_refunds_that_say_not_what(service, admin, fields):
    sale = ok(admin.checkout([100], CASH))["sale"]["id"]
    with service.nothing_written():
        refused(admin.refund(sale, **fields), 422, "invalid_request")


# --- invoices


def test_an_invoice_settled_by_three_tenders_at_once(service, admin):
    payer = admin.wallet(300)
    invoice = admin.invoice(1000, payer=payer)
    before = admin.accounts()
    reference = fresh_name("RKT")
    answer = ok(
        admin.settle(invoice["id"], {"type": "mpesa", "amount": 400, "reference": reference}, CASH, WALLET)
    )
    assert (answer["invoice"]["status"], answer["invoice"]["open"]) == ("paid", 0)
    assert admin.balance(payer) == 0
    after = admin.accounts()
    assert {
        role: after[role]["balance"] - before[role]["balance"] for role in ("till_cash", "mpesa_clearing")
    } == {
        "till_cash": 300,
        "mpesa_clearing": 400,
    }
    assert after["receivables"]["credits"] - before["receivables"]["credits"] == 1000
    found = service.row(
        "SELECT array_agg(leg || tender || amount ORDER BY leg) FROM finance_payments WHERE transaction_id = %s",
        answer["transaction_id"],
    )
    assert found[0] == ["1wallet300", "2mpesa400", "3cash300"]
    with service.nothing_written():
        other = {"type": "mpesa", "reference": reference, "amount": 1}
        refused(admin.checkout([1], other), 409, "reference_already_used")


@pytest.mark.parametrize("tender", ["cash", "bank", "card", "mpesa"])
def test_an_excess_goes_to_the_payers_wallet(admin, tender):
    payer = admin.wallet(50)
    invoice = admin.invoice(1000, payer=payer)
    answer = ok(admin.settle(invoice["id"], {"type": tender, "amount": 1300, "reference": fresh_name()}))
    assert answer["invoice"]["status"] == "paid"
    assert admin.balance(payer) == 350
    assert ok(admin.get("statements", account=payer))["lines"][-1]["amount"] == 300


def test_an_excess_goes_to_the_tenders_wallet_before_any_other(admin):
    payer, named = admin.wallet(), admin.wallet()
    paying = admin.wallet(100, payer=payer)
    invoice = admin.invoice(1000, payer=payer)
    tenders = [WALLET | {"account": paying, "amount": 100}, CASH | {"amount": 1000, "account": named}]
    ok(admin.settle(invoice["id"], *tenders))
    assert [admin.balance(one) for one in (payer, named, paying)] == [0, 100, 0]


@pytest.mark.parametrize("balance", [100, 0])
def test_an_excess_goes_to_the_paying_wallet_before_the_payers(admin, balance):
    """Even where that wallet had nothing to pay with."""
    payer = admin.wallet()
    paying = admin.wallet(balance, payer=payer)
    invoice = admin.invoice(1000, payer=payer)
    ok(admin.settle(invoice["id"], WALLET | {"account": paying}, CASH | {"amount": 1200}))
    # Of the amount named, 1000 are owed, so the wallet pays nothing.
    assert [admin.balance(one) for one in (payer, paying)] == [0, balance + 200]


def test_the_reference_of_an_excess_tells_whose_wallet_has_it(admin):
    """A statement that says it was another child's must not be told that all is well."""
    payer = admin.wallet()
    invoice = admin.invoice(1000, payer=payer)
    reference = fresh_name("RKT")
    ok(admin.settle(invoice["id"], {"type": "mpesa", "amount": 1500, "reference": reference}))
    body = {"amount": 1500, "currency": "KES", "source": {"type": "mpesa", "reference": reference}}
    told = refused(admin.post(f"wallets/{admin.wallet()}/top-up", body), 409, "reference_already_used")
    assert (told["amount"], told["account"]) == (1500, payer)


def test_an_excess_that_no_wallet_takes(service, admin):
    invoice = admin.invoice(1000)
    with service.nothing_written():
        refused(admin.settle(invoice["id"], CASH | {"amount": 1001}), 409, "no_wallet_for_excess")
        elsewhere = CASH | {"amount": 1001, "account": fresh_name()}
        refused(admin.settle(invoice["id"], elsewhere), 404, "wallet_not_found")


@pytest.mark.parametrize(
    ("balance", "tenders", "status", "code"),
    [
        (2000, [WALLET | {"amount": 1001}], 422, "tenders_exceed_total"),
        (999, [WALLET], 409, "insufficient_funds"),
        (10, [WALLET | {"amount": 11}, CASH], 409, "insufficient_funds"),
        (0, [CASH, {"type": "bank"}], 422, "tenders_ambiguous"),
        (0, [WALLET], 409, "insufficient_funds"),
        (0, [], 422, "invalid_request"),
        (0, [CASH | {"amount": 0}], 422, "invalid_request"),
    ],
)
def test_tenders_that_do_not_fit_an_invoice(service, admin, balance, tenders, status, code):
    payer = admin.wallet(balance)
    invoice = admin.invoice(1000, payer=payer)
    with service.nothing_written():
        refused(admin.settle(invoice["id"], *tenders), status, code)


def test_part_payments_until_it_is_paid(admin):
    payer = admin.wallet(250)
    invoice = admin.invoice(1000, payer=payer)
    opens = []
    for tenders in ([CASH | {"amount": 100}], [WALLET, CASH | {"amount": 300}], [CASH]):
        found = ok(admin.settle(invoice["id"], *tenders))["invoice"]
        opens.append((found["status"], found["open"]))
    assert opens == [("partially_paid", 900), ("partially_paid", 350), ("paid", 0)]
    assert admin.balance(payer) == 0


def test_another_wallet_of_the_payer_pays_an_invoice(admin):
    """Whether the bill is the parent's or a child's."""
    parent = fresh_name("PAR")
    child, sister = admin.wallet(payer=parent), admin.wallet(1000, payer=parent)
    for payer in (parent, child):
        invoice = admin.invoice(400, payer=payer)
        ok(admin.settle(invoice["id"], WALLET | {"account": sister.lower()}))
    assert (admin.balance(child), admin.balance(sister)) == (0, 200)


def test_a_wallet_of_another_payer_pays_no_invoice(service, admin):
    payer, stranger = admin.wallet(), admin.wallet(1000)
    for billed in (payer, fresh_name("PAR")):
        invoice = admin.invoice(400, payer=billed)
        with service.nothing_written():
            refused(admin.settle(invoice["id"], WALLET | {"account": stranger}), 409, "not_same_family")
            refused(admin.settle(invoice["id"], WALLET | {"account": fresh_name()}), 404, "wallet_not_found")


def test_a_settlement_as_of_an_earlier_day(admin):
    payer = admin.wallet(100)
    invoice = admin.invoice(100, payer=payer, effective_date="2026-01-02")
    body = {"settle": {"tenders": [WALLET], "effective_date": "2026-01-02"}}
    ok(admin.send("PATCH", f"invoices/{invoice['id']}", body))
    line = ok(admin.get("statements", account=payer))["lines"][0]
    assert (line["effective_date"], line["amount"], line["balance"]) == ("2026-01-02", -100, -100)
