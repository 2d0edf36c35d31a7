"""How QuickBooks' tax codes and rates are named, and what a document tells of its taxes.

A company has them from its tax set-up, where a bookkeeper gives them these names; they are found by name. Amounts are
nets, and the taxes are ours: QuickBooks does not work them out again.
"""

from collections.abc import Sequence
from typing import Final

from adapters.quickbooks.mapping.canonical import Json, reference
from adapters.quickbooks.mapping.money import decimal
from domain.line import Parts, TaxPart, document_taxes

OUT_OF_SCOPE: Final = "Out of scope"
"""The code of whatever is no supply, such as what a tender pays."""
_UNTAXED: Final = {"A": "Exempt", "C": "Zero-rated"}


def rate_name(component: str, rate: str) -> str:
    """A rate by its component and per cent, such as `VAT 16%`."""
    return f"{component} {rate}%"


def code_name(tax_code: str, taxes: Sequence[TaxPart]) -> str:
    """A code by its rates, such as `GST 5% + QST 9.975%`; without any by what it means."""
    if taxes:
        return " + ".join(rate_name(part.component, part.rate) for part in taxes)
    return _UNTAXED.get(tax_code, OUT_OF_SCOPE)


def document_tax(lines: Sequence[Parts], currency: str) -> Json:
    """The taxes of a document of a company that has tax set up: each rate with its net, and all in total."""
    taxes = document_taxes(lines)
    return {
        "GlobalTaxCalculation": "TaxExcluded",
        "TxnTaxDetail": {
            "TotalTax": decimal(sum(tax.amount for tax in taxes), currency),
            "TaxLine": [
                {
                    "Amount": decimal(tax.amount, currency),
                    "DetailType": "TaxLineDetail",
                    "TaxLineDetail": {
                        "TaxRateRef": {"value": reference("TaxRate", rate_name(tax.component, tax.rate))},
                        "PercentBased": True,
                        "NetAmountTaxable": decimal(tax.net, currency),
                    },
                }
                for tax in taxes
            ],
        },
    }
