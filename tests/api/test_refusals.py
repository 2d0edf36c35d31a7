"""Every refusal: the documented status and code in the envelope, and nothing written."""

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.support.bodies import charge, top_up
from tests.support.service import fresh_key, fresh_name, ok, refused

TUITION = {"description": "Tuition", "quantity": 1, "total": 100, "income": "tuition"}

# --- the content of the payload


@pytest.mark.parametrize("action", ["top-up", "charge"])
def test_wrong_currency(admin, foreign, refusing, action):
    body = (top_up if action == "top-up" else charge)(currency="CAD")
    refused(admin.post(f"wallets/{refusing}/{action}", body), 422, "currency_mismatch")
    sale = {"currency": "CAD", "tenders": [{"type": "cash"}]}
    line = {"sku": "A", "quantity": 1, "total": 10, "tax_code": "A"}
    refused(admin.post("pos/checkout", sale | {"lines": [line]}), 422, "currency_mismatch")
    refused(admin.post("wallets", {"account": fresh_name(), "currency": "CAD"}), 422, "currency_mismatch")
    refused(foreign.post("wallets", {"account": fresh_name(), "currency": "KES"}), 422, "currency_mismatch")


def test_future_effective_dates(admin, refusing):
    day = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    for path, body in (("top-up", top_up(effective_date=day)), ("charge", charge(effective_date=day))):
        refused(admin.post(f"wallets/{refusing}/{path}", body), 422, "effective_date_in_future")
    refused(admin.checkout([1], {"type": "cash"}, effective_date=day), 422, "effective_date_in_future")


@pytest.mark.parametrize("day", ["0026-03-01", "1899-12-31", "1969-12-31"])
def test_dates_that_are_slips_of_the_pen(admin, refusing, day):
    for path, body in (("top-up", top_up(effective_date=day)), ("charge", charge(effective_date=day))):
        found = refused(admin.post(f"wallets/{refusing}/{path}", body), 422, "effective_date_too_early")
        assert found["earliest"] == "1970-01-01"
    refused(admin.checkout([1], {"type": "cash"}, effective_date=day), 422, "effective_date_too_early")
    due = {"payer": "P-1", "currency": "KES", "due_date": day, "lines": [TUITION], "issue": False}
    refused(admin.post("invoices", due), 422, "effective_date_too_early")


@pytest.mark.parametrize(
    ("role", "days", "missing"),
    [
        ("cashier", 2, "transaction.backdate"),
        ("bursar", 31, None),
        ("bursar", 32, "transaction.backdate_any"),
        ("integration", 1, None),
        ("integration", 9000, None),
    ],
)
def test_who_may_date_a_movement_back(service, admin, role, days, missing):
    account, client = admin.wallet(), service.client(role)
    day = (datetime.now(ZoneInfo("Africa/Nairobi")) - timedelta(days=days)).date().isoformat()
    answer = client.post(f"wallets/{account}/top-up", top_up(effective_date=day))
    if missing is None:
        ok(answer)
    else:
        assert refused(answer, 403, "capability_missing")["capability"] == missing


def test_nothing_predates_what_it_settles_or_takes_back(service, admin):
    invoice, sale = admin.invoice(100), ok(admin.checkout([100], {"type": "cash"}))["sale"]["id"]
    today = datetime.now(ZoneInfo("Africa/Nairobi")).date()
    day = (today - timedelta(days=1)).isoformat()
    settle = {"settle": {"tenders": [{"type": "cash"}], "effective_date": day}}
    with service.nothing_written():
        for answer in (
            admin.send("PATCH", f"invoices/{invoice['id']}", settle),
            admin.refund(sale, amount=1, effective_date=day),
        ):
            assert refused(answer, 422, "effective_date_too_early")["earliest"] == today.isoformat()


