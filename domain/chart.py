"""The chart of accounts that a tenant starts with, by country. Recipes name roles; a chart gives each its code."""

from typing import Final, Literal

import msgspec

from domain.errors import Code, DomainError
from domain.pricing import PriceBasis

AccountType = Literal["asset", "liability", "equity", "income", "expense"]

DEBIT_NORMAL: Final[frozenset[str]] = frozenset({"asset", "expense"})
"""The types whose balance is positive when debits exceed credits."""

INCOME_ROLES: Final = frozenset({"tuition", "transport", "hostel", "meals", "shop", "other_income", "sales"})
"""The roles that a line or a charge may name as its income."""


class ChartAccount(msgspec.Struct, frozen=True):
    """One account of a template."""

    code: str
    name: str
    type: AccountType
    role: str


class Country(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant of a country starts with; `prices` says whether its prices include tax."""

    currency: str
    time_zone: str
    prices: PriceBasis
    accounts: tuple[ChartAccount, ...]


_COMMON: Final = (
    ChartAccount("1000", "Till cash", "asset", "till_cash"),
    ChartAccount("1010", "Safe", "asset", "safe"),
    ChartAccount("1100", "Bank, operating", "asset", "bank"),
    ChartAccount("1110", "Bank, savings", "asset", "bank_savings"),
    ChartAccount("1200", "Card clearing", "asset", "card_clearing"),
    ChartAccount("1300", "Accounts receivable", "asset", "receivables"),
    ChartAccount("2100", "Wallet liability", "liability", "wallet_liability"),
    ChartAccount("2110", "Unclaimed balances", "liability", "unclaimed_balances"),
    ChartAccount("2200", "Suspense", "liability", "suspense"),
    ChartAccount("2300", "Refunds payable", "liability", "refunds_payable"),
    ChartAccount("2400", "Deferred income", "liability", "deferred_income"),
    ChartAccount("3000", "Accumulated fund", "equity", "accumulated_fund"),
    ChartAccount("3900", "Opening balance equity", "equity", "opening_balance_equity"),
    ChartAccount("4000", "Tuition", "income", "tuition"),
    ChartAccount("4010", "Transport", "income", "transport"),
    ChartAccount("4020", "Hostel", "income", "hostel"),
    ChartAccount("4030", "Meals", "income", "meals"),
    ChartAccount("4040", "Shop", "income", "shop"),
    ChartAccount("4050", "Sales", "income", "sales"),
    ChartAccount("4090", "Other income", "income", "other_income"),
    ChartAccount("4100", "Sales returns", "income", "sales_returns"),
    ChartAccount("4110", "Discounts", "income", "discounts"),
    ChartAccount("4120", "Bad debts recovered", "income", "bad_debts_recovered"),
    ChartAccount("5000", "Bad debts", "expense", "bad_debts"),
    ChartAccount("5010", "Provider fees", "expense", "provider_fees"),
    ChartAccount("5020", "Cash over and short", "expense", "cash_over_and_short"),
    ChartAccount("5030", "Rounding", "expense", "rounding"),
    ChartAccount("5100", "Salaries and wages", "expense", "salaries"),
    ChartAccount("5110", "Food and supplies", "expense", "supplies"),
    ChartAccount("5120", "Utilities", "expense", "utilities"),
    ChartAccount("5130", "Repairs and maintenance", "expense", "repairs"),
    ChartAccount("5190", "Other expenses", "expense", "other_expenses"),
)

COUNTRIES: Final = {
    "KE": Country(
        currency="KES",
        time_zone="Africa/Nairobi",
        prices="inclusive",
        accounts=(
            *_COMMON,
            ChartAccount("1210", "M-Pesa clearing", "asset", "mpesa_clearing"),
            ChartAccount("2500", "VAT payable", "liability", "vat_payable"),
        ),
    ),
    "CA": Country(
        currency="CAD",
        time_zone="America/Toronto",
        prices="exclusive",
        accounts=(
            *_COMMON,
            ChartAccount("1210", "Mobile money clearing", "asset", "mpesa_clearing"),
            ChartAccount("2500", "GST payable", "liability", "gst_payable"),
            ChartAccount("2505", "HST payable", "liability", "hst_payable"),
            ChartAccount("2510", "PST payable", "liability", "pst_payable"),
            ChartAccount("2520", "RST payable", "liability", "rst_payable"),
            ChartAccount("2530", "QST payable", "liability", "qst_payable"),
        ),
    ),
}
"""The country templates, by ISO 3166 code."""


def country(code: str) -> Country:
    """The template of a country; refused with `unknown_country` where there is none."""
    try:
        return COUNTRIES[code]
    except KeyError:
        raise DomainError(Code.UNKNOWN_COUNTRY, f"There is no country template {code!r}.") from None


ADJUSTMENT_ROLES: Final = frozenset(
    account.role
    for template in COUNTRIES.values()
    for account in template.accounts
    if account.type in ("income", "expense")
)
"""The roles that an adjustment of a wallet may name as its other side: no control account is among them."""


def check_adjustment(role: str) -> None:
    """Refuse a role that no adjustment may name (`unknown_adjustment_role`)."""
    if role not in ADJUSTMENT_ROLES:
        raise DomainError(
            Code.UNKNOWN_ADJUSTMENT_ROLE, f"{role!r} is neither an income nor an expense role of the chart."
        )


def check_income(role: str) -> None:
    """Refuse a role that no sale may be income of (`unknown_income_role`)."""
    if role not in INCOME_ROLES:
        raise DomainError(
            Code.UNKNOWN_INCOME_ROLE,
            f"{role!r} is no income role; use one of {', '.join(sorted(INCOME_ROLES))}.",
        )
