"""Tax in a company: the codes and rates that setting it up makes, and what a document may say of its taxes.

Setting tax up in QuickBooks makes codes, rates and an account for each agency, which the API only reads. How they are
named is a matter of the country's edition and of the bookkeeper; these are named by component and rate.
"""

from decimal import Decimal
from typing import Final

from adapters.quickbooks.emulator import refusals, values
from adapters.quickbooks.emulator.books import SALES_LINE, TAX_LINE, Books, Record, tax_lines, total_tax
from adapters.quickbooks.emulator.refusals import Body

PAYABLE_SUBTYPE: Final = "GlobalTaxPayable"
UNTAXED_CODES: Final = ("Exempt", "Zero-rated", "Out of scope")
TAXED_CODES: Final[dict[str, tuple[tuple[tuple[str, str], ...], ...]]] = {
    "KE": ((("VAT", "16"),), (("VAT", "14"),), (("VAT", "8"),)),
    "CA": (
        (("GST", "5"),),
        (("HST", "13"),),
        (("HST", "14"),),
        (("HST", "15"),),
        (("GST", "5"), ("PST", "6")),
        (("GST", "5"), ("PST", "7")),
        (("GST", "5"), ("RST", "7")),
        (("GST", "5"), ("QST", "9.975")),
    ),
}
"""The rates of each code, by country: its agency and per cent."""
CALCULATIONS: Final = ("TaxExcluded", "NotApplicable")


def agencies(country: str) -> list[str]:
    """Who takes tax in a country; each has an account, named after it."""
    return list(dict.fromkeys(agency for code in TAXED_CODES.get(country, ()) for agency, _ in code))


def payable_account(agency: str) -> Body:
    """The account that setting tax up makes for an agency."""
    return {
        "Name": f"{agency} Payable",
        "AccountType": "Other Current Liability",
        "AccountSubType": PAYABLE_SUBTYPE,
    }


def set_up(books: Books, country: str, accounts: dict[str, int]) -> None:
    """Make the country's codes and rates; `accounts` holds the account of each agency."""
    rates: dict[tuple[str, str], Body] = {}
    for code in TAXED_CODES.get(country, ()):
        for agency, percent in code:
            if (agency, percent) not in rates:
                rates[agency, percent] = _rate(books, agency, percent, accounts[agency])
    for name in UNTAXED_CODES:
        _code(books, name, [])
    for code in TAXED_CODES.get(country, ()):
        made = [rates[rate] for rate in code]
        _code(books, " + ".join(rate["Name"] for rate in made), made)


def _rate(books: Books, agency: str, percent: str, account: int) -> Body:
    name = f"{agency} {percent}%"
    return _made(
        books,
        "TaxRate",
        {
            "Name": name,
            "Description": name,
            "Active": True,
            "RateValue": Decimal(percent),
            "AgencyRef": {"value": str(account), "name": agency},
        },
    )


def _code(books: Books, name: str, rates: list[Body]) -> None:
    details = [
        {
            "TaxRateRef": {"value": rate["Id"], "name": rate["Name"]},
            "TaxTypeApplicable": "TaxOnAmount",
            "TaxOrder": 0,
        }
        for rate in rates
    ]
    named: Body = {"Name": name, "Description": name, "Active": True, "Hidden": False}
    taxed: Body = {"Taxable": bool(rates), "TaxGroup": True, "SalesTaxRateList": {"TaxRateDetail": details}}
    _made(books, "TaxCode", named | taxed)


def _made(books: Books, kind: str, body: Body) -> Body:
    number = books.take_id()
    record = Record(kind=kind, id=number, sync_token=0, deleted=False, created_ms=books.at_ms, body=body)
    return books.put(record).body


# --- what a document says


