"""Sales are found again: by receipt, customer, wallet and date, page by page, and by nobody else."""

from datetime import date, timedelta

import pytest

from tests.support.service import Client, fresh_name, ok, refused

WALLET, CASH = {"type": "wallet"}, {"type": "cash"}
TODAY = date.today()  # noqa: DTZ011  of the machine, which the tests date back from


def day(ago: int) -> str:
    return (TODAY - timedelta(days=ago)).isoformat()


def sell(client: Client, *tenders: dict[str, object], **fields: object) -> dict[str, object]:
    return ok(client.checkout([1000], *tenders, **fields))["sale"]


def ids(client: Client, **filters: object) -> list[str]:
    """Of all pages, whatever their size; the same either way."""
    found: dict[int, list[str]] = {}
    for limit in (2, 500):
        rows, cursor = [], {}
        while True:
            page = ok(client.get("sales", limit=limit, **filters, **cursor))
            rows += [one["id"] for one in page["data"]]
            if not page["has_more"]:
                break
            cursor = {"cursor": page["next"]}
        found[limit] = rows
    assert found[2] == found[500]
    return found[2]


def test_a_sale_is_found_by_its_receipt_with_all_that_is_known_of_it(admin):
    account = admin.wallet(600)
    sold = sell(admin, WALLET, CASH, wallet=account)
    (found,) = ok(admin.get("sales", receipt=sold["receipt"].lower()))["data"]
    assert {name: found[name] for name in sold} == sold
    assert found == ok(admin.get(f"sales/{sold['id']}"))
    assert found["effective_date"] >= day(1)
    ok(admin.refund(sold["id"], amount=100))
    (refunded,) = ok(admin.get("sales", receipt=sold["receipt"]))["data"]
    assert refunded == found | {"refunded": 100}


def test_filters_add_up(admin):
    account, customer, other = admin.wallet(), fresh_name("C"), fresh_name("C")
    money = {"amount": 5000, "currency": "KES", "source": {"type": "cash"}, "effective_date": day(9)}
    ok(admin.post(f"wallets/{account}/top-up", money))
    kept = [
        sell(admin, WALLET, customer=customer, wallet=account, effective_date=day(2)),
        sell(admin, CASH, customer=customer, effective_date=day(3)),
        sell(admin, WALLET | {"amount": 400}, WALLET | {"amount": 100}, CASH, customer=other, wallet=account),
        sell(admin, CASH, customer=other, wallet=account),
        sell(admin, WALLET | {"account": account}, customer=customer, effective_date=day(3)),
    ]
    by_name = dict(enumerate(one["id"] for one in kept))

    def found(**filters: object) -> list[int]:
        return [next(n for n, id_ in by_name.items() if id_ == one) for one in ids(admin, **filters)]

    # The newest by effective date first, then the last recorded; a wallet that was named but did not pay is no filter's.
    assert found(customer=customer) == [0, 4, 1]
    assert found(wallet=account) == [2, 0, 4]
    assert found(wallet=account, customer=customer) == [0, 4]
    assert found(wallet=account, customer=other) == [2]
    assert found(customer=customer, **{"from": day(2)}) == [0]
    assert found(customer=customer, to=day(3)) == [4, 1]
    assert found(wallet=account, **{"from": day(3), "to": day(2)}) == [0, 4]
    assert found(wallet=account, customer=customer, **{"from": day(2), "to": day(2)}) == [0]
    assert found(customer=customer, to=day(4)) == []
    receipt = kept[0]["receipt"]
    assert found(receipt=receipt, wallet=account, customer=customer, to=day(2)) == [0]
    for wrong in ({"wallet": admin.wallet()}, {"customer": other}, {"to": day(3)}, {"from": day(1)}):
        assert found(receipt=receipt, **wrong) == []
    everything = ids(admin, **{"from": day(3)})
    assert [one for one in everything if one in by_name.values()] == [by_name[n] for n in (3, 2, 0, 4, 1)]


def test_a_page_stays_in_its_place_while_others_sell(admin):
    customer = fresh_name("C")
    made = [sell(admin, CASH, customer=customer)["id"] for _ in range(4)]
    first = ok(admin.get("sales", customer=customer, limit=2))
    sell(admin, CASH, customer=customer)
    rest = ok(admin.get("sales", customer=customer, limit=2, cursor=first["next"]))
    assert [one["id"] for one in first["data"] + rest["data"]] == made[::-1]
    assert not rest["has_more"]
    other = admin.get("sales", customer=fresh_name("C"), cursor=first["next"])
    assert refused(other, 422, "invalid_request")["errors"][0]["pointer"] == "/query/cursor"


def test_another_school_finds_nothing(admin, foreign):
    sold = sell(admin, CASH, customer="SHARED")
    assert ok(foreign.get("sales", receipt=sold["receipt"], customer="SHARED"))["data"] == []


@pytest.mark.parametrize("others", [{}, {"colour": "red"}])
def test_a_till_is_not_there_yet(admin, others):
    found = refused(admin.get("sales", till="T1", **others), 422, "not_supported")
    assert found["detail"] == "Tills are not supported yet; leave `till` out."


def test_a_range_that_ends_before_it_begins(admin):
    found = refused(admin.get("sales", to=day(2), **{"from": day(1)}), 422, "invalid_request")
    assert found["errors"] == [{"pointer": "/query/to", "detail": "`to` lies before `from`."}]
