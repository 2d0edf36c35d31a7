"""Bodies of a wrong shape: each is refused, and told every place that is wrong."""

import pytest

from tests.support.bodies import charge, top_up
from tests.support.service import ok, refused

MAX = 10**15


@pytest.mark.parametrize(
    ("amount", "pointer"),
    [
        (b"1.5", "/amount"),
        (b"100.0", "/amount"),
        (b"1e3", "/amount"),
        (b"-5", "/amount"),
        (b"0", "/amount"),
        (b"-0", "/amount"),
        (b"1000000000000001", "/amount"),
        (b"9223372036854775808", "/amount"),
        (b"9" * 400, "/amount"),
        (b'"100"', "/amount"),
        (b"true", "/amount"),
        (b"null", "/amount"),
        (b"[100]", "/amount"),
        (b"{}", "/amount"),
    ],
)
@pytest.mark.parametrize("path", ["top-up", "charge"])
def test_amounts(admin, refusing, path, amount, pointer):
    rest = b'"source": {"type": "cash"}' if path == "top-up" else b'"description": "Fine"'
    body = b'{"amount": %b, "currency": "KES", %b}' % (amount, rest)
    found = refused(admin.post(f"wallets/{refusing}/{path}", body), 422, "invalid_request")
    assert [error["pointer"] for error in found["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (top_up(colour="red"), "/colour"),
        (top_up(source={"type": "cash", "colour": "red"}), "/source/colour"),
        ({"amount": 100, "currency": "KES"}, "/source"),
        (top_up(source={}), "/source/type"),
        (top_up(source={"type": "barter"}), "/source/type"),
        (top_up(source={"type": "wallet"}), "/source/type"),
        (top_up(source={"type": "mpesa", "reference": ""}), "/source/reference"),
        (top_up(source={"type": "mpesa", "reference": "a b"}), "/source/reference"),
        (top_up(source={"type": "mpesa", "reference": "A" * 41}), "/source/reference"),
        (top_up(currency="kes"), "/currency"),
        (top_up(currency=""), "/currency"),
        (top_up(account="SOMEBODY-ELSE"), "/account"),
        (top_up(effective_date="2026-02-30"), "/effective_date"),
        (top_up(effective_date="yesterday"), "/effective_date"),
        (top_up(effective_date="2026-01-01T00:00:00Z"), "/effective_date"),
        (top_up(effective_date=20260101), "/effective_date"),
        ([], ""),
        ("text", ""),
        (None, ""),
    ],
)
def test_fields(admin, refusing, body, pointer):
    found = refused(admin.post(f"wallets/{refusing}/top-up", body), 422, "invalid_request")
    assert [error["pointer"] for error in found["errors"]] == [pointer]


@pytest.mark.parametrize(
    "text", ["", "a" * 501, "two\nlines", "nul\x00", "tab\there", "del\x7f", "bell\x07", "end\n"]
)
def test_texts(admin, refusing, text):
    response = admin.post(f"wallets/{refusing}/charge", charge(description=text))
    found = refused(response, 422, "invalid_request")
    assert [error["pointer"] for error in found["errors"]] == ["/description"]


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"{",
        b'{"amount": 1',
        b"{'amount': 1}",
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"amount": -Infinity}',
        b'{"amount": 01}',
        b'{"amount": 1,}',
        b'\xef\xbb\xbf{"amount": 1}',
        b'{"currency": "\xff"}',
        b'{"currency": "\xed\xa0\x80"}',
        b'{"currency": "\\ud800"}',
        b'{"currency": "\\udc00\\ud800"}',
        b'{"currency": "K\x00S"}',
        b"{} {}",
        b"[" * 100_000,
        b'{"source": ' * 50_000,
        b"\x1f\x8b\x08\x00",
        '{"amount": 1}'.encode("utf-16"),
    ],
    ids=range(20),
)
def test_what_is_no_json(admin, refusing, body):
    response = admin.post(f"wallets/{refusing}/top-up", body)
    refused(response, 400, "malformed_json")
    # In bulk too, whether what is wrong stands in an element or around it.
    found = admin.post(
        "bulk", b'[{"action": "wallet.top_up", "idempotency_key": "12345678", "data": %b}]' % body
    )
    assert found.status_code == 400 or found.json()["data"][0]["status"] == 400


def test_nothing_is_an_empty_object(admin, refusing):
    refused(admin.post(f"wallets/{refusing}/top-up", b""), 422, "invalid_request")


