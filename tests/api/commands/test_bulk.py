"""Bulk: each element stands alone, in order, and the answer says of each what became of it."""

import pytest

from tests.support.service import fresh_key, fresh_name, ok, refused


def element(action: str, *, key: str = "", **data) -> dict:
    return {"action": action, "idempotency_key": key or fresh_key(), "data": data}


def top_up(account: str, amount=100, **more) -> dict:
    return element(
        "wallet.top_up", account=account, amount=amount, currency="KES", source={"type": "cash"}, **more
    )


def test_mixed_results_in_order(service, admin):
    account = admin.wallet()
    charge = {"account": account, "currency": "KES", "description": "Fine"}
    before = service.head()
    response = admin.post(
        "bulk",
        [
            element("wallet.charge", amount=1, **charge),
            top_up(account, 100),
            element("wallet.charge", amount=60, **charge),
            element("wallet.charge", amount=60, **charge),
            top_up(account, 1.5),
            {"action": "wallet.top_up", "data": {}},
            element("wallet.top_up", key="short", account=account),
            element("wallet.steal", account=account),
            element("quickbooks.export"),
            element("tenant.register", country="KE", legal_name="Mine"),
            7,
            [],
            {},
            top_up(fresh_name()),
            element("wallet.top_up", amount=1, currency="KES", source={"type": "cash"}),
            top_up("a b"),
            top_up(account, colour="red"),
            {**top_up(account), "colour": "red"},
            top_up(account, 5),
        ],
        key=None,
    )
    found = ok(response, 200)["data"]
    assert [(one["status"], one["code"]) for one in found] == [
        (409, "insufficient_funds"),
        (201, None),
        (201, None),
        (409, "insufficient_funds"),
        (422, "invalid_request"),
        (400, "idempotency_key_required"),
        (400, "idempotency_key_invalid"),
        (422, "invalid_request"),
        (422, "invalid_request"),
        (422, "invalid_request"),
        (422, "invalid_request"),
        (422, "invalid_request"),
        (422, "invalid_request"),
        (404, "wallet_not_found"),
        (422, "invalid_request"),
        (422, "invalid_request"),
        (422, "invalid_request"),
        (422, "invalid_request"),
        (201, None),
    ]
    assert all({"status", "code", "position", "replayed", "data"} <= one.keys() for one in found)
    assert [[error["pointer"] for error in one.get("errors", [])] for one in found[4:]] == [
        ["/4/data/amount"],
        ["/5/idempotency_key"],
        [],
        ["/7/action"],
        ["/8/action"],
        ["/9/action"],
        ["/10"],
        ["/11"],
        ["/12/action", "/12/idempotency_key", "/12/data"],
        [],
        ["/14/data/account"],
        ["/15/data/account"],
        ["/16/data/colour"],
        ["/17/colour"],
        [],
    ]
    assert found[4]["errors"][0]["detail"] == (
        "Give a whole number of minor units from 1 to 1000000000000000, not a decimal."
    )
    assert found[7]["errors"][0]["detail"] == (
        "There is no action wallet.steal in bulk; give one of import.record, invoice.create, invoice.issue, invoice.settle, "
        "pos.checkout, pos.refund, tax_code.set, wallet.charge, wallet.freeze, wallet.open, wallet.top_up,"
        " wallet.unfreeze."
    )
    assert (
        found[10]["detail"] == "/10: Give an object with action, idempotency_key, data, not a whole number."
    )
    assert found[3]["available"] == 40
    done = [one for one in found if one["status"] == 201]
    assert [one["position"] for one in done] == [before + 4, before + 8, before + 12]
    assert [one["data"]["wallet"]["balance"] for one in done] == [100, 40, 45]
    assert service.head() == before + 12
    assert response.headers["bursar-position"] == str(before + 12)