def test_a_charge_does_not_predate_the_money_it_spends(service, admin):
    account = admin.wallet(1000)
    day = (datetime.now(ZoneInfo("Africa/Nairobi")) - timedelta(days=3)).date().isoformat()
    ok(admin.post(f"wallets/{account}/top-up", top_up(amount=300, effective_date=day)))
    with service.nothing_written():
        for answer in (
            admin.post(f"wallets/{account}/charge", charge(amount=301, effective_date=day)),
            admin.checkout([301], {"type": "wallet"}, wallet=account, effective_date=day),
        ):
            found = refused(answer, 409, "insufficient_funds")
            assert (found["available"], found["required"]) == (300, 301)
    ok(admin.post(f"wallets/{account}/charge", charge(amount=300, effective_date=day)))
    assert all(
        line["balance"] >= 0
        for line in ok(admin.get("statements", account=account, **{"from": day, "to": "2999-12-31"}))["lines"]
    )


def test_mpesa_money_names_its_reference(service, admin):
    mpesa, invoice, account = {"type": "mpesa"}, admin.invoice(10)["id"], admin.wallet()
    with service.nothing_written():
        refused(admin.post(f"wallets/{account}/top-up", top_up(source=mpesa)), 422, "reference_required")
        refused(admin.checkout([1], mpesa), 422, "reference_required")
        refused(admin.settle(invoice, mpesa), 422, "reference_required")


def test_till_is_not_supported_yet(admin, refusing):
    refused(admin.checkout([1], {"type": "cash"}, till="T1"), 422, "not_supported")


# --- the state


def test_insufficient_funds(admin, refusing):
    for response in (
        admin.post(f"wallets/{refusing}/charge", charge(amount=1001)),
        admin.checkout([1001], {"type": "wallet"}, wallet=refusing),
    ):
        found = refused(response, 409, "insufficient_funds")
        assert (found["available"], found["required"]) == (1000, 1001)
        assert found["detail"] == f"Wallet {refusing} has 10.00 KES available, 10.01 KES is required."
    response = admin.checkout([2000], {"type": "wallet", "amount": 1500}, {"type": "cash"}, wallet=refusing)
    refused(response, 409, "insufficient_funds")


def test_a_wallet_twice(admin, refusing):
    body = {"account": refusing.lower(), "currency": "KES"}
    refused(admin.post("wallets", body), 409, "wallet_exists")


def test_unknown_wallets(admin, refusing):
    nobody = fresh_name()
    refused(admin.get(f"wallets/{nobody}"), 404, "wallet_not_found")
    refused(admin.get("statements", account=nobody), 404, "wallet_not_found")
    refused(admin.post(f"wallets/{nobody}/top-up", top_up()), 404, "wallet_not_found")
    refused(admin.post(f"wallets/{nobody}/charge", charge()), 404, "wallet_not_found")
    refused(admin.checkout([1], {"type": "wallet"}, wallet=nobody), 404, "wallet_not_found")
    refused(admin.checkout([1], {"type": "wallet", "account": nobody}), 404, "wallet_not_found")
    refused(admin.checkout([1], {"type": "cash"}, wallet=nobody), 404, "wallet_not_found")


def test_unknown_everything_else(admin, refusing):
    uuid = "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57"
    for invoice in (uuid, uuid.upper(), "1", "%00", "\N{SNOWMAN}", "x" * 300):
        refused(admin.get(f"invoices/{invoice}"), 404, "invoice_not_found")
        refused(admin.post(f"invoices/{invoice}/issue", {}), 404, "invoice_not_found")
        refused(admin.settle(invoice, {"type": "cash"}), 404, "invoice_not_found")
    refused(admin.refund(uuid, amount=1), 404, "sale_not_found")
    refused(admin.refund("1", amount=1), 422, "invalid_request")
    refused(admin.get("accounts/9999/balance"), 404, "account_not_found")
    refused(admin.get("accounts/9999/entries"), 404, "account_not_found")
    refused(admin.get(f"quickbooks/exports/{uuid}"), 404, "export_not_found")
    refused(admin.get("quickbooks/exports/1"), 404, "export_not_found")
    refused(admin.get(f"quickbooks/exports/{uuid}/documents"), 404, "export_not_found")


