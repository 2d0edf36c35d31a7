"""An atomic bulk over HTTP: all of its commands or none, and one answer."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.commands.test_bulk import element, top_up
from tests.support.service import fresh_key, ok, refused


def charge(account: str, amount: int, **more) -> dict:
    return element(
        "wallet.charge", account=account, amount=amount, currency="KES", description="Fine", **more
    )


def atomic(client, elements, **options):
    return client.post("bulk", elements, key=None, atomic="true", **options)


def test_all_are_done_at_one_position(service, admin):
    account = admin.wallet()
    before = service.head()
    response = atomic(admin, [top_up(account, 100), charge(account, 60), charge(account, 40)])
    found = ok(response, 200)["data"]
    assert [(one["status"], one["code"], one["replayed"]) for one in found] == [(201, None, False)] * 3
    assert [one["data"]["wallet"]["balance"] for one in found] == [100, 40, 0]
    assert {one["position"] for one in found} == {service.head()} == {before + 12}
    assert response.headers["bursar-position"] == str(service.head())
    assert admin.balance(account) == 0


def test_the_same_again_is_a_replay(service, admin):
    elements = [top_up(admin.wallet(), 100), top_up(admin.wallet(), 60)]
    first = ok(atomic(admin, elements))["data"]
    with service.nothing_written():
        again = ok(atomic(admin, elements))["data"]
    assert again == [{**one, "replayed": True} for one in first]


def test_none_of_its_keys_does_anything_alone(service, admin):
    account = admin.wallet()
    elements = [top_up(account, 100), charge(account, 60)]
    ok(atomic(admin, elements))
    with service.nothing_written():
        [alone, *_] = admin.bulk(elements)
        assert alone["code"] == "idempotency_key_reused"
        refused(admin.top_up(account, 100, key=elements[0]["idempotency_key"]), 422, "idempotency_key_reused")
        refused(atomic(admin, elements[:1]), 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("spoil", "status", "code", "pointer"),
    [
        (lambda account: charge(account, 5000), 409, "insufficient_funds", "/2"),
        (lambda account: top_up(account, 1.5), 422, "invalid_request", "/2/data/amount"),
        (lambda _: top_up("NO-SUCH-ONE"), 404, "wallet_not_found", "/2"),
        (
            lambda _: {"action": "wallet.top_up", "data": {}},
            400,
            "idempotency_key_required",
            "/2/idempotency_key",
        ),
        (
            lambda account: {**top_up(account), "idempotency_key": "short"},
            400,
            "idempotency_key_invalid",
            "/2",
        ),
        (lambda _: element("wallet.steal"), 422, "invalid_request", "/2/action"),
        (lambda account: element("wallet.freeze", account=account), 400, "reason_required", "/2"),
        (lambda _: 7, 422, "invalid_request", "/2"),
    ],
)
def test_one_that_is_refused_refuses_all(service, admin, spoil, status, code, pointer):
    account = admin.wallet(1000)
    good = [top_up(account, 10), charge(account, 20)]
    with service.nothing_written():
        problem = refused(atomic(admin, [*good, spoil(account), top_up(account, 1)]), status, code)
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
        assert "element" not in problem
    ok(atomic(admin, good))
    assert admin.balance(account) == 990


def test_a_key_that_two_elements_share(service, admin):
    key, account = fresh_key(), admin.wallet()
    elements = [{**top_up(account, amount), "idempotency_key": key} for amount in (1, 2)]
    with service.nothing_written():
        problem = refused(atomic(admin, elements), 422, "invalid_request")
    assert problem["errors"][0]["pointer"] == "/1/idempotency_key"


def test_capabilities_are_those_of_each_element(service, admin):
    account = admin.wallet()
    sale = element(
        "pos.checkout",
        currency="KES",
        lines=[{"sku": "A", "quantity": 1, "total": 1, "tax_code": "A"}],
        tenders=[{"type": "cash"}],
    )
    with service.nothing_written():
        problem = refused(
            atomic(service.client("bursar"), [top_up(account), sale]), 403, "capability_missing"
        )
    assert (problem["capability"], problem["errors"][0]["pointer"]) == ("pos.sell", "/1")


def test_a_hundred_and_one_more(service, admin):
    account = admin.wallet()
    elements = [top_up(account, 1) for _ in range(100)]
    with service.nothing_written():
        refused(atomic(admin, [*elements, top_up(account)]), 422, "invalid_request")
    assert len({one["position"] for one in ok(atomic(admin, elements))["data"]}) == 1
    assert admin.balance(account) == 100


def test_nothing_and_one(service, admin):
    with service.nothing_written():
        assert ok(atomic(admin, []), 200) == {"data": []}
    account = admin.wallet()
    elements = [top_up(account, 7)]
    assert ok(atomic(admin, elements))["data"][0]["replayed"] is False
    assert ok(atomic(admin, elements))["data"][0]["replayed"] is True
    assert admin.balance(account) == 7


def test_a_whole_sale_day_and_its_documents(service, admin):
    """Sales, an invoice and its payment, each with its own transaction, posted by one command."""
    account = admin.wallet(1000)
    line = {"sku": "MEAL", "quantity": 2, "total": 100, "tax_code": "A"}
    sale = {"wallet": account, "currency": "KES", "lines": [line], "tenders": [{"type": "wallet"}]}
    bill = {"description": "Trip", "quantity": 1, "total": 90, "income": "transport"}
    invoice = {"payer": account, "currency": "KES", "due_date": "2030-12-31", "lines": [bill], "issue": True}
    found = ok(
        atomic(
            admin,
            [
                element("pos.checkout", **sale),
                element("pos.checkout", **sale),
                element("invoice.create", **invoice),
            ],
        )
    )["data"]
    first, second, created = (one["data"] for one in found)
    assert first["transaction_id"] != second["transaction_id"]
    assert first["receipt"]["number"] != second["receipt"]["number"]
    position = found[0]["position"]
    assert admin.balance(account) == 800, "and so the position is projected"
    row = service.row(
        "SELECT count(DISTINCT transaction_id), count(*) FROM ledger_transactions t JOIN commands c"
        " ON t.position BETWEEN c.first_position AND c.position WHERE c.position = %s",
        position,
    )
    assert row == (3, 3)
    assert created["status"] == "issued"


def test_who_sends_the_same_refused_one_at_once_hears_the_same(admin):
    elements = [top_up(admin.wallet(), 1), top_up("NO-SUCH-ONE")]
    with ThreadPoolExecutor(4) as pool:
        problems = [
            refused(found, 404, "wallet_not_found")
            for found in pool.map(lambda _: atomic(admin, elements), range(8))
        ]
    assert {problem["errors"][0]["pointer"] for problem in problems} == {"/1"}
