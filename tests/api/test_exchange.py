"""What an exchange reads of its request, however much of it there is."""

from typing import Any
from urllib.parse import parse_qsl

import pytest

from api import exchange
from api.bodies import Bodies
from api.errors import MAX_ERRORS, ApiError
from api.exchange import Exchange


class Counted(str):
    """A text that counts how often it is compared."""

    __slots__ = ()
    comparisons = 0

    def __eq__(self, other: object) -> bool:
        Counted.comparisons += 1
        return str.__eq__(self, other)

    def __lt__(self, other: str) -> bool:
        Counted.comparisons += 1
        return str.__lt__(self, other)

    __hash__ = str.__hash__


async def nothing(*_: Any) -> Any:
    """Neither receives nor sends."""


def comparisons(names: int) -> int:
    """How many comparisons it takes to refuse a query in which each of so many names is given twice."""
    text = "&".join(f"name-{number % names}=1" for number in range(2 * names)).encode()
    scope = {"method": "GET", "path": "/v2/finance/wallets", "headers": [], "query_string": text}
    Counted.comparisons = 0
    with pytest.raises(ApiError) as refusal:
        Exchange(scope, nothing, nothing, Bodies()).query()
    assert len(refusal.value.errors) == MAX_ERRORS
    return Counted.comparisons


def test_what_a_query_costs_grows_as_its_length_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as its square: some kilobytes of names given twice once kept everybody else waiting."""

    def counting(*args: Any, **options: Any) -> list[tuple[str, str]]:
        return [(Counted(name), value) for name, value in parse_qsl(*args, **options)]

    monkeypatch.setattr(exchange, "parse_qsl", counting)
    few = comparisons(100)
    assert few > 0
    assert comparisons(400) < 6 * few, "four times the length costs about four times as much, not sixteen"
