"""The types of fields that several commands share."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Final, Literal, TypedDict

import msgspec
from msgspec import Meta

from domain.chart import INCOME_ROLES, check_income
from domain.errors import Code, DomainError
from domain.ids import hold_stream, provider_receipt_stream, wallet_stream
from domain.money import MAX_AMOUNT_MINOR
from domain.pricing import Discount, PriceBasis
from domain.provider_receipt import PROVIDERS
from domain.tax import TAX_ROLES
from domain.tender import Tender

COUNTRY_PATTERN: Final = r"^[A-Z]{2}\Z"
BRANCH_PATTERN: Final = r"^[A-Za-z0-9]{1,2}\Z"
SHA256_PATTERN: Final = r"^[0-9a-f]{64}\Z"
ROW_HASH_PATTERN: Final = r"^[0-9a-f]{16}\Z"
CURRENCY_PATTERN: Final = r"^[A-Z]{3}\Z"
READING_PATTERN: Final = r"^[0-9a-f]{32}\Z"
TAX_CODE_PATTERN: Final = r"^[A-Z][A-Z0-9_]{0,19}\Z"
TEXT_PATTERN: Final = r"^(?=\s*\S)[^\x00-\x1f\x7f-\x9f\u2028\u2029]+\Z"
"""One line, and not of blanks alone: also the line ends of Unicode end a line."""

Amount = Annotated[int, Meta(ge=1, le=MAX_AMOUNT_MINOR, description="Minor units of the currency.")]
Currency = Annotated[str, Meta(pattern=CURRENCY_PATTERN, description="ISO 4217.")]
Text = Annotated[
    str, Meta(min_length=1, max_length=500, pattern=TEXT_PATTERN, description="One line of text.")
]
Quantity = Annotated[int, Meta(ge=1, le=1_000_000)]
IncomeRole = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z_]{0,39}\Z",
        description="A role of the chart of accounts that earns.",
        extra_json_schema={"x-taken": sorted(INCOME_ROLES)},  # others are refused
    ),
]
EffectiveDate = Annotated[
    date, Meta(description="The accounting date; today in the tenant's time zone if absent.")
]
UNTAXED: Final = ("A", "C", "D")
TaxCode = Annotated[
    Literal["A", "B", "C", "D", "E"],
    Meta(
        description="A: exempt, C: zero-rated, D: outside the scope of tax.",
        extra_json_schema={"x-taken": list(UNTAXED)},  # B and E are understood, and refused
    ),
]


SoldTaxCode = Annotated[
    str,
    Meta(
        pattern=TAX_CODE_PATTERN,
        description="One of the school's tax codes. A: exempt, C: zero-rated, D: outside the scope of tax.",
    ),
]
TaxRole = Annotated[
    str,
    Meta(
        pattern=r"^[a-z]{3}_payable\Z",
        description="The role of the account that the tax is owed to.",
        extra_json_schema={"x-taken": sorted(TAX_ROLES.values())},  # others are refused
    ),
]
Prices = Annotated[
    PriceBasis,
    Meta(
        description="Whether prices and discounts include tax; by default they do in Kenya, and do not in Canada."
    ),
]
LineDiscount = Annotated[Discount, Meta(description="What the line's price is lowered by.")]
DocumentDiscount = Annotated[
    Discount, Meta(description="What the whole is lowered by, after the lines' own discounts.")
]


def tender_streams(tenant_name: str, tenders: Iterable[Tender]) -> Iterable[str]:
    """The streams that tenders ask for: wallets that pay, holds, and providers' references."""
    for tender in tenders:
        if tender.account:
            yield wallet_stream(tenant_name, tender.account)
        if tender.hold:
            yield hold_stream(tenant_name, tender.hold)
        if tender.reference and tender.type in PROVIDERS:
            yield provider_receipt_stream(tenant_name, tender.type, tender.reference)


class PricedLine(TypedDict):
    """The fields of `domain.line.Line`."""

    quantity: int
    discount: int
    net: int
    tax: int
    total: int
    income: str
    tax_code: str


class LineInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every line that is sold or billed names: `unit_amount` for each of the quantity, or `total` for all."""

    quantity: Quantity
    unit_amount: Amount | None = None
    total: Amount | None = None

    def price(self) -> int:
        """The price of all pieces in minor units, as it was given."""
        if (self.unit_amount is None) == (self.total is None):
            raise DomainError(Code.INVALID_REQUEST, "A line takes exactly one of unit_amount and total.")
        amount = self.total if self.total is not None else self.quantity * (self.unit_amount or 0)
        if amount > MAX_AMOUNT_MINOR:
            raise DomainError(
                Code.AMOUNT_TOO_LARGE, f"A line amounts to at most {MAX_AMOUNT_MINOR} minor units."
            )
        return amount

    def priced(self, *, income: str, tax_code: str) -> PricedLine:
        """What the line amounts to. Refused: an unknown income role, and a taxed code (`not_supported`)."""
        check_income(income)
        if tax_code not in UNTAXED:
            raise DomainError(Code.NOT_SUPPORTED, f"Tax code {tax_code} is not supported yet; use A, C or D.")
        amount = self.price()
        return {
            "quantity": self.quantity,
            "discount": 0,
            "net": amount,
            "tax": 0,
            "total": amount,
            "income": income,
            "tax_code": tax_code,
        }
