"""The parts of which the payloads of documents are made."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec

from adapters.quickbooks.mapping.canonical import Json, reference
from adapters.quickbooks.mapping.money import decimal
from adapters.quickbooks.mapping.taxes import OUT_OF_SCOPE, code_name, document_tax
from domain.invoice import InvoiceLine, PaymentApplied
from domain.line import Parts
from domain.sale import RefundLine, SaleLine, SaleTender

Sold = SaleLine | InvoiceLine | RefundLine


class Chart(msgspec.Struct, frozen=True):
    """Which account code stands for which role when a document is made.

    A document keeps the codes of its day, whatever is mapped later; a role without a code is looked up when
    the document's bytes are fixed. `taxed` says whether the school is registered for tax: then its company has tax
    set up, and takes no line without a tax code.
    """

    account_codes: Mapping[str, str]
    taxed: bool = False

    def account(self, role: str) -> Json:
        """Stand for QuickBooks' account of a role."""
        return self._reference("Account", role)

    def item(self, role: str) -> Json:
        """Stand for QuickBooks' item on the account of a role."""
        return self._reference("Item", role)

    def tax(self, lines: Sequence[Parts], currency: str) -> Json:
        """What a document tells of its taxes: those of the lines that are sold or taken back in it."""
        return document_tax(lines, currency) if self.taxed else {"GlobalTaxCalculation": "NotApplicable"}

    def tax_code(self, name: str) -> Json:
        """What a line tells of its tax."""
        return {"TaxCodeRef": {"value": reference("TaxCode", name)}} if self.taxed else {}

    def _reference(self, kind: str, role: str) -> Json:
        code = self.account_codes.get(role)
        return reference(f"{kind}OfRole", role) if code is None else reference(kind, code)


def sales_form(
    number: str,
    effective_date: date,
    customer: str | None,
    lines: list[Json],
    *,
    note: str,
    tax: Json,
    deposit: Json | None = None,
) -> Json:
    """A receipt, an invoice or a credit memo; `deposit` stands for the account deposited to, `tax` is of `Chart.tax`."""
    form: Json = {
        "DocNumber": number,
        "TxnDate": effective_date.isoformat(),
        "PrivateNote": note,
        "Line": lines,
        **tax,
    }
    if customer is not None:
        form["CustomerRef"] = {"value": reference("Customer", customer)}
    if deposit is not None:
        form["DepositToAccountRef"] = {"value": deposit}
    return form


def sold_lines(lines: Sequence[SaleLine] | Sequence[InvoiceLine], currency: str, chart: Chart) -> list[Json]:
    """Lines sold or invoiced, each on the item of its income role, and their discounts."""
    return [_sold_line(line, currency, chart) for line in lines] + _discount_lines(lines, currency, chart)


def _sold_line(line: SaleLine | InvoiceLine, currency: str, chart: Chart) -> Json:
    text = f"{line.sku} {line.description}".strip() if isinstance(line, SaleLine) else line.description
    tax_code = code_name(line.tax_code, line.taxes)
    payload = item_line(chart, line.income, line.price, currency, text, tax_code=tax_code)
    # QuickBooks refuses (6070) an amount that is not price times quantity, so both are told only where they are.
    if line.quantity > 0 and line.price % line.quantity == 0:
        payload["SalesItemLineDetail"]["Qty"] = line.quantity
        payload["SalesItemLineDetail"]["UnitPrice"] = decimal(line.price // line.quantity, currency)
    return payload


def returned_lines(lines: Sequence[RefundLine], currency: str, chart: Chart) -> list[Json]:
    """Lines taken back, on the item of returns, and their discounts."""
    returned = [
        item_line(
            chart,
            "sales_returns",
            line.price,
            currency,
            f"{line.sku} {line.description}".strip(),
            tax_code=code_name(line.tax_code, line.taxes),
        )
        for line in lines
    ]
    return returned + _discount_lines(lines, currency, chart)


def _discount_lines(lines: Sequence[Sold], currency: str, chart: Chart) -> list[Json]:
    """One line for each tax code whose lines have a discount, so that its net is what is taxed."""
    discounts_minor: dict[str, int] = {}
    for line in lines:
        if line.discount_net:
            name = code_name(line.tax_code, line.taxes)
            discounts_minor[name] = discounts_minor.get(name, 0) + line.discount_net
    return [
        item_line(chart, "discounts", -discount, currency, "discount", tax_code=name)
        for name, discount in discounts_minor.items()
    ]


def item_line(
    chart: Chart, role: str, amount_minor: int, currency: str, text: str, *, tax_code: str = OUT_OF_SCOPE
) -> Json:
    """A line of an amount on the item of a role."""
    return {
        "Amount": decimal(amount_minor, currency),
        "Description": text,
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": chart.item(role)}, **chart.tax_code(tax_code)},
    }


def journal_line(posting_type: str, account: Json, amount_minor: int, currency: str, text: str) -> Json:
    """A line of a journal entry; `posting_type` is Debit or Credit."""
    return {
        "Amount": decimal(amount_minor, currency),
        "Description": text,
        "DetailType": "JournalEntryLineDetail",
        "JournalEntryLineDetail": {"PostingType": posting_type, "AccountRef": {"value": account}},
    }


def link(kind: str, number: str, amount_minor: int, currency: str) -> Json:
    """A payment's line that applies an amount to a document."""
    return {
        "Amount": decimal(amount_minor, currency),
        "LinkedTxn": [{"TxnId": reference(kind, number), "TxnType": kind}],
    }


def note(transaction_id: str, tenders: Iterable[SaleTender | PaymentApplied] = ()) -> str:
    """The ledger's transaction, and the providers' references, which are too long for a number."""
    parts = [f"ledger transaction {transaction_id}"]
    for tender in tenders:
        if tender.reference:
            name = tender.tender if isinstance(tender, PaymentApplied) else tender.type
            parts.append(f"{name} reference {tender.reference}")
    return "; ".join(parts)
