"""The second look: every error at once, each at a place of the payload, in words for whoever sent it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import operations, validation
from api.commands.bulk import BulkElement
from api.commands.routes import ROUTES
from api.errors import MAX_ERRORS
from api.validation import errors_in
from application.commands import COMMANDS

ACTIONS = sorted(ROUTES.values())
TYPES = {action: COMMANDS[action].command_type for action in ACTIONS}
INTERNAL = (
    "msgspec",
    "struct",
    "regex",
    "^",
    "\\Z",
    "`int`",
    "`str`",
    "`array`",
    "None",
    "Python",
    "Traceback",
)


def resolves(pointer: str, payload: Any) -> bool:
    """Whether a pointer is of a place in the payload, or of one that is missing directly in it."""
    place = payload
    *steps, last = pointer.split("/")[1:] or [None]
    for step in steps:
        name = step.replace("~1", "/").replace("~0", "~")
        place = place[int(name)] if isinstance(place, list) else place[name]
    if last is None:
        return True
    return last.isdigit() and int(last) < len(place) if isinstance(place, list) else isinstance(place, dict)


def check(payload: Any, action: str) -> None:
    """An error is told exactly where the payload does not decode."""
    body = json.dumps(payload).encode()
    try:
        msgspec.json.decode(body, type=TYPES[action])
    except msgspec.ValidationError:
        pass
    else:
        return
    found = errors_in(body, TYPES[action])
    assert 1 <= len(found) <= MAX_ERRORS
    assert len({(error.pointer, error.detail) for error in found}) == len(found)
    for error in found:
        assert resolves(error.pointer, payload), error
        assert error.detail.endswith(".")
        assert len(error.detail) < 300
        assert not [word for word in INTERNAL if word in error.detail], error


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('ab~/\\"', max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def nearly(draw: st.DrawFn, value: Any) -> Any:
    """A value of which some places were changed, some left out and some added."""
    if draw(st.integers(0, 9)) == 0:
        return draw(JSON)
    if isinstance(value, dict):
        changed = {name: draw(nearly(inner)) for name, inner in value.items() if draw(st.integers(0, 9))}
        return changed | draw(st.dictionaries(st.text("a~/", min_size=1, max_size=3), JSON, max_size=1))
    if isinstance(value, list):
        return [draw(nearly(inner)) for inner in value] * draw(st.sampled_from([1, 1, 1, 0, 2, 101]))
    return value


@pytest.mark.parametrize("action", ACTIONS)
@given(data=st.data())
def test_every_pointer_is_of_a_place(action: str, data: st.DataObject) -> None:
    check(data.draw(nearly(operations.COMMANDS[action].request)), action)


@given(JSON)
def test_whatever_is_sent(payload: Any) -> None:
    for action in ACTIONS:
        check(payload, action)


def test_the_errors_are_exactly_the_places() -> None:
    body = {
        "till": 5,
        "currency": "kes",
        "lines": [
            {"sku": "a b", "quantity": 1.5, "x/y~": 1, "tax_code": "z", "income": "9"},
            3,
            {"quantity": "1", "total": 0, "tax_code": "A"},
        ],
        "tenders": {},
        "effective_date": "2026-02-30",
    }
    found = {
        error.pointer: error.detail for error in errors_in(json.dumps(body).encode(), TYPES["pos.checkout"])
    }
    name = "an id of at most 40 letters, digits, dots, hyphens and underscores, the first a letter or digit"
    fields = "quantity, unit_amount, total, sku, description, income, tax_code, discount"
    assert found == {
        "/till": f"Give {name}, not a whole number.",
        "/currency": "Give a currency's three capital letters.",
        "/lines/0/sku": f"Give {name}.",
        "/lines/0/quantity": "Give a whole number from 1 to 1000000, not a decimal.",
        "/lines/0/income": "Give one of hostel, meals, other_income, sales, shop, transport, tuition.",
        "/lines/0/tax_code": "Give a tax code, such as B or GST_QST.",
        "/lines/0/x~1y~0": f"There is no field x/y~; the fields are {fields}.",
        "/lines/1": f"Give an object with {fields}, not a whole number.",
        "/lines/2/sku": f"This is required: {name}.",
        "/lines/2/quantity": "Give a whole number from 1 to 1000000, not text.",
        "/lines/2/total": "Give a whole number of minor units from 1 to 1000000000000000.",
        "/tenders": "Give a list of 0 to 20 elements, not an object.",
        "/effective_date": "Give a date such as 2026-12-31.",
    }


def test_a_tender_that_is_none_is_told_the_choices() -> None:
    body = b'{"settle": {"tenders": [{"type": "barter"}]}}'
    (error,) = errors_in(body, TYPES["invoice.settle"])
    assert error.pointer == "/settle/tenders/0/type"
    assert error.detail == "Give one of wallet, cash, bank, card, mpesa."


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"amount": "1", "currency": "KES", "source": {"type": "cash"}, "amount": 1}', ""),
        (b'{"amount": 1, "currency": "KES", "source": {"type": 5, "type": "cash"}}', "/source"),
    ],
)
def test_a_name_that_stands_twice_once_wrong(body: bytes, pointer: str) -> None:
    (error,) = errors_in(body, TYPES["wallet.top_up"])
    assert (error.pointer, error.detail) == (pointer, "A name stands twice in this object.")


def test_twenty_are_told_whatever_is_sent() -> None:
    body = json.dumps({f"name{n}": n for n in range(50_000)}).encode()
    assert len(errors_in(body, TYPES["wallet.top_up"])) == MAX_ERRORS
    line = {"sku": "a b"}
    body = json.dumps({"currency": "KES", "tenders": [{"type": "cash"}], "lines": [line] * 100}).encode()
    assert len(errors_in(body, TYPES["pos.checkout"])) == MAX_ERRORS


def test_the_name_of_a_field_is_shown_as_far_as_it_can_be() -> None:
    (error,) = errors_in(json.dumps({"b\n" + "x" * 150: 1}).encode(), TYPES["invoice.issue"])
    assert error.pointer == "/b\n" + "x" * 150
    assert error.detail.startswith("There is no field b\N{REPLACEMENT CHARACTER}" + "x" * 38 + ";")
    (error,) = errors_in(json.dumps({"x" * 500_000: 1}).encode(), TYPES["invoice.issue"])
    assert error.pointer == ""


def test_what_is_too_large_is_not_looked_at() -> None:
    (error,) = errors_in(b"[" + b"0," * 1_000_000 + b"0]", list[BulkElement], at="/7")
    assert (error.pointer, error.detail) == (
        "/7",
        "Give a list; it is too large to say what is wrong with it.",
    )


def test_a_field_that_the_path_has_is_required_in_bulk() -> None:
    found = errors_in(b'{"amount": "1"}', TYPES["wallet.top_up"], at="/3/data", required="account")
    assert [error.pointer for error in found] == [
        "/3/data/account", "/3/data/amount", "/3/data/currency", "/3/data/source",
    ]  # fmt: skip


@pytest.mark.parametrize("action", ACTIONS)
def test_every_place_has_words(action: str) -> None:
    waiting = [validation._place(TYPES[action])]
    while waiting:
        place = waiting.pop()
        assert "None" not in place.words
        waiting += [*place.fields.values(), *([place.item] if place.item else [])]
