"""Tax: codes as dated lists of components, and the codes that a tenant of a country starts with.

Rates are dated facts, each from the day on which it came into force; what was before the first is not kept, and a
document of that time names another code.

Kenya (letters of the Kenya Revenue Authority's fiscal devices, "Electronic Tax Invoice" technical specification):

- B, the general rate: 16 % since the Value Added Tax Act 2013 (section 5), in force from 2 September 2013; 14 % from
  1 April to 31 December 2020 (Legal Notice 35 of 2020); 16 % again from 1 January 2021 (Legal Notice 206 of 2020).
- E, 8 %: Finance Act 2018, from 21 September 2018.

Canada (Canada Revenue Agency, "GST/HST rates"; the provinces' own pages for what they collect themselves):

- GST 5 % since 1 January 2008. HST: Ontario 13 % since 1 July 2010; 15 % in New Brunswick and Newfoundland and Labrador
  since 1 July 2016, in Prince Edward Island since 1 October 2016; Nova Scotia 15 % since 1 July 2010, and 14 % since
  1 April 2025.
- British Columbia PST 7 % since 1 April 2013; Saskatchewan PST 6 % since 23 March 2017; Manitoba RST 7 % since 1 July
  2019; Quebec QST 9.975 % since 1 January 2013, on the price without GST.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

import msgspec

from domain.errors import Code, DomainError

RATE_PATTERN: Final = r"^(?:100(?:\.0{1,4})?|[0-9]{1,2}(?:\.[0-9]{1,4})?)\Z"
"""A rate or a percentage as text: from 0 to 100, with at most four decimals."""

TAX_ROLES: Final = {
    "VAT": "vat_payable",
    "GST": "gst_payable",
    "HST": "hst_payable",
    "PST": "pst_payable",
    "RST": "rst_payable",
    "QST": "qst_payable",
}
"""The role of the account to which each component is owed."""


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """A tax within a code: `rate` in per cent as exact decimal text, owed to the account of `role`.

    `authority_code` is how the authority that takes it names it. It holds from `from_` to `to`, both included.
    """

    name: str
    authority_code: str
    rate: str
    role: str
    from_: date = msgspec.field(name="from")
    to: date | None = None

    def holds(self, on: date) -> bool:
        return self.from_ <= on and (self.to is None or on <= self.to)


class DatedTaxCode(msgspec.Struct, frozen=True, kw_only=True):
    """What a line names. A code that never had a component bears no tax."""

    code: str
    name: str
    components: tuple[Component, ...]


def percent(text: str) -> Fraction:
    """A decimal text in per cent as a fraction of one: `9.975` is 399/4000."""
    return Fraction(text) * Fraction(1, 100)


def in_force(tax_code: DatedTaxCode, on: date) -> tuple[Component, ...]:
    """The components of a code on a day; refused where its rates only came later (`tax_code_not_in_force`)."""
    if not tax_code.components:
        return ()
    components = tuple(component for component in tax_code.components if component.holds(on))
    if not components:
        raise DomainError(Code.TAX_CODE_NOT_IN_FORCE, f"Tax code {tax_code.code} has no rate on {on}.")
    return components


def find(codes: Sequence[DatedTaxCode], code: str) -> DatedTaxCode:
    """The code of that name; refused where the school has none (`unknown_tax_code`)."""
    for tax_code in codes:
        if tax_code.code == code:
            return tax_code
    known = ", ".join(tax_code.code for tax_code in codes)
    raise DomainError(Code.UNKNOWN_TAX_CODE, f"There is no tax code {code}; use one of {known}.")


def codes_of(country: str, changed: Mapping[str, DatedTaxCode]) -> tuple[DatedTaxCode, ...]:
    """The codes of a school: those of its country's template, with its own changes, and its own codes."""
    template = TEMPLATES[country]
    if not changed:
        return template
    names = {tax_code.code for tax_code in template}
    return (
        *(changed.get(tax_code.code, tax_code) for tax_code in template),
        *(tax_code for code, tax_code in changed.items() if code not in names),
    )


