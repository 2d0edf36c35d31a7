"""What the service would refuse of a row's date and amount, asked of few rows; what it answers is tested with the commands."""

from datetime import date, timedelta

import pytest

from domain.errors import Code
from domain.money import MAX_AMOUNT_MINOR
from ops.http_client import ApiError
from ops.imports.limits import Limits
from ops.imports.rows import Entry, element

DAYS = [f"{date(2026, 1, 1) + timedelta(days=n // 30)}" for n in range(9000)]


class Service:
    """Answers as the service does, and counts; nothing of it is the real one but the shape."""

    def __init__(self, *, earliest: str = "", largest: int = MAX_AMOUNT_MINOR) -> None:
        self.earliest, self.largest, self.asked = earliest, largest, 0

    def write(self, method: str, path: str, body: dict, *, key: str) -> None:
        assert (method, path) == ("POST", "pos/checkout?dry_run=true")
        assert "customer" not in body
        assert "wallet" not in body
        assert body["tenders"] == [{"type": "cash"}]
        self.asked += 1
        if body["effective_date"] < self.earliest:
            raise ApiError(403, str(Code.CAPABILITY_MISSING), key, capability="transaction.backdate")
        if body["lines"][0]["total"] > self.largest:
            raise ApiError(422, str(Code.AMOUNT_TOO_LARGE), key)


def sale(day: str, amount_minor: int) -> Entry:
    data = {
        "currency": "KES",
        "lines": [{"sku": "SALE", "quantity": 1, "total": amount_minor, "tax_code": "A"}],
        "tenders": [{"type": "wallet"}],
        "effective_date": day,
        "customer": "A",
        "wallet": "A",
    }
    checkout = element("pos.checkout", key="a-key-of-a-row", data=data)
    return Entry(line=2, lane="A", amount_minor=amount_minor, elements=(checkout,))


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("largest", [4500, MAX_AMOUNT_MINOR])
@pytest.mark.parametrize("earliest", ["", DAYS[5000]])
def test_few_questions_tell_of_all_rows(newest_first, largest, earliest):
    days = sorted(DAYS, reverse=newest_first)
    service = Service(earliest=earliest, largest=largest)
    limits = Limits(service)
    for amount_minor, day in enumerate(days, start=1):
        expected = (
            "capability_missing" if day < earliest else "amount_too_large" if amount_minor > largest else ""
        )
        assert limits.refusal(sale(day, amount_minor)) == expected
    assert service.asked <= len(set(DAYS)) + 80


def test_the_largest_amount_there_is_is_asked_of_once():
    service = Service()
    assert Limits(service).refusal(sale(DAYS[0], MAX_AMOUNT_MINOR)) == ""
    assert service.asked == 1
