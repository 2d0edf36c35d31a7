"""The parts of which the payloads of documents are made."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

import msgspec

from adapters.quickbooks.mapping.canonical import Json, reference
from domain.invoice import InvoiceLine, PaymentApplied
from domain.money import MINOR_DIGITS
from domain.sale import SaleLine, SaleTender


class Chart(msgspec.Struct, frozen=True):
    """Which account code stands for which role when a document is made.

    A document keeps the codes of its day, whatever is mapped later; a role without a code is looked up when
    the document's bytes are fixed.
    """

    account_codes: Mapping[str, str]

    def account(self, role: str) -> Json:
        """Stand for QuickBooks' account of a role."""
        return self._reference("Account", role)

    def item(self, role: str) -> Json:
        """Stand for QuickBooks' item on the account of a role."""
        return self._reference("Item", role)

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
    deposit: Json | None = None,
) -> Json:
    """A receipt, an invoice or a credit memo; `deposit` stands for the account deposited to."""
    form: Json = {
        "DocNumber": number,
        "TxnDate": effective_date.isoformat(),
        "PrivateNote": note,
        "GlobalTaxCalculation": "NotApplicable",
        "Line": lines,
    }
    if customer is not None:
        form["CustomerRef"] = {"value": reference("Customer", customer)}
    if deposit is not None:
        form["DepositToAccountRef"] = {"value": deposit}
    return form


def sold_line(line: SaleLine | InvoiceLine, currency: str, chart: Chart) -> Json:
    """A line sold or invoiced, on the item of its income role."""
    text = f"{line.sku} {line.description}".strip() if isinstance(line, SaleLine) else line.description
    payload = item_line(chart.item(line.income), line.total, currency, text)
    # QuickBooks refuses (6070) an amount that is not price times quantity, so both are told only where they are.
    if line.quantity > 0 and line.total % line.quantity == 0:
        payload["SalesItemLineDetail"]["Qty"] = line.quantity
        payload["SalesItemLineDetail"]["UnitPrice"] = decimal(line.total // line.quantity, currency)
    return payload


def item_line(item: Json, amount_minor: int, currency: str, text: str) -> Json:
    """A line of an amount on the item that `item` stands for."""
    return {
        "Amount": decimal(amount_minor, currency),
        "Description": text,
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": item}},
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


def decimal(amount_minor: int, currency: str) -> Decimal:
    """An amount in the currency's major unit, exactly."""
    return Decimal(amount_minor).scaleb(-MINOR_DIGITS[currency])