def with_rates(
    before: DatedTaxCode | None, *, code: str, name: str, components: Sequence[Component], from_: date
) -> DatedTaxCode:
    """A code with other rates from a day on; those of before end on the day before it.

    Refused: rates for what bears no tax, and two rates of one tax.
    """
    assert components
    if before is not None and not before.components:
        raise DomainError(Code.INVALID_REQUEST, f"{before.name} ({code}) bears no tax; take another code.")
    if len({component.name for component in components}) < len(components):
        raise DomainError(Code.INVALID_REQUEST, "A code has one rate of a tax at a time.")
    last_day = from_ - timedelta(days=1)
    kept = tuple(
        component
        if component.to is not None and component.to < from_
        else msgspec.structs.replace(component, to=last_day)
        for component in (before.components if before is not None else ())
        if component.from_ < from_
    )
    return DatedTaxCode(code=code, name=name, components=(*kept, *components))


# --- what a tenant of a country starts with


def _rate(name: str, authority_code: str, rate: str, from_: date, to: date | None = None) -> Component:
    return Component(
        name=name, authority_code=authority_code, rate=rate, role=TAX_ROLES[name], from_=from_, to=to
    )


_UNTAXED: Final = (
    DatedTaxCode(code="A", name="Exempt", components=()),
    DatedTaxCode(code="C", name="Zero-rated", components=()),
    DatedTaxCode(code="D", name="Outside the scope of tax", components=()),
)

_GST: Final = _rate("GST", "RT", "5", date(2008, 1, 1))

TEMPLATES: Final[dict[str, tuple[DatedTaxCode, ...]]] = {
    "KE": (
        *_UNTAXED,
        DatedTaxCode(
            code="B",
            name="VAT, general rate",
            components=(
                _rate("VAT", "B", "16", date(2013, 9, 2), date(2020, 3, 31)),
                _rate("VAT", "B", "14", date(2020, 4, 1), date(2020, 12, 31)),
                _rate("VAT", "B", "16", date(2021, 1, 1)),
            ),
        ),
        DatedTaxCode(
            code="E", name="VAT, reduced rate", components=(_rate("VAT", "E", "8", date(2018, 9, 21)),)
        ),
    ),
    "CA": (
        *_UNTAXED,
        DatedTaxCode(code="GST", name="GST", components=(_GST,)),
        DatedTaxCode(
            code="HST_ON", name="HST, Ontario", components=(_rate("HST", "RT", "13", date(2010, 7, 1)),)
        ),
        DatedTaxCode(
            code="HST_15",
            name="HST, New Brunswick, Newfoundland and Labrador, Prince Edward Island",
            components=(_rate("HST", "RT", "15", date(2016, 7, 1)),),
        ),
        DatedTaxCode(
            code="HST_NS",
            name="HST, Nova Scotia",
            components=(
                _rate("HST", "RT", "15", date(2010, 7, 1), date(2025, 3, 31)),
                _rate("HST", "RT", "14", date(2025, 4, 1)),
            ),
        ),
        DatedTaxCode(
            code="GST_PST_BC",
            name="GST and PST, British Columbia",
            components=(_GST, _rate("PST", "PST-BC", "7", date(2013, 4, 1))),
        ),
        DatedTaxCode(
            code="GST_PST_SK",
            name="GST and PST, Saskatchewan",
            components=(_GST, _rate("PST", "PST-SK", "6", date(2017, 3, 23))),
        ),
        DatedTaxCode(
            code="GST_RST_MB",
            name="GST and RST, Manitoba",
            components=(_GST, _rate("RST", "RST-MB", "7", date(2019, 7, 1))),
        ),
        DatedTaxCode(
            code="GST_QST",
            name="GST and QST, Quebec",
            components=(_GST, _rate("QST", "TQ", "9.975", date(2013, 1, 1))),
        ),
    ),
}
"""The codes of each country template, by ISO 3166 code."""
