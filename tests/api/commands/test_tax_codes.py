"""A school's tax codes: as its country has them, and changed from a day on."""

import pytest

from tests.support.service import ok, refused

VAT = {"name": "VAT", "authority_code": "B", "rate": "18", "role": "vat_payable"}


def body(*components, **fields):
    return {"name": "VAT, luxury", "components": components or [VAT], "from": "2025-07-01", **fields}


def put(client, code, content, **options):
    return client.send("PUT", f"tax-codes/{code}", content, **options)


def codes(client):
    return {one["code"]: one for one in ok(client.get("tax-codes"))["data"]}


def test_a_country_brings_its_codes(foreign):
    found = codes(foreign)
    assert [*found] == [
        "A", "C", "D", "GST", "HST_ON", "HST_15", "HST_NS", "GST_PST_BC", "GST_PST_SK", "GST_RST_MB", "GST_QST",
    ]  # fmt: skip
    assert found["A"] == {"code": "A", "name": "Exempt", "components": []}
    assert [(one["rate"], one["from"], one["to"]) for one in found["HST_NS"]["components"]] == [
        ("15", "2010-07-01", "2025-03-31"),
        ("14", "2025-04-01", None),
    ]
    assert found["GST_QST"]["components"][1] == {
        "name": "QST",
        "authority_code": "TQ",
        "rate": "9.975",
        "role": "qst_payable",
        "from": "2013-01-01",
        "to": None,
    }


def test_a_code_has_another_rate_from_a_day_on(service, admin):
    made = ok(put(admin, "LUX", body()), 200)
    assert codes(admin)["LUX"] == made
    changed = ok(put(admin, "LUX", body({**VAT, "rate": "20"}, **{"from": "2026-01-01"})))
    assert [(one["rate"], one["from"], one["to"]) for one in changed["components"]] == [
        ("18", "2025-07-01", "2025-12-31"),
        ("20", "2026-01-01", None),
    ]
    assert codes(admin)["LUX"] == changed
    line = {"sku": "A", "quantity": 1, "total": 10000, "tax_code": "LUX"}

    def rate(day):
        answer = admin.checkout([line], {"type": "cash"}, prices="exclusive", effective_date=day)
        return ok(answer)["sale"]["taxes"][0]["rate"]

    assert [rate("2025-12-31"), rate("2026-01-01")] == ["18", "20"]
    early = admin.checkout([line], {"type": "cash"}, effective_date="2025-06-30")
    refused(early, 422, "tax_code_not_in_force")
    with service.nothing_written():
        again = put(admin, "LUX", body({**VAT, "rate": "20"}, **{"from": "2026-01-01"}), dry_run="true")
        assert ok(again)["events"] == []


def test_a_code_of_another_school_is_not_ours(admin, foreign):
    ok(put(admin, "OURS", body()))
    assert "OURS" not in codes(foreign)


@pytest.mark.parametrize(
    ("code", "content", "expected"),
    [
        ("A", body(), "invalid_request"),
        ("lux", body(), "unknown_tax_code"),
        ("L1", body(VAT, VAT), "invalid_request"),
        ("L1", body({**VAT, "role": "gst_payable"}), "unknown_tax_role"),
        ("L1", body({**VAT, "name": "GST", "role": "gst_payable"}), "unknown_tax_role"),
        ("L1", body({**VAT, "rate": "1e1"}), "invalid_request"),
        ("L1", body({**VAT, "name": "IVA"}), "invalid_request"),
        ("L1", body(components=[]), "invalid_request"),
        ("L1", body(**{"from": "1969-12-31"}), "effective_date_too_early"),
    ],
)
def test_a_refusal_changes_nothing(service, admin, code, content, expected):
    with service.nothing_written():
        refused(put(admin, code, content), 422, expected)


def test_who_sells_may_read_them_and_not_change_them(service):
    cashier = service.client("cashier")
    assert "B" in codes(cashier)
    refused(put(cashier, "B", body()), 403, "capability_missing")