@pytest.mark.parametrize(
    "name", ["%00", "%C3%9F", "%C4%B1", "%ff", "a%20b", "a%2Fb", "x" * 41, "-a", "%0a", "a%0a"]
)
def test_names_that_name_nothing(admin, refusing, name):
    response = admin.get(f"wallets/{name}")
    assert response.status_code == 404
    for path in ("top-up", "charge"):
        response = admin.post(f"wallets/{name}/{path}", (top_up if path == "top-up" else charge)())
        assert response.status_code == 404
        assert response.json()["code"] in ("wallet_not_found", "not_found")


def test_a_path_that_only_looks_like_one(admin, refusing):
    """No account is taken from the body where the path should have one, and nothing but a slash ends the prefix."""
    body = top_up(account=refusing)
    refused(admin.post("wallets//top-up", body), 404, "wallet_not_found")
    refused(admin.post("wallets/{}/top-up", body), 404, "wallet_not_found")
    refused(admin.get("wallets/{}"), 404, "wallet_not_found")
    wallet = {"account": fresh_name(), "currency": "KES"}
    headers = {"Idempotency-Key": fresh_key()}
    for path in (
        "/v2/financeXwallets",
        "/v2/finance/wallets/",
        "/v2/finance//wallets",
        "/v2/finance/wallets;x",
    ):
        response = admin.http.post(str(admin.http.base_url.join(path)), json=wallet, headers=headers)
        refused(response, 404, "not_found")


def test_a_percent_encoded_path_is_the_path(admin):
    account = admin.wallet(100)
    encoded = "".join(f"%{ord(letter):02x}" for letter in account)
    assert ok(admin.get(f"wallets/{encoded}"))["account"] == account
    assert ok(admin.top_up(encoded, 1))["wallet"]["balance"] == 101


def test_invoices_that_are_not_in_the_state(service, admin):
    draft, issued = admin.invoice(issue=False), admin.invoice(100)
    ok(admin.settle(issued["id"], {"type": "cash"}))
    with service.nothing_written():
        refused(admin.settle(draft["id"], {"type": "cash"}), 409, "invoice_not_open")
        refused(admin.settle(issued["id"], {"type": "cash"}), 409, "invoice_not_open")
        refused(admin.post(f"invoices/{issued['id']}/issue", {}), 409, "invoice_not_draft")


def test_a_provider_reference_under_two_keys(service, admin):
    account, reference = admin.wallet(), fresh_name("RKT")
    first = ok(
        admin.post(f"wallets/{account}/top-up", top_up(source={"type": "mpesa", "reference": reference}))
    )
    again = {"type": "mpesa", "reference": reference.lower()}
    with service.nothing_written():
        found = refused(
            admin.post(f"wallets/{account}/top-up", top_up(source=again)), 409, "reference_already_used"
        )
        assert found["transaction_id"] == first["transaction_id"]
        assert (found["amount"], found["account"]) == (100, account)
        refused(admin.checkout([100], again), 409, "reference_already_used")
        twice = [again | {"reference": fresh_name(), "amount": 50}] * 2
        refused(admin.checkout([100], *twice), 409, "reference_already_used")
    assert admin.balance(account) == 100
    # The same text of another provider is another receipt, and of cash a remark.
    for kind in ("card", "cash", "cash", "bank", "bank"):
        ok(admin.post(f"wallets/{account}/top-up", top_up(source=again | {"type": kind})))


# --- who asks


def test_credentials(service, admin, refusing):
    body = top_up()
    path = f"wallets/{refusing}/top-up"
    for key in (None, "bk_" + "x" * 43, service.keys["admin"][:-1], "\N{SNOWMAN}", "Bearer"):
        nobody = service.client_of(None)
        headers = {} if key is None else {"Authorization": f"Bearer {key}".encode()}
        for response in (
            nobody.post(path, body, headers=headers),
            nobody.post("bulk", [], headers=headers),
            nobody.post("bulk", b"{", headers=headers),
            nobody.get(f"wallets/{refusing}", headers=headers),
            nobody.get("wallets", headers=headers, colour="red"),
            nobody.get("nothing-here", headers=headers),
        ):
            found = refused(response, 401, "unauthenticated")
            assert response.headers["www-authenticate"] == "Bearer"
            assert found["tenant"] is None
    for value in ("Bearer", f"Basic {service.keys['admin']}", service.keys["admin"]):
        headers = {"Authorization": value}
        refused(service.client_of(None).post(path, body, headers=headers), 401, "unauthenticated")


