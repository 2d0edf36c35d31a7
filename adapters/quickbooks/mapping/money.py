"""Amounts as QuickBooks has them."""

from decimal import Decimal

from domain.money import MINOR_DIGITS


def decimal(amount_minor: int, currency: str) -> Decimal:
    """An amount in the currency's major unit, exactly."""
    return Decimal(amount_minor).scaleb(-MINOR_DIGITS[currency])
