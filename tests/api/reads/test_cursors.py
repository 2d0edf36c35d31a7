"""Cursors: taken back only where they were given, and never taken for the start or the end of a list."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import ApiError
from api.reads.cursors import Cursors, Listing
from projections.views.wallets import StatementKey
from tests.support.service import Client, Service, api, fresh_name, ok, refused

LISTING = Listing("wallets", "greenhill", "{}")
CURSORS = Cursors(b"k" * 32)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("STU-0042", str),
        ("9" * 40, str),
        ("", str),
        (0, int),
        (2**63 - 1, int),
        (StatementKey(date(2026, 1, 1), 2**62), StatementKey),
    ],
)
def test_a_cursor_is_its_key_again(key: Any, kind: Any) -> None:
    cursor = CURSORS.make(LISTING, key)
    assert len(cursor) <= 100
    assert cursor.isascii()
    found = CURSORS.key(cursor, LISTING, kind)
    assert found == key
    assert type(found) is kind


@pytest.mark.parametrize(
    "other",
    [
        Listing("invoices", "greenhill", "{}"),
        Listing("wallets", "maple", "{}"),
        Listing("wallets", "greenhill", '{"payer":"P"}'),
        Listing('wallets","greenhill', "", "{}"),
    ],
)
def test_a_cursor_of_another_list_is_refused(other: Listing) -> None:
    with pytest.raises(ApiError, match="cursor"):
        CURSORS.key(CURSORS.make(other, "STU-1"), LISTING, str)


def test_a_cursor_of_another_secret_is_refused() -> None:
    with pytest.raises(ApiError, match="cursor"):
        CURSORS.key(Cursors(b"l" * 32).make(LISTING, "STU-1"), LISTING, str)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=100))
def test_a_cursor_that_was_never_given_is_refused(cursor: str) -> None:
    with pytest.raises(ApiError, match="cursor"):
        CURSORS.key(cursor, LISTING, str)


@given(st.data())
def test_a_cursor_with_one_letter_changed_added_or_lost_is_refused(data: st.DataObject) -> None:
    cursor = CURSORS.make(LISTING, "STU-1")
    at = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.characters(min_codepoint=0x21, max_codepoint=0x7E))
    for bent in (cursor[:at] + letter + cursor[at + 1 :], cursor[:at] + letter + cursor[at:], cursor[:at]):
        if bent != cursor:
            with pytest.raises(ApiError, match="cursor"):
                CURSORS.key(bent, LISTING, str)


# --- over HTTP


class Given:
    """Every list's cursor after its first row, with the filters that it was given for."""

    def __init__(self, client: Client) -> None:
        self.account, self.other, self.payer = client.wallet(100), client.wallet(100), fresh_name("P")
        for account in (self.account, self.other):
            ok(client.top_up(account, 5))
        for _ in range(2):
            client.invoice(payer=self.payer)
        self.lists: list[tuple[str, dict[str, str]]] = [
            ("wallets", {}),
            ("invoices", {}),
            ("invoices", {"payer": self.payer}),
            ("invoices", {"payer": self.payer, "status": "issued"}),
            ("accounts/1000/entries", {}),
            ("accounts/2100/entries", {}),
            ("statements", {"account": self.account}),
            ("statements", {"account": self.other}),
            ("statements", {"account": self.account, "from": "2020-01-01"}),
        ]
        self.cursors = [ok(client.get(path, limit=1, **filters))["next"] for path, filters in self.lists]


@pytest.fixture(scope="module")
def lists(admin: Client) -> Given:
    return Given(admin)


def test_a_cursor_of_one_list_is_refused_by_all_others(admin: Client, lists: Given) -> None:
    assert all(lists.cursors)
    for n, (path, filters) in enumerate(lists.lists):
        for m, cursor in enumerate(lists.cursors):
            response = admin.get(path, cursor=cursor, **filters)
            if n == m:
                ok(response)
            else:
                found = refused(response, 422, "invalid_request")
                assert [error["pointer"] for error in found["errors"]] == ["/query/cursor"]


def test_another_tenants_cursor_is_refused(foreign: Client, lists: Given) -> None:
    refused(foreign.get("wallets", cursor=lists.cursors[0]), 422, "invalid_request")


def test_keys_that_are_none_of_ours_are_refused(admin: Client) -> None:
    for path, cursor in (("wallets", "STU-0042"), ("wallets", "zzz"), ("accounts/1000/entries", "5")):
        refused(admin.get(path, cursor=cursor), 422, "invalid_request")


def test_a_cursor_is_good_for_another_size_of_page_and_another_spelling(admin: Client, lists: Given) -> None:
    for limit in (1, 500):
        ok(admin.get("invoices", cursor=lists.cursors[2], payer=lists.payer.lower(), limit=limit))


def test_a_cursor_is_good_at_another_process(service: Service, admin: Client, lists: Given) -> None:
    with api(service) as url:
        there = service.client(url=url)
        for (path, filters), cursor in zip(lists.lists, lists.cursors, strict=True):
            wanted = {"cursor": cursor, "limit": 1, **filters}
            here = ok(admin.get(path, **wanted))
            assert ok(there.get(path, **wanted)) == here