def test_a_whole_days_work_in_one_request(admin):
    account = fresh_name()
    line = {"sku": "MEAL", "quantity": 2, "total": 100, "tax_code": "A"}
    bill = {"description": "Trip", "quantity": 1, "total": 90, "income": "transport"}
    found = admin.bulk(
        [
            element("wallet.open", account=account, currency="KES"),
            top_up(account, 200),
            element(
                "pos.checkout", wallet=account, currency="KES", lines=[line], tenders=[{"type": "wallet"}]
            ),
            element(
                "invoice.create",
                payer=account,
                currency="KES",
                due_date="2026-12-31",
                lines=[bill],
                issue=False,
            ),
        ]
    )
    assert [one["status"] for one in found] == [201] * 4
    sale, invoice = found[2]["data"]["sale"]["id"], found[3]["data"]["id"]
    found = admin.bulk(
        [
            element("invoice.issue", invoice=invoice),
            element("pos.refund", sale=sale, lines=[{"line": 1, "quantity": 1}]),
            element("invoice.settle", invoice=invoice, settle={"tenders": [{"type": "wallet"}]}),
        ]
    )
    assert [one["status"] for one in found] == [200, 201, 200]
    assert found[2]["data"]["invoice"]["status"] == "paid"
    assert admin.balance(account) == 200 - 100 + 50 - 90


def test_capabilities_are_those_of_each_element(service, admin):
    account = admin.wallet()
    bursar = service.client("bursar")
    sale = element(
        "pos.checkout",
        currency="KES",
        lines=[{"sku": "A", "quantity": 1, "total": 1, "tax_code": "A"}],
        tenders=[{"type": "cash"}],
    )
    found = bursar.bulk([top_up(account), sale])
    assert [(one["status"], one["code"]) for one in found] == [(201, None), (403, "capability_missing")]
    assert found[1]["capability"] == "pos.sell"


def test_ten_thousand_and_one_more(service, admin):
    account = admin.wallet()
    elements = [top_up(account, 1) for _ in range(10_000)]
    before = service.head()
    found = ok(admin.post("bulk", elements, key=None))["data"]
    assert {one["status"] for one in found} == {201}
    assert [one["position"] for one in found] == list(range(before + 4, before + 40_001, 4))
    with service.nothing_written():
        refused(admin.post("bulk", [*elements, top_up(account)], key=None), 422, "invalid_request")
    assert admin.balance(account) == 10_000


@pytest.mark.parametrize("body", [b"{}", b"null", b'"text"', b"1", b'{"data": []}'])
def test_what_is_no_array(service, admin, body):
    with service.nothing_written():
        refused(admin.post("bulk", body), 422, "invalid_request")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"action": "\xff", "idempotency_key": "12345678", "data": {}}',
        b'{"action": "wallet.open", "idempotency_key": "\xff\xff\xff\xff\xff\xff\xff\xff", "data": {}}',
        b'{"action": "wallet.open", "idempotency_key": "12345678", "data": {"account": "\xff"}}',
        b'{"action": "wallet.open", "idempotency_key": "12345678", "data": {"\xff": 1}}',
        b'{"\xff": "wallet.open", "idempotency_key": "12345678", "data": {}}',
    ],
)
def test_an_element_that_is_no_text_does_not_spoil_the_others(admin, raw):
    account = admin.wallet()
    good = (
        b'{"action": "wallet.top_up", "idempotency_key": "%b", "data": {"account": "%b", "amount": 1, %b}}'
        % (
            fresh_key().encode(),
            account.encode(),
            b'"currency": "KES", "source": {"type": "cash"}',
        )
    )
    found = ok(admin.post("bulk", b"[" + raw + b"," + good + b"]"))["data"]
    assert found[0]["code"] in ("malformed_json", "invalid_request")
    assert found[1]["status"] == 201


def test_nothing_in_bulk(service, admin):
    with service.nothing_written():
        assert ok(admin.post("bulk", [], key=None), 200) == {"data": []}