def test_deep_nesting(admin, refusing):
    deep = b"[" * 100_000 + b"]" * 100_000
    for path, body in (
        (f"wallets/{refusing}/top-up", b'{"amount": 1, "source": %b}'),
        (f"wallets/{refusing}/top-up", b"%b"),
        ("bulk", b"%b"),
        ("bulk", b'[{"action": "wallet.top_up", "data": %b}]'),
    ):
        refused(admin.post(path, body % deep), 400, "malformed_json")


@pytest.mark.parametrize(
    ("lines", "code", "pointer"),
    [
        ([], "invalid_request", "/lines"),
        ([{"sku": "A", "quantity": 1, "total": 10, "tax_code": "A"}] * 101, "invalid_request", "/lines"),
        ([{"sku": "A", "quantity": 1, "tax_code": "A"}], "invalid_request", None),
        (
            [{"sku": "A", "quantity": 1, "total": 1, "unit_amount": 1, "tax_code": "A"}],
            "invalid_request",
            None,
        ),
        ([{"sku": "A", "quantity": 1, "total": 10}], "invalid_request", "/lines/0/tax_code"),
        ([{"quantity": 1, "total": 10, "tax_code": "A"}], "invalid_request", "/lines/0/sku"),
        (
            [{"sku": "a b", "quantity": 1, "total": 10, "tax_code": "A"}],
            "invalid_request",
            "/lines/0/sku",
        ),
        ([{"sku": "A", "quantity": 0, "total": 10, "tax_code": "A"}], "invalid_request", "/lines/0/quantity"),
        (
            [{"sku": "A", "quantity": 1.5, "total": 10, "tax_code": "A"}],
            "invalid_request",
            "/lines/0/quantity",
        ),
        (
            [{"sku": "A", "quantity": 1_000_001, "total": 10, "tax_code": "A"}],
            "invalid_request",
            "/lines/0/quantity",
        ),
        ([{"sku": "A", "quantity": 1, "total": 0, "tax_code": "A"}], "invalid_request", "/lines/0/total"),
        (
            [{"sku": "A", "quantity": 1, "total": 10, "tax_code": "b"}],
            "invalid_request",
            "/lines/0/tax_code",
        ),
        ([{"sku": "A", "quantity": 1, "total": 10, "tax_code": "Z"}], "unknown_tax_code", None),
        ([{"sku": "A", "quantity": 1, "total": 10, "tax_code": "GST"}], "unknown_tax_code", None),
        (
            [{"sku": "A", "quantity": 1, "total": 10, "tax_code": "A", "discount": {"percent": "1e1"}}],
            "invalid_request",
            "/lines/0/discount/percent",
        ),
        (
            [{"sku": "A", "quantity": 1, "total": 10, "tax_code": "A", "discount": {}}],
            "invalid_request",
            None,
        ),
        (
            [{"sku": "A", "quantity": 1, "total": 10, "tax_code": "A", "discount": {"amount": 11}}],
            "discount_exceeds_price",
            None,
        ),
        (
            [{"sku": "A", "quantity": 1, "total": 10, "tax_code": "A", "income": "theft"}],
            "unknown_income_role",
            None,
        ),
        (
            [{"sku": "A", "quantity": 1, "total": 10, "tax_code": "A", "income": "till_cash"}],
            "unknown_income_role",
            None,
        ),
        ([{"sku": "A", "quantity": 2, "unit_amount": MAX, "tax_code": "A"}], "amount_too_large", None),
        ([{"sku": "A", "quantity": 1, "total": MAX, "tax_code": "A"}] * 2, "amount_too_large", None),
    ],
)
def test_lines(admin, refusing, lines, code, pointer):
    found = refused(admin.checkout(lines, {"type": "cash"}), 422, code)
    if pointer:
        assert [error["pointer"] for error in found["errors"]] == [pointer]


@pytest.mark.parametrize("lines", [0, 101])
def test_invoice_lines(admin, refusing, lines):
    line = {"description": "Tuition", "quantity": 1, "total": 1, "income": "tuition"}
    body = {"payer": refusing, "currency": "KES", "due_date": "2026-12-31", "lines": [line] * lines}
    found = refused(admin.post("invoices", body), 422, "invalid_request")
    assert found["errors"][0]["pointer"] == "/lines"


def test_number_of_tenders(admin, refusing):
    response = admin.checkout([100], *[{"type": "cash", "amount": 1}] * 21)
    assert refused(response, 422, "invalid_request")["errors"][0]["pointer"] == "/tenders"


def test_a_hundred_lines_and_twenty_tenders_are_taken(admin):
    answer = ok(admin.checkout([1] * 100, *[{"type": "cash", "amount": 5}] * 20))
    assert answer["sale"]["total"] == 100