def check_code(books: Books, detail: Body) -> None:
    """A line of a company that has tax set up names one of its codes. Raises Refusal."""
    if not books.company.preferences.UsingSalesTax:
        return
    code = values.reference(detail, "TaxCodeRef")
    if code is None:
        raise refusals.business("Make sure all your transactions have a GST/HST/VAT rate before you save")
    books.referred("TaxCode", code, "TaxCodeRef")


def settled(books: Books, body: Body, lines: list[Body]) -> tuple[Body, Decimal]:
    """A sales form with its tax lines as they will stand, and its tax. Raises Refusal.

    The taxes that a document names stand as they are, which QuickBooks calls an override; what each is taken on must
    be what the lines of its rate come to.
    """
    tax = total_tax(body)
    if tax and not books.company.preferences.UsingSalesTax:
        raise refusals.business("Sales tax is not set up: TxnTaxDetail.TotalTax must be 0")
    calculation = body.get("GlobalTaxCalculation")
    if calculation == "TaxInclusive":
        raise refusals.unsupported("Documents whose amounts include tax are not emulated")
    if calculation is not None and calculation not in CALCULATIONS:
        raise refusals.invalid_enumeration("GlobalTaxCalculation", calculation)
    told = [_tax_line(books, line) for line in tax_lines(body)]
    if not told and calculation != "TaxExcluded":
        return body, tax
    if calculation == "NotApplicable":
        raise refusals.business("GlobalTaxCalculation is NotApplicable, and TxnTaxDetail names taxes")
    if sum((line["Amount"] for line in told), values.ZERO) != tax:
        raise refusals.business(f"TxnTaxDetail.TotalTax {tax} is not the sum of its lines")
    _check_nets(told, _nets(books, lines))
    return body | {"TxnTaxDetail": {**(body.get("TxnTaxDetail") or {}), "TaxLine": told}}, tax


def _tax_line(books: Books, line: Body) -> Body:
    money, detail = values.amount(line.get("Amount"), "TaxLine.Amount"), values.detail(line, TAX_LINE)
    rate = values.reference(detail, "TaxRateRef")
    if rate is None:
        raise refusals.missing("TaxLine.TaxLineDetail.TaxRateRef")
    percent = books.referred("TaxRate", rate, "TaxRateRef").body["RateValue"]
    net = values.amount(detail.get("NetAmountTaxable"), "TaxLineDetail.NetAmountTaxable")
    told = {**detail, "TaxPercent": percent, "NetAmountTaxable": net}
    return {**line, "Amount": money, "DetailType": TAX_LINE, TAX_LINE: told}


def _nets(books: Books, lines: list[Body]) -> dict[str, Decimal]:
    """What the lines come to that bear each rate, by the rate's id."""
    nets: dict[str, Decimal] = {}
    for line in lines:
        if line.get("DetailType") != SALES_LINE:
            continue
        code = values.reference(line[SALES_LINE], "TaxCodeRef")
        record = books.load("TaxCode", int(code)) if code else None
        for rate in record.body["SalesTaxRateList"]["TaxRateDetail"] if record else ():
            identifier = rate["TaxRateRef"]["value"]
            nets[identifier] = nets.get(identifier, values.ZERO) + line["Amount"]
    return nets


def _check_nets(told: list[Body], nets: dict[str, Decimal]) -> None:
    named = [str(values.reference(line[TAX_LINE], "TaxRateRef")) for line in told]
    if len(set(named)) < len(named):
        raise refusals.business("Two lines of TxnTaxDetail are of the same rate")
    untold = next((rate for rate in nets if rate not in named), None)
    if untold is not None:
        raise refusals.unsupported(
            f"Lines bear tax rate {untold}, and TxnTaxDetail does not name it: taxes are not worked out here"
        )
    for rate, line in zip(named, told, strict=True):
        net = line[TAX_LINE]["NetAmountTaxable"]
        if rate not in nets or nets[rate] != net:
            raise refusals.business(
                f"NetAmountTaxable {net} of tax rate {rate} is not what its lines come to, {nets.get(rate)}"
            )
