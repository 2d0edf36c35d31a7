"""Metadata over HTTP: taken by every command, and what is wrong with it is pointed at."""

import pytest

from tests.support.bodies import top_up
from tests.support.service import fresh_key, ok, refused

TEXT = "one line of text, without control characters, at most 200 characters"
NAME = "Name it by a name of 1 to 40 small letters, digits, dots, hyphens and underscores."


def test_it_is_kept_with_the_transaction_and_leaves_on_the_feed(service, admin):
    account = admin.wallet()
    path, body = f"wallets/{account}/top-up", top_up(metadata={"erp.batch": "7", "a": "é"})
    shown = ok(admin.post(path, body, dry_run="true"), 200)["events"][-1]
    assert (shown["type"], shown["data"]["metadata"]) == (
        "bursar.command.annotated.v1",
        {"a": "é", "erp.batch": "7"},
    )
    key = fresh_key()
    first, again = (admin.post(path, body, key=key) for _ in range(2))
    assert (first.status_code, first.content) == (201, again.content)
    refused(admin.post(path, top_up(metadata={"erp.batch": "8"}), key=key), 422, "idempotency_key_reused")
    assert admin.balance(account) == 100


def test_in_bulk_each_has_its_own(admin):
    account = admin.wallet()
    elements = [
        {
            "action": "wallet.top_up",
            "idempotency_key": fresh_key(),
            "data": {"account": account, **top_up(), "metadata": metadata},
        }
        for metadata in ({"row": "1"}, {"Row": "2"})
    ]
    taken, refusal = admin.bulk(elements)
    assert taken["status"] == 201
    assert (refusal["code"], refusal["errors"]) == (
        "invalid_request",
        [{"pointer": "/1/data/metadata/Row", "detail": NAME}],
    )


@pytest.mark.parametrize(
    ("metadata", "errors"),
    [
        (7, [("/metadata", "Give an object of at most 20 texts, not a whole number.")]),
        (
            {f"k{number:02}": "v" for number in range(21)},
            [("/metadata", "Give an object of at most 20 texts, not 21.")],
        ),
        (
            {"Bad Key": "v", "a": 1, "b": "x" * 201, "c/d": "\n"},
            [
                ("/metadata/Bad Key", NAME),
                ("/metadata/a", f"Give {TEXT}, not a whole number."),
                ("/metadata/b", f"Give {TEXT}."),
                ("/metadata/c~1d", NAME),
                ("/metadata/c~1d", f"Give {TEXT}."),
            ],
        ),
        ({"n" * 300: "v"}, [("/metadata", NAME)]),
    ],
)
def test_what_is_wrong_is_pointed_at(admin, refusing, metadata, errors):
    found = refused(
        admin.post(f"wallets/{refusing}/top-up", top_up(metadata=metadata)), 422, "invalid_request"
    )
    assert [(error["pointer"], error["detail"]) for error in found["errors"]] == errors