def test_a_missing_capability_is_named(service, refusing):
    auditor = service.client("auditor")
    found = refused(auditor.post(f"wallets/{refusing}/top-up", top_up()), 403, "capability_missing")
    assert found["capability"] == "wallet.top_up"
    assert found["tenant"] == "greenhill"
    # It is checked before anything in the request is looked at.
    response = auditor.post(f"wallets/{refusing}/top-up?colour=red", b"{", key=None)
    refused(response, 403, "capability_missing")


def test_another_tenants_things_are_not_there(service, admin, foreign):
    account, invoice = admin.wallet(500), admin.invoice()
    sale = ok(admin.checkout([100], {"type": "cash"}))["sale"]["id"]
    batch = ok(admin.post("quickbooks/export", {}))["batch_id"]
    own = foreign.wallet(500, currency="CAD")
    with service.nothing_written():
        for response, code in (
            (foreign.get(f"wallets/{account}"), "wallet_not_found"),
            (foreign.get("statements", account=account), "wallet_not_found"),
            (foreign.post(f"wallets/{account}/top-up", top_up(currency="CAD")), "wallet_not_found"),
            (foreign.post(f"wallets/{account}/charge", charge(currency="CAD")), "wallet_not_found"),
            (foreign.get(f"invoices/{invoice['id']}"), "invoice_not_found"),
            (foreign.post(f"invoices/{invoice['id']}/issue", {}), "invoice_not_found"),
            (foreign.settle(invoice["id"], {"type": "wallet", "account": own}), "invoice_not_found"),
            (foreign.refund(sale, amount=100), "sale_not_found"),
            (foreign.get(f"quickbooks/exports/{batch}"), "export_not_found"),
            (foreign.get(f"quickbooks/exports/{batch}/documents"), "export_not_found"),
        ):
            found = refused(response, 404, code)
            assert "greenhill" not in response.text
            assert found["tenant"] == "maple"
        assert ok(foreign.get("invoices", payer=invoice["payer"]))["data"] == []
    listed = ok(foreign.get("wallets", limit=500))["data"]
    assert own in [wallet["account"] for wallet in listed]
    assert account not in [wallet["account"] for wallet in listed]
    # Both may use the same name.
    ok(foreign.post("wallets", {"account": account, "currency": "CAD"}))
    assert (admin.balance(account), foreign.balance(account)) == (500, 0)


def test_a_feature_that_is_off(service):
    service.register("switched", "KE")
    key = service.create_key("switched", "office", "admin")
    client = service.client_of(key)
    account = client.wallet(100)
    bodiless = ("ping", "accounts", "wallets", f"wallets/{account}", "invoices", "quickbooks/exports")
    service.set_feature("switched", enabled=False)
    with service.nothing_written():
        refused(client.post(f"wallets/{account}/top-up", top_up()), 404, "feature_disabled")
        deadline = time.monotonic() + 10
        while client.get("ping").status_code == 200:  # it is told of the change, which takes a moment
            assert time.monotonic() < deadline
        for path in bodiless:
            refused(client.get(path), 404, "feature_disabled")
        refused(client.get("statements", account=account), 404, "feature_disabled")
        refused(client.post("bulk", []), 404, "feature_disabled")
        refused(client.post("quickbooks/export", {}), 404, "feature_disabled")
    service.set_feature("switched", enabled=True)
    assert ok(client.top_up(account, 1))["wallet"]["balance"] == 101


