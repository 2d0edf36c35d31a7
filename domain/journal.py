"""Balanced postings, and the posting recipes: which roles each operation debits and credits."""

from typing import Final, Literal

import msgspec

Side = Literal["debit", "credit"]

TENDER: Final = "{tender}"
"""Stands for the account of the tender that pays; see `TENDER_ROLES`."""
INCOME: Final = "{income}"
"""Stands for the income role that the line or the charge names."""

TENDER_ROLES: Final = {
    "wallet": "wallet_liability",
    "cash": "till_cash",
    "bank": "bank",
    "card": "card_clearing",
    "mpesa": "mpesa_clearing",
}
"""The account role of each kind of tender."""


class Recipe(msgspec.Struct, frozen=True):
    """The role debited and the role credited, by the same amount."""

    debit: str
    credit: str


RECIPES: Final = {
    "invoice issued": Recipe(debit="receivables", credit=INCOME),
    "wallet topped up": Recipe(debit=TENDER, credit="wallet_liability"),
    "wallet charged": Recipe(debit="wallet_liability", credit=INCOME),
    "sale paid": Recipe(debit=TENDER, credit="{sale}"),
    "sale earned": Recipe(debit="{sale}", credit=INCOME),
    "invoice settled": Recipe(debit=TENDER, credit="receivables"),
    "settlement excess": Recipe(debit=TENDER, credit="wallet_liability"),
    "sale refunded": Recipe(debit="sales_returns", credit=TENDER),
}
"""Every operation's recipe. `{sale}` is the sale itself: what its tenders pay is what its lines earn."""


class Posting(msgspec.Struct, frozen=True):
    """One side of a transaction on one account role, in minor units."""

    role: str
    side: Side
    amount: int


class Journal:
    """Collects the postings of one transaction; `postings()` merges them by role and proves the balance."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: dict[tuple[str, Side], int] = {}

    def post(self, operation: str, amount: int, *, tender: str = "", income: str = "") -> None:
        """Post `amount` minor units by the recipe of `operation`."""
        assert amount > 0
        recipe = RECIPES[operation]
        debit: tuple[str, Side] = (_fill(recipe.debit, tender, income), "debit")
        credit: tuple[str, Side] = (_fill(recipe.credit, tender, income), "credit")
        self._sums[debit] = self._sums.get(debit, 0) + amount
        self._sums[credit] = self._sums.get(credit, 0) + amount

    def postings(self) -> list[Posting]:
        """The merged postings, debits first. Asserts that debits equal credits."""
        sums = self._sums
        assert sums.pop(("{sale}", "debit"), 0) == sums.pop(("{sale}", "credit"), 0)
        found = [Posting(role, side, amount) for (role, side), amount in sums.items()]
        found.sort(key=lambda posting: posting.side != "debit")
        debits = sum(posting.amount for posting in found if posting.side == "debit")
        assert 2 * debits == sum(posting.amount for posting in found)
        return found


def _fill(role: str, tender: str, income: str) -> str:
    if role == TENDER:
        return TENDER_ROLES[tender]
    return income if role == INCOME else role
