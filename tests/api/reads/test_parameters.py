"""The parameters of reads: wrong ones are refused in words, and nobody's filter is dropped in silence."""

import pytest

from tests.support.service import ok, refused

NAME = "an id of at most 40 letters, digits, dots, hyphens and underscores, the first a letter or digit"
DATE = "Give a date such as 2026-12-31."
CURSOR = "Give the `next` of a page of this list."
UUID = "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57"
STATES = "Give one of blocked, pending, sent, confirmed, unknown, held, needs_mapping, needs_sign_in, dead."
FOREIGN = "This list has not given this cursor, or not with these filters."


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("wallets", "the parameters are limit, cursor, payer, status, min_balance, max_balance"),
        ("receipts", "the parameters are limit, cursor, from, to, number"),
        ("accounts/1000/entries", "the parameters are limit, cursor, from, to"),
        ("ping", "this read takes none"),
        ("accounts", "this read takes none"),
        ("statements", "the parameters are limit, cursor, from, to, account"),
        ("invoices", "the parameters are limit, cursor, payer, status"),
        ("sales", "the parameters are limit, cursor, from, to, receipt, customer, wallet"),
        ("transactions", "the parameters are limit, cursor, from, to, account, wallet, action"),
        ("quickbooks/exports", "the parameters are limit, cursor"),
        (f"quickbooks/exports/{UUID}/documents", "the parameters are limit, cursor, state"),
    ],
)
def test_unknown_parameters(admin, refusing, path, known):
    own = {"account": refusing} if path == "statements" else {}
    found = refused(admin.get(path, **own, **{"co/lour": "red"}), 422, "invalid_request")
    expected = f"There is no parameter co/lour; {known}."
    assert found["errors"] == [{"pointer": "/query/co~1lour", "detail": expected}]
    assert found["detail"] == f"/query/co~1lour: {expected}"


@pytest.mark.parametrize(
    ("path", "parameters", "detail"),
    [
        ("wallets", {"limit": 0}, "Give a whole number from 1 to 500."),
        ("wallets", {"limit": 501}, "Give a whole number from 1 to 500."),
        ("wallets", {"limit": "ten"}, "Give a whole number from 1 to 500."),
        ("wallets", {"limit": "9" * 5000}, "Give a whole number from 1 to 500."),
        ("wallets", {"limit": "1.5"}, "Give a whole number from 1 to 500."),
        ("wallets", {"cursor": "\x00"}, CURSOR),
        ("wallets", {"cursor": ""}, CURSOR),
        ("wallets", {"cursor": "x" * 101}, CURSOR),
        ("wallets", {"status": "lost"}, "Give one of open, frozen, closed."),
        ("wallets", {"min_balance": "1.5"}, "Give a whole number of minor units."),
        ("wallets", {"max_balance": "9" * 30}, "Give a whole number of minor units."),
        ("wallets", {"min_balance": 2, "max_balance": 1}, "`max_balance` lies below `min_balance`."),
        ("receipts", {"number": "a b"}, f"Give {NAME}."),
        ("accounts/1000/entries", {"from": "2026-02-02", "to": "2026-02-01"}, "`to` lies before `from`."),
        ("invoices", {"cursor": "x"}, FOREIGN),
        (
            "invoices",
            {"status": "lost"},
            "Give one of draft, issued, partially_paid, paid, void, written_off.",
        ),
        ("invoices", {"payer": "a b"}, f"Give {NAME}."),
        ("invoices", {"payer": "\x00"}, f"Give {NAME}."),
        ("accounts/1000/entries", {"cursor": "-1"}, FOREIGN),
        ("accounts/1000/entries", {"cursor": "9" * 50}, FOREIGN),
        ("statements", {"account": None}, f"This is required: {NAME}."),
        ("statements", {"account": "\x00"}, f"Give {NAME}."),
        ("statements", {"from": "2026-02-30"}, DATE),
        ("statements", {"to": "tomorrow"}, DATE),
        ("statements", {"from": "2026-02-02", "to": "2026-02-01"}, "`to` lies before `from`."),
        ("statements", {"cursor": "x_y"}, FOREIGN),
        ("statements", {"cursor": "2026-01-01"}, FOREIGN),
        ("transactions", {"account": "a b"}, f"Give {NAME}."),
        ("transactions", {"action": "Top up"}, "Give an action such as wallet.top_up."),
        ("transactions", {"from": "2026-02-02", "to": "2026-02-01"}, "`to` lies before `from`."),
        ("transactions", {"cursor": "x"}, FOREIGN),
        ("quickbooks/exports", {"cursor": "x"}, FOREIGN),
        (f"quickbooks/exports/{UUID}/documents", {"cursor": "x"}, FOREIGN),
        (f"quickbooks/exports/{UUID}/documents", {"state": "lost"}, STATES),
    ],
)
def test_wrong_parameters(admin, refusing, path, parameters, detail):
    own = {"account": refusing} if path == "statements" else {}
    sent = {name: value for name, value in (own | parameters).items() if value is not None}
    found = refused(admin.get(path, **sent), 422, "invalid_request")
    assert found["errors"] == [{"pointer": f"/query/{list(parameters)[-1]}", "detail": detail}]


def test_all_that_is_wrong_is_told_at_once(admin, refusing):
    wrong = {"limit": "x", "from": "x", "to": "x", "colour": "red", "cursor": "a b"}
    found = refused(admin.get("statements", **wrong), 422, "invalid_request")
    places = {error["pointer"] for error in found["errors"]}
    assert places == {f"/query/{name}" for name in (*wrong, "account")}
    for word in ("Input", "pydantic", "pattern", "^", "regex"):
        assert word not in str(found["errors"])


@pytest.mark.parametrize("path", ["wallets", "wallets/W", "ping"])
def test_a_parameter_twice(admin, refusing, path):
    found = refused(admin.http.get(f"{path}?limit=1&limit=2"), 422, "invalid_request")
    assert found["errors"] == [{"pointer": "/query/limit", "detail": "This parameter is given twice."}]


def test_a_name_that_names_nothing_is_shown_as_far_as_it_can_be(admin, refusing):
    for name, told in (("A%20B", "A B"), ("%0ax%E2%80%AEy", "\ufffdx\ufffdy"), ("x" * 300, "x" * 40)):
        for path, thing in (
            ("wallets", "wallet"),
            ("invoices", "invoice with the id"),
            ("quickbooks/exports", "export batch"),
        ):
            found = admin.get(f"{path}/{name}").json()
            assert (found["status"], found["detail"]) == (404, f"There is no {thing} {told}.")
        found = refused(admin.top_up(name, 5), 404, "wallet_not_found")
        assert found["detail"] == f"There is no wallet {told}."


def test_the_largest_page(admin):
    assert len(ok(admin.get("wallets", limit=500))["data"]) <= 500