def test_a_revoked_key(service):
    key = service.create_key("greenhill", "short-lived", "admin")
    client = service.client_of(key)
    account = client.wallet(100)
    service.revoke("greenhill", key)
    with service.nothing_written():
        refused(client.top_up(account, 1), 401, "unauthenticated")
        found = client.post(
            "bulk",
            [{"action": "wallet.top_up", "idempotency_key": fresh_key(), "data": top_up(account=account)}],
        )
        assert found.status_code == 401 or found.json()["data"][0]["code"] == "unauthenticated"
        deadline = time.monotonic() + 10
        while client.get("ping").status_code == 200:
            assert time.monotonic() < deadline
        refused(client.get(f"wallets/{account}"), 401, "unauthenticated")


def test_an_expired_key(service):
    key = service.create_key(
        "greenhill", "expired", "admin", expires_at=datetime.now(UTC) + timedelta(seconds=1.5)
    )
    client = service.client_of(key)
    deadline = time.monotonic() + 10
    while client.get("ping").status_code == 200:
        assert time.monotonic() < deadline
    refused(client.get("ping"), 401, "unauthenticated")
    refused(client.post("wallets", {"account": fresh_name(), "currency": "KES"}), 401, "unauthenticated")


# --- the key and the request around it


@pytest.mark.parametrize("path", ["top-up", "charge", "issue", "settle", "invoice", "checkout", "refund"])
def test_a_missing_key(admin, refusing, path):
    uuid = "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57"
    method, route, body = {
        "top-up": ("POST", f"wallets/{refusing}/top-up", top_up()),
        "charge": ("POST", f"wallets/{refusing}/charge", charge()),
        "issue": ("POST", f"invoices/{uuid}/issue", {}),
        "settle": ("PATCH", f"invoices/{uuid}", {"settle": {"tenders": [{"type": "cash"}]}}),
        "invoice": ("POST", "invoices", {}),
        "checkout": ("POST", "pos/checkout", {}),
        "refund": ("POST", "pos/refund", {}),
    }[path]
    refused(admin.send(method, route, body, key=None), 400, "idempotency_key_required")
    for key in ("short", "x" * 201, "with blank", "caf\N{LATIN SMALL LETTER E WITH ACUTE}-au-lait"):
        headers = {"Idempotency-Key": key.encode()}
        response = admin.send(method, route, body, key=None, headers=headers)
        refused(response, 400, "idempotency_key_invalid")


@pytest.mark.parametrize("query", ["colour=red", "dry_run=maybe", "dry_run=true&dry_run=true", "dry_run"])
def test_unknown_parameters_of_commands(admin, refusing, query):
    found = refused(admin.post(f"wallets/{refusing}/top-up?{query}", top_up()), 422, "invalid_request")
    name = query.split("=")[0]
    assert [error["pointer"] for error in found["errors"]] == [f"/query/{name}"]
    assert "dry_run" in found["detail"]
    bulk = refused(admin.post(f"bulk?{query.replace('dry_run', 'atomic')}", []), 422, "invalid_request")
    assert "atomic" in bulk["errors"][0]["pointer"] + bulk["detail"]


def test_bulk_takes_no_dry_run(admin, refusing):
    refused(admin.post("bulk?dry_run=true", []), 422, "not_supported")


@pytest.mark.parametrize("value", ["-1", "1.5", "abc", "9" * 30, "\N{SUPERSCRIPT TWO}", ""])
def test_a_minimal_position_that_is_none(admin, refusing, value):
    headers = {"Bursar-Min-Position": value.encode()}
    refused(admin.get("wallets", headers=headers), 400, "bad_header")


@pytest.mark.parametrize(
    "name", ["Authorization", "Idempotency-Key", "Bursar-Reason", "Bursar-Min-Position", "Content-Type"]
)
def test_a_header_given_twice(admin, refusing, name):
    url = f"{admin.http.base_url}wallets/{refusing}"
    own = dict(admin.http.headers) | {"Idempotency-Key": fresh_key(), "Content-Type": "application/json"}
    headers = [*own.items(), (name, own.get(name, own.get(name.lower(), "7"))), (name, "7")]
    found = refused(admin.http.get(url, headers=headers), 400, "bad_header")
    assert "given twice" in found["detail"]
    refused(admin.http.post(f"{url}/top-up", json=top_up(), headers=headers), 400, "bad_header")


