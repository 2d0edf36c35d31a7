"""The idempotency key: one command, one answer, however often and by whatever way it is asked."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.service import Client, Service, api, fresh_key, fresh_name, ok, refused

BODY = {"amount": 100, "currency": "KES", "source": {"type": "cash"}}


@pytest.fixture
def account(admin: Client) -> str:
    return admin.wallet()


def element(action: str, key: str, **data) -> dict:
    return {"action": action, "idempotency_key": key, "data": data}


def test_a_replay_is_the_first_answer_byte_for_byte(service, admin, account):
    key = fresh_key()
    first = admin.top_up(account, 100, key=key)
    ok(admin.top_up(account, 1))
    with service.nothing_written():
        again = admin.top_up(account, 100, key=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["bursar-position"] == first.headers["bursar-position"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert admin.balance(account) == 101


@pytest.mark.parametrize(
    ("action", "status"), [("open", 201), ("create", 201), ("issue", 200), ("settle", 200), ("export", 202)]
)
def test_every_kind_of_command_replays(service, admin, action, status):
    key = fresh_key()
    if action == "issue":
        path = f"invoices/{admin.invoice(issue=False)['id']}/issue"
    if action == "settle":
        invoice = admin.invoice()["id"]
    line = {"description": "Tuition", "quantity": 1, "total": 10, "income": "tuition"}
    invoice_body = {"payer": "P", "currency": "KES", "due_date": "2026-12-31", "lines": [line]}
    name = fresh_name()

    def ask():
        match action:
            case "open":
                return admin.post("wallets", {"account": name, "currency": "KES"}, key=key)
            case "create":
                return admin.post("invoices", invoice_body, key=key)
            case "issue":
                return admin.post(path, {}, key=key)
            case "settle":
                return admin.settle(invoice, {"type": "cash"}, key=key)
            case _:
                return admin.post("quickbooks/export", {}, key=key)

    first = ask()
    ok(first, status)
    with service.nothing_written():
        assert (ask().status_code, ask().content) == (status, first.content)


@pytest.mark.parametrize(
    "body",
    [
        b'  {"amount":100,\n\t"currency":"KES","source":{"type":"cash"}}  ',
        b'{"source": {"type": "cash"}, "currency": "KES", "amount": 100}',
        b'{"amount": 100, "currency": "\\u004bES", "source": {"type": "cash", "reference": null}}',
        b'{"amount": 100, "currency": "KES", "source": {"type": "cash"}, "effective_date": null}',
    ],
)
def test_how_a_body_is_written_makes_no_difference(admin, account, body):
    key = fresh_key()
    first = admin.top_up(account, 100, key=key)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Bursar-Reason": "again",
        "X-Request-Id": "r",
    }
    again = admin.post(f"wallets/{account.lower()}/top-up", body, key=key, headers=headers)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"


def test_single_or_bulk_makes_no_difference(service, admin, account):
    keys = fresh_key(), fresh_key()
    first = ok(admin.top_up(account, 100, key=keys[0]))
    elements = [element("wallet.top_up", key, account=account.lower(), **BODY) for key in keys]
    found = admin.bulk(elements)
    assert [(one["status"], one["replayed"]) for one in found] == [(201, True), (201, False)]
    assert found[0]["data"] == first
    with service.nothing_written():
        assert ok(admin.top_up(account, 100, key=keys[1])) == found[1]["data"]
        again = admin.bulk(elements)
    assert [(one["position"], one["data"]) for one in again] == [
        (one["position"], one["data"]) for one in found
    ]
    assert all(one["replayed"] for one in again)


def test_a_reused_key(service, admin, account):
    key, other = fresh_key(), admin.wallet()
    first = admin.top_up(account, 100, key=key).headers["bursar-position"]
    with service.nothing_written():
        for response in (
            admin.top_up(account, 101, key=key),
            admin.top_up(other, 100, key=key),
            admin.post(f"wallets/{account}/top-up", BODY | {"effective_date": "2026-01-01"}, key=key),
            admin.post(f"wallets/{account}/top-up", BODY | {"source": {"type": "bank"}}, key=key),
            admin.post("wallets", {"account": fresh_name(), "currency": "KES"}, key=key),
            admin.post(
                f"wallets/{account}/charge", {"amount": 1, "currency": "KES", "description": "x"}, key=key
            ),
        ):
            found = refused(response, 422, "idempotency_key_reused")
            assert found["first_position"] == int(first)
            assert found["detail"].endswith(f"the one at position {first}.")
        # Also where the command would be refused for itself.
        refused(admin.top_up(fresh_name(), 100, key=key), 422, "idempotency_key_reused")
        found = admin.bulk([element("wallet.top_up", key, account=account, **BODY | {"amount": 7})])
        assert (found[0]["status"], found[0]["code"]) == (422, "idempotency_key_reused")
        assert (found[0]["position"], found[0]["first_position"]) == (None, int(first))


def test_the_same_key_twenty_times_at_once(service, admin, account):
    key = fresh_key()
    before = service.head()
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: admin.top_up(account, 100, key=key), range(20)))
    assert {response.status_code for response in found} == {201}
    assert len({response.content for response in found}) == 1
    assert sum("idempotency-replayed" not in response.headers for response in found) == 1
    assert service.head() == before + 4
    assert admin.balance(account) == 100


def test_the_same_key_at_once_through_two_processes(service, admin, account):
    key = fresh_key()
    before = service.head()
    with api(service) as url:
        clients = [admin, service.client(url=url)] * 10
        with ThreadPoolExecutor(20) as pool:
            found = list(pool.map(lambda client: client.top_up(account, 100, key=key), clients))
            others = list(pool.map(lambda client: client.top_up(account, 1), clients))
    assert len({ok(response)["transaction_id"] for response in found}) == 1
    assert len({response.content for response in found}) == 1
    assert len({ok(response)["wallet"]["balance"] for response in others}) == 20
    assert service.head() == before + 21 * 4
    assert admin.balance(account) == 120


def test_the_same_key_at_once_with_two_bodies(service, admin, account):
    key = fresh_key()
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda n: admin.top_up(account, 100 + n % 2, key=key), range(20)))
    taken = [response for response in found if response.status_code == 201]
    assert len(taken) == 10
    assert len({response.content for response in taken}) == 1
    for response in found:
        if response not in taken:
            refused(response, 422, "idempotency_key_reused")
    assert admin.balance(account) == ok(taken[0])["wallet"]["balance"]


def test_the_same_key_twice_in_one_bulk(admin, account):
    key = fresh_key()
    top_up = element("wallet.top_up", key, account=account, **BODY)
    found = admin.bulk(
        [top_up, top_up, element("wallet.top_up", key, account=account, **BODY | {"amount": 5})]
    )
    assert [(one["status"], one["replayed"]) for one in found] == [(201, False), (201, True), (422, False)]
    assert found[0]["data"] == found[1]["data"]
    assert admin.balance(account) == 100


def test_a_rejected_command_leaves_no_trace_under_its_key(service, admin, account):
    key = fresh_key()
    charge = {"amount": 100, "currency": "KES", "description": "Fine"}
    with service.nothing_written():
        for _ in range(2):
            response = admin.post(f"wallets/{account}/charge", charge, key=key)
            refused(response, 409, "insufficient_funds")
    ok(admin.top_up(account, 100))
    answer = admin.post(f"wallets/{account}/charge", charge, key=key)
    assert ok(answer)["wallet"]["balance"] == 0
    # Its cause is back, but the key has its answer now.
    assert admin.post(f"wallets/{account}/charge", charge, key=key).content == answer.content
    # A key whose command was refused is still free for another.
    other = fresh_key()
    refused(admin.post(f"wallets/{account}/charge", charge, key=other), 409, "insufficient_funds")
    ok(admin.top_up(account, 100, key=other))


def test_a_dry_run_leaves_no_trace_under_its_key(service, admin, account):
    key = fresh_key()
    with service.nothing_written():
        ok(admin.top_up(account, 100, key=key, dry_run="true"), 200)
    assert "idempotency-replayed" not in admin.top_up(account, 100, key=key).headers


def test_keys_of_one_client_share_and_clients_do_not(service: Service, admin, account):
    name = fresh_name("till").lower()
    first, second = (service.client_of(service.create_key("greenhill", name, "cashier")) for _ in range(2))
    stranger = service.client_of(service.create_key("greenhill", fresh_name("till"), "cashier"))
    key = fresh_key()
    answer = first.top_up(account, 100, key=key)
    assert second.top_up(account, 100, key=key).content == answer.content
    refused(second.top_up(account, 200, key=key), 422, "idempotency_key_reused")
    assert ok(stranger.top_up(account, 100, key=key))["wallet"]["balance"] == 200


def test_tenants_do_not_share_keys(admin, foreign, account):
    other, key = foreign.wallet(currency="CAD"), fresh_key()
    ok(admin.top_up(account, 100, key=key))
    assert ok(foreign.top_up(other, 100, currency="CAD", key=key))["wallet"]["account"] == other


def test_a_key_outlives_the_credential(service, account):
    old = service.create_key("greenhill", name := fresh_name("client"), "cashier")
    key = fresh_key()
    answer = service.client_of(old).top_up(account, 100, key=key)
    ok(answer)
    new = service.create_key("greenhill", name, "cashier")
    service.revoke("greenhill", old)
    refused(service.client_of(old).top_up(account, 100, key=key), 401, "unauthenticated")
    again = service.client_of(new).top_up(account, 100, key=key)
    assert again.content == answer.content


def test_the_capability_is_checked_before_the_key(service, account):
    name, key = fresh_name("client"), fresh_key()
    cashier = service.client_of(service.create_key("greenhill", name, "cashier"))
    auditor = service.client_of(service.create_key("greenhill", name, "auditor"))
    ok(cashier.top_up(account, 100, key=key))
    refused(auditor.top_up(account, 100, key=key), 403, "capability_missing")


def test_two_equal_purchases_are_two_purchases(admin, account):
    ok(admin.top_up(account, 100))
    ok(admin.top_up(account, 100))
    assert admin.balance(account) == 200


def test_the_longest_and_the_shortest_key(admin, account):
    for key in ("!" * 8, "~" * 200):
        ok(admin.top_up(account, 100, key=f"{key[:-6]}{fresh_key()[-6:]}"))


def test_duplicate_members_are_one_command(service, admin, account):
    """JSON leaves open which of two equal names counts; whichever does, it is the one that is hashed and posted."""
    key = fresh_key()
    body = b'{"amount": 1, "currency": "KES", "source": {"type": "cash"}, "amount": 50}'
    response = admin.post(f"wallets/{account}/top-up", body, key=key)
    taken = ok(response)["wallet"]["balance"]
    assert admin.top_up(account, taken, key=key).content == response.content
    (stored,) = service.row(
        "SELECT convert_from(state, 'UTF8') FROM events WHERE originator_id = %s AND originator_version = 2",
        f"greenhill/wallet/{account}",
    )
    assert json.loads(stored)["amount"] == taken == admin.balance(account)
