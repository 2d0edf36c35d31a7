"""Which preferences of a company hold up its export."""

import pytest

from adapters.quickbooks.api.client import Preferences
from adapters.quickbooks.sending.preferences import wrong_preference

RIGHT = {
    "auto_apply_credit": False,
    "custom_numbers": True,
    "home_currency": "KES",
    "uses_sales_tax": False,
    "closed_until": None,
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"auto_apply_credit": True},
        {"custom_numbers": False},
        {"home_currency": "USD"},
        {"uses_sales_tax": True},
    ],
)
def test_a_wrong_preference_says_where_to_click(wrong: dict[str, object]) -> None:
    assert wrong_preference(Preferences(**RIGHT), currency="KES", taxed=False) is None
    reason = wrong_preference(Preferences(**{**RIGHT, **wrong}), currency="KES", taxed=False)
    assert reason is not None
    assert "Account and settings" in reason or "Taxes" in reason


def test_a_school_that_is_registered_for_tax_needs_a_company_that_has_it_set_up() -> None:
    taxed = {**RIGHT, "uses_sales_tax": True}
    assert wrong_preference(Preferences(**taxed), currency="KES", taxed=True) is None
    reason = wrong_preference(Preferences(**RIGHT), currency="KES", taxed=True)
    assert reason is not None
    assert "Set it up under Taxes" in reason