@pytest.mark.parametrize("text", [" ", " \t", "\u00a0\u3000", "a\u2028b", "a\u2029b", "a\u0085b", "a\x9bb"])
def test_a_text_that_is_no_line_of_text(admin, refusing, text):
    body = charge(description=text)
    refused(admin.post(f"wallets/{refusing}/charge", body), 422, "invalid_request")


@pytest.mark.parametrize("reason", [b"\xff\xfe", b"x" * 501, "a\u2028b".encode(), b""])
def test_a_reason_that_is_none(admin, refusing, reason):
    headers = {"Bursar-Reason": reason}
    refused(admin.post(f"wallets/{refusing}/top-up", top_up(), headers=headers), 400, "bad_header")
    refused(admin.post("bulk", [], headers=headers), 400, "bad_header")


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""]
)
def test_another_media_type(admin, refusing, media_type):
    headers = {"Content-Type": media_type}
    for path in (f"wallets/{refusing}/top-up", "bulk"):
        refused(admin.post(path, b"{}", headers=headers), 415, "unsupported_media_type")


@pytest.mark.parametrize("size", [1_000_001, 5_000_000])
def test_too_large_a_body(admin, refusing, size):
    body = b'{"amount": 1}'.ljust(size)
    refused(admin.post(f"wallets/{refusing}/top-up", body), 413, "payload_too_large")


def test_too_large_a_bulk(admin, refusing):
    refused(admin.post("bulk", b"[]".ljust(16_000_001)), 413, "payload_too_large")
    assert ok(admin.post("bulk", b"[]".ljust(2_000_000))) == {"data": []}
    refused(admin.post("bulk", b"[" + b"0," * 10_000 + b"0]"), 422, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "wallets", {"GET", "POST"}),
        ("PUT", "wallets/W", {"GET"}),
        ("GET", "wallets/W/top-up", {"POST"}),
        ("PATCH", "wallets/W/charge", {"POST"}),
        ("POST", "invoices/01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57", {"GET", "PATCH"}),
        ("GET", "pos/checkout", {"POST"}),
        ("GET", "bulk", {"POST"}),
        ("PUT", "bulk", {"POST"}),
        ("POST", "ping", {"GET"}),
        ("OPTIONS", "accounts", {"GET"}),
        ("GET", "quickbooks/export", {"POST"}),
        ("POST", "receipts/x", {"GET"}),
    ],
)
def test_another_method(admin, refusing, method, path, allowed):
    response = admin.http.request(method, path)
    refused(response, 405, "method_not_allowed")
    assert set(response.headers["allow"].split(", ")) == allowed


def test_paths_that_are_none(service, admin, refusing):
    for path in ("nothing", "wallets/A/B", "wallets/A/top-up/C", "", "pos", "invoices/1/settle"):
        refused(admin.get(path), 404, "not_found")
    for path in ("/v2", "/v1/finance/wallets", "/redoc", "/admin"):
        refused(httpx.get(service.url + path), 404, "not_found")


@pytest.mark.parametrize(
    "token",
    ["x", "k1.greenhill.RCT-2026-000001.AAAA", "....", "%00", "\N{SNOWMAN}", "k1.greenhill.x." + "A" * 22],
)
def test_receipts_that_are_none(service, refusing, token):
    refused(service.client_of(None).get(f"receipts/{token}"), 404, "receipt_not_found")


def test_a_receipt_of_another_tenant_by_a_bent_token(service, admin, refusing):
    address = ok(admin.top_up(refusing, 1, dry_run="true"))["answer"]["receipt"]["qr"]
    refused(service.client_of(None).http.get(address.replace("greenhill", "maple")), 404, "receipt_not_found")
    refused(service.client_of(None).http.get(address[:-1]), 404, "receipt_not_found")


def test_a_websocket_is_refused_without_a_failure(service, refusing):
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert 400 <= httpx.get(f"{service.url}/v2/finance/wallets", headers=headers).status_code < 500
