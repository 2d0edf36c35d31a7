"""Positions: what a read reflects, what it waits for, and that everybody sees his own writes."""

import pytest

from tests.support.service import api, fresh_name, ok, refused


def position(response) -> int:
    return int(response.headers["bursar-position"])


def test_everybody_reads_his_own_writes(admin):
    for n in range(30):
        account = fresh_name()
        ok(admin.post("wallets", {"account": account, "currency": "KES"}))
        written = admin.top_up(account, n + 1)
        read = admin.get(f"wallets/{account}")
        assert ok(read)["balance"] == n + 1
        assert position(read) >= position(written)


def test_own_writes_in_bulk_are_read_too(admin):
    account = admin.wallet()
    data = {"account": account, "amount": 1, "currency": "KES", "source": {"type": "cash"}}
    found = admin.bulk(
        [
            {"action": "wallet.top_up", "idempotency_key": f"{account}-{n:04}", "data": data}
            for n in range(500)
        ]
    )
    assert {one["status"] for one in found} == {201}
    assert admin.balance(account) == 500


def test_another_process_waits_for_the_position_that_it_is_told(service, admin):
    with api(service) as url:
        there = service.client(url=url)
        account = admin.wallet()
        for n in range(10):
            written = admin.top_up(account, 1)
            headers = {"Bursar-Min-Position": written.headers["bursar-position"]}
            read = there.get(f"wallets/{account}", headers=headers)
            assert ok(read)["balance"] == n + 1
            assert position(read) >= position(written)
            # What is read by its id is waited for without being told.
            assert ok(there.get(f"wallets/{admin.wallet()}"))["balance"] == 0


def test_another_credential_finds_what_was_just_made(service, admin):
    cashier = service.client("cashier")
    nobody = service.client_of(None)
    for _ in range(10):
        assert ok(cashier.get(f"wallets/{admin.wallet()}"))["balance"] == 0
        assert ok(cashier.get(f"invoices/{admin.invoice()['id']}"))["status"] == "issued"
        receipt = ok(admin.checkout([100], {"type": "cash"}))["receipt"]
        assert ok(nobody.http.get(receipt["qr"]))["number"] == receipt["number"]


def test_a_position_beyond_the_log_is_refused_at_once(service, admin):
    for path in ("wallets", "ping", "accounts"):
        headers = {"Bursar-Min-Position": str(service.head() + 1_000_000)}
        found = refused(admin.get(path, headers=headers), 422, "invalid_request")
        assert [error["pointer"] for error in found["errors"]] == ["/header/Bursar-Min-Position"]
        ok(admin.get(path, headers={"Bursar-Min-Position": str(service.head())}))


def test_a_pages_cursor_stays_good_while_others_write(admin):
    payer = fresh_name("P")
    made = [admin.invoice(payer=payer)["id"] for _ in range(4)]
    first = ok(admin.get("invoices", payer=payer, limit=2))
    made.append(admin.invoice(payer=payer)["id"])
    rest = ok(admin.get("invoices", payer=payer, limit=500, cursor=first["next"]))
    assert [one["id"] for one in first["data"] + rest["data"]] == made


@pytest.mark.parametrize("zone", ["2026-01-31", None])
def test_an_empty_range_of_a_statement(admin, zone):
    account = admin.wallet(100)
    wanted = {"from": "2025-01-01", "to": "2025-01-31"} if zone else {"from": "2999-01-01"}
    found = ok(admin.get("statements", account=account, **wanted))
    assert found["lines"] == []
    assert found["opening_balance"] == found["closing_balance"] == (0 if zone else 100)
    turned = admin.get("statements", account=account, **{"from": "2999-01-01", "to": "2025-01-01"})
    refused(turned, 422, "invalid_request")


def test_a_dry_run_writes_nothing_and_says_what_would_be_posted(service, admin):
    account = admin.wallet(100)
    charge = {"amount": 60, "currency": "KES", "description": "Fine"}
    with service.nothing_written():
        for _ in range(2):
            response = admin.post(f"wallets/{account}/charge", charge, dry_run="true")
            found = ok(response, 200)
            assert found["dry_run"] is True
            assert found["answer"]["wallet"]["balance"] == 40
            assert {"bursar.account.debited.v1", "bursar.wallet.charged.v1"} <= {
                event["type"] for event in found["events"]
            }
        refused(
            admin.post(f"wallets/{account}/charge", charge | {"amount": 101}, dry_run="true"),
            409,
            "insufficient_funds",
        )
        ok(admin.post("wallets", {"account": fresh_name(), "currency": "KES"}, dry_run="true"), 200)
        ok(admin.post("quickbooks/export", {}, dry_run="true"), 200)
    assert admin.balance(account) == 100
    ok(admin.post(f"wallets/{account}/charge", charge, dry_run="false"), 201)
    assert admin.balance(account) == 40


def test_the_request_is_told_to_the_audit(service, admin):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {
        "X-Request-Id": "till-7/42",
        "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
        "Bursar-Reason": "Ein Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}nd \N{SNOWMAN}".encode(),
    }
    account = admin.wallet()
    response = admin.top_up(account, 100, headers=headers)
    assert response.headers["x-request-id"] == "till-7/42"
    query = (
        "SELECT tenant, client, actor, reason, correlation_id, trace_id, command, idempotency_key IS NOT NULL,"
        " convert_from(response, 'UTF8') FROM commands WHERE id = %s"
    )
    found = service.row(query, ok(response)["transaction_id"])
    prefix = service.keys["admin"][:11]
    assert found == (
        "greenhill",
        "ADMIN",
        f"ADMIN/{prefix}",
        "Ein Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}nd \N{SNOWMAN}",
        "till-7/42",
        trace,
        "wallet.top_up",
        True,
        response.text,
    )


@pytest.mark.parametrize("given", [b"", b"x" * 129, b"\xff\xfe", "\N{SNOWMAN}".encode(), None])
def test_a_request_id_is_made_where_none_is_fit(admin, given):
    headers = {} if given is None else {"X-Request-Id": given}
    seen = {admin.get("ping", headers=headers).headers["x-request-id"] for _ in range(2)}
    assert len(seen) == 2
    assert {len(one) for one in seen} == {36}


@pytest.mark.parametrize("trace", [b"", b"garbage", b"00-XYZ-00f067aa0ba902b7-01", b"\xff", b"-" * 500])
def test_a_traceparent_that_is_none_is_made_anew(service, admin, trace):
    response = admin.top_up(admin.wallet(), 100, headers={"traceparent": trace})
    made = response.headers["traceparent"][3:35]
    assert made.encode() not in trace
    assert service.row("SELECT trace_id FROM commands WHERE id = %s", ok(response)["transaction_id"]) == (
        made,
    )
