"""The record of imports over HTTP."""

import pytest

from tests.support.service import fresh_name, ok, refused

NOWHERE = "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57"


def body(**changes):
    whole = {"source": fresh_name("F"), "name": "a.csv", "sha256": "a" * 64, "sketch": ["0" * 16]}
    return whole | {"readings": ["0" * 32], "options": "--amount Total"} | changes


@pytest.mark.parametrize("role", ["admin", "bursar", "cashier", "integration"])
def test_who_imports_records_it(service, role):
    client = service.client(role)
    begun = body()
    answer = ok(client.post("imports", begun), 201)
    assert answer["finished"] is False
    counts = {"read": 3, "posted": 1, "already_there": 1, "rejected": 1}
    ended = {**begun, **counts, "id": answer["id"], "finished": True}
    assert ok(client.post("imports", ended), 201) == {
        "id": answer["id"],
        "client": role.upper(),
        "finished": True,
    }
    refused(client.post("imports", ended), 409, "import_finished")
    first = ok(client.get("imports", limit=1))["data"][0]
    assert {name: first[name] for name in (*begun, *counts, "id", "finished", "client") if name in first} == {
        **counts,
        "id": answer["id"],
        "source": begun["source"],
        "name": "a.csv",
        "sha256": "a" * 64,
        "options": "--amount Total",
        "client": role.upper(),
        "finished": True,
    }
    whole = ok(client.get("imports", limit=1, sketch="true"))["data"][0]
    assert (whole["sketch"], whole["readings"]) == (["0" * 16], ["0" * 32])


def test_pages_of_imports(admin):
    for _ in range(3):
        ok(admin.post("imports", body()))
    page = ok(admin.get("imports", limit=2))
    following = ok(admin.get("imports", limit=2, cursor=page["next"]))
    assert page["data"][-1]["position"] > following["data"][0]["position"]
    refused(admin.get("imports", limit=2, cursor=page["next"], sketch="true"), 422, "invalid_request")


def test_what_is_refused(admin, foreign, service):
    with service.nothing_written():
        refused(admin.post("imports", body(id=NOWHERE)), 404, "import_not_found")
        refused(admin.post("imports", body(read=1)), 422, "invalid_request")
        for wrong in (
            {"sha256": "x"},
            {"sketch": ["x"]},
            {"sketch": ["0" * 16] * 65},
            {"readings": ["0" * 16]},
            {"readings": ["1" * 32, "0" * 32]},
            {"options": ""},
            {"read": -1},
            {"source": ""},
        ):
            refused(admin.post("imports", body(**wrong)), 422, "invalid_request")
        refused(service.client("auditor").post("imports", body()), 403, "capability_missing")
        refused(admin.post("imports", body(), key=None), 400, "idempotency_key_required")
    own = ok(admin.post("imports", body()))["id"]
    refused(foreign.post("imports", body(id=own)), 404, "import_not_found")
    refused(admin.post("imports", body(id=own)), 422, "invalid_request")  # of another source
    begun = body()
    own = ok(admin.post("imports", begun))["id"]
    refused(service.client("bursar").post("imports", {**begun, "id": own}), 422, "invalid_request")


def test_a_dry_run_tells_whose_import_it_would_be(service):
    cashier = service.client("cashier")
    with service.nothing_written():
        answer = ok(cashier.post("imports?dry_run=true", body()), 200)["answer"]
    assert (answer["client"], answer["finished"]) == ("CASHIER", False)
