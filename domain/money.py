"""Money is an integer number of minor units beside an ISO 4217 currency; there is no float anywhere."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from domain.errors import Code, DomainError

MAX_AMOUNT_MINOR: Final = 10**15
"""The most that any amount may be, in minor units; a tenant's policy allows less (`domain.tenant.Policies`)."""

MAX_BALANCE_MINOR: Final = 10**18
"""The most that an account may hold on either side: within 64 bits wherever it is read."""

MINOR_DIGITS: Final = {"KES": 2, "CAD": 2}
"""Decimal places of each currency that a country template uses (ISO 4217, column "minor unit")."""

CASH_STEP_MINOR: Final = {"CAD": 5}
"""What cash is paid in multiples of, where that is more than the smallest unit.

Canada gave up its cent on 4 February 2013: cash is rounded to five cents, after tax (Department of Finance Canada,
"Eliminating the penny").
"""

_DECIMAL: Final = re.compile(r"([+-]?)(?:([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.([0-9]*))?|\.([0-9]+))")


def allocate(total_minor: int, weights: Sequence[int]) -> list[int]:
    """Split `total` minor units in proportion to `weights`, to the last cent.

    Each share is rounded down; what is left over goes, a unit at a time, to the largest remainders,
    and among equals to the first. The shares always add up to `total`, and no share exceeds its
    weight where `total` does not exceed the sum of the weights.
    """
    whole = sum(weights)
    assert total_minor >= 0
    assert whole > 0
    assert min(weights) >= 0
    shares = [total_minor * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: -(total_minor * weights[i] % whole))
    for i in by_remainder[: total_minor - sum(shares)]:
        shares[i] += 1
    assert sum(shares) == total_minor
    return shares


def parse_decimal(text: str, currency: str) -> int:
    """Read a decimal such as `1,250.50` exactly into minor units of `currency`.

    A comma parts thousands and nothing else: `12,50` might mean either, and is refused. So is `1.500`, which is a
    thousand and a half where the point parts thousands: no amount has more decimals than its currency. Raises
    `ValueError` where the text is no plain decimal number, or has more decimals.
    """
    found = _DECIMAL.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not an amount")
    sign, whole, fraction, fraction_alone = found.groups()
    digits = MINOR_DIGITS[currency]
    decimals = fraction or fraction_alone or ""
    if len(decimals) > digits:
        raise ValueError(f"{text!r} has more than the {digits} decimals of {currency}")
    minor = int((whole or "").replace(",", "") + decimals.ljust(digits, "0"))
    return -minor if sign == "-" else minor


def rounded_cash(amount_minor: int, currency: str) -> int:
    """The nearest amount that can be paid in cash, of two the larger."""
    step_minor = CASH_STEP_MINOR.get(currency, 1)
    return (amount_minor + step_minor // 2) // step_minor * step_minor


def format_minor(amount_minor: int, currency: str) -> str:
    """Write minor units as a decimal: 150000 of KES is `1500.00`."""
    return str(Decimal(amount_minor).scaleb(-MINOR_DIGITS[currency]))


def check_limit(amount_minor: int) -> None:
    """Refuse what exceeds `MAX_AMOUNT_MINOR` (code `amount_too_large`)."""
    if amount_minor > MAX_AMOUNT_MINOR:
        raise DomainError(Code.AMOUNT_TOO_LARGE, f"An amount is at most {MAX_AMOUNT_MINOR} minor units.")
