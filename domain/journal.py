"""Balanced journals, and the posting recipes: which roles each operation debits and credits."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from domain.line import Parts

Side = Literal["debit", "credit"]
Part = Literal["amount", "price", "discount", "tax", "total"]
"""Which of an operation's amounts a leg posts: the one amount, or a part of a line (see `domain.line`)."""

TENDER: Final = "{tender}"
"""Stands for the account of the tender that pays; see `TENDER_ROLES`."""
INCOME: Final = "{income}"
"""Stands for the income role that the line or the charge names."""
ROLE: Final = "{role}"
"""Stands for the role that an adjustment names."""
TAX: Final = "{tax}"
"""Stands for the role of each tax component."""
SALE: Final = "{sale}"
"""Stands for the sale itself, no account: what its tenders pay is what its lines earn."""

TENDER_ROLES: Final = {
    "wallet": "wallet_liability",
    "cash": "till_cash",
    "bank": "bank",
    "card": "card_clearing",
    "mpesa": "mpesa_clearing",
}
"""The account role of each kind of tender."""


class Leg(msgspec.Struct, frozen=True):
    """One line of a recipe: the side and role posted to, and the part of the operation's amounts."""

    side: Side
    role: str
    part: Part = "amount"


def _by_one_amount(*, debit: str, credit: str) -> tuple[Leg, ...]:
    return Leg("debit", debit), Leg("credit", credit)


RECIPES: Final[Mapping[str, tuple[Leg, ...]]] = {
    "invoice issued": (
        Leg("debit", "receivables", "total"),
        Leg("debit", "discounts", "discount"),
        Leg("credit", INCOME, "price"),
        Leg("credit", TAX, "tax"),
    ),
    "wallet topped up": _by_one_amount(debit=TENDER, credit="wallet_liability"),
    "wallet charged": _by_one_amount(debit="wallet_liability", credit=INCOME),
    "wallets transferred": _by_one_amount(debit="wallet_liability", credit="wallet_liability"),
    "wallet adjusted up": _by_one_amount(debit=ROLE, credit="wallet_liability"),
    "wallet adjusted down": _by_one_amount(debit="wallet_liability", credit=ROLE),
    "wallet paid out": _by_one_amount(debit="wallet_liability", credit=TENDER),
    "wallet made dormant": _by_one_amount(debit="wallet_liability", credit="unclaimed_balances"),
    "sale paid": _by_one_amount(debit=TENDER, credit=SALE),
    "sale earned": (
        Leg("debit", SALE, "total"),
        Leg("debit", "discounts", "discount"),
        Leg("credit", INCOME, "price"),
        Leg("credit", TAX, "tax"),
    ),
    "invoice settled": _by_one_amount(debit=TENDER, credit="receivables"),
    "settlement excess": _by_one_amount(debit=TENDER, credit="wallet_liability"),
    "sale taken back": (
        Leg("debit", "sales_returns", "price"),
        Leg("debit", TAX, "tax"),
        Leg("credit", "discounts", "discount"),
        Leg("credit", SALE, "total"),
    ),
    "sale given back": _by_one_amount(debit=SALE, credit=TENDER),
    "sale rounded up": _by_one_amount(debit=SALE, credit="rounding"),
    "sale rounded down": _by_one_amount(debit="rounding", credit=SALE),
}
"""Every operation's recipe. A leg whose part is 0 is not posted."""


class Posting(msgspec.Struct, frozen=True):
    """One side of a transaction on one account role; `amount` in minor units."""

    role: str
    side: Side
    amount: int


class Journal:
    """Collects the postings of one transaction; `postings()` merges them by role and proves the balance."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: dict[tuple[str, Side], int] = {}

    def post(
        self, operation: str, amount_minor: int, *, tender: str = "", income: str = "", role: str = ""
    ) -> None:
        """Post one amount by the recipe of `operation`."""
        assert amount_minor > 0
        for leg in RECIPES[operation]:
            assert leg.part == "amount", operation
            self._add(role if leg.role == ROLE else _filled(leg.role, tender, income), leg.side, amount_minor)

    def post_line(self, operation: str, line: Parts, *, income: str = "") -> None:
        """Post a line's parts by the recipe of `operation`, its tax to the roles of its components."""
        assert line.total or line.discount
        taxes_minor = sum(part.amount for part in line.taxes) if line.taxes else 0
        assert taxes_minor == line.tax, "each component's role is named"
        for leg in RECIPES[operation]:
            assert leg.part != "amount", operation
            if leg.part == "tax":
                for part in line.taxes:
                    self._add(part.role, leg.side, part.amount)
            else:
                part_minor = line.discount_net if leg.part == "discount" else getattr(line, leg.part)
                self._add(_filled(leg.role, "", income), leg.side, part_minor)

    def _add(self, role: str, side: Side, amount_minor: int) -> None:
        if amount_minor:
            self._sums[role, side] = self._sums.get((role, side), 0) + amount_minor

    def postings(self) -> list[Posting]:
        """The merged postings, debits first. Asserts that debits equal credits."""
        debits: list[Posting] = []
        credits_: list[Posting] = []
        balance_minor = sale_minor = 0
        for (role, side), amount in self._sums.items():
            signed_minor = amount if side == "debit" else -amount
            balance_minor += signed_minor
            if role == SALE:
                sale_minor += signed_minor
            else:
                (debits if side == "debit" else credits_).append(Posting(role, side, amount))
        assert balance_minor == sale_minor == 0
        return debits + credits_


def _filled(role: str, tender: str, income: str) -> str:
    if role == TENDER:
        return TENDER_ROLES[tender]
    return income if role == INCOME else role
