"""Invoices."""

from api.operations.form import CommandForm, ReadForm
from api.operations.shared import (
    INVOICE,
    MOVED,
    MOVES_MONEY,
    PAGE_END,
    RECEIPT,
    TAKES_LINES,
    TAKES_TENDERS,
    TRANSACTION,
    event,
    wallet_event,
)
from domain.capability import Capability
from domain.errors import Code
from domain.invoice import InvoiceView
from projections.engine.reading import Page

_ISSUED = event(
    "invoice.issued",
    f"invoice/{INVOICE['id']}",
    **MOVED,
    invoice=INVOICE["id"],
    **{name: INVOICE[name] for name in ("number", "payer", "currency", "due_date", "lines", "total")},
    status="issued",
    open=4500000,
)

FORMS = (
    CommandForm(
        action="invoice.create",
        path="/invoices",
        id="create_invoice",
        tag="Invoices",
        summary="Create an invoice",
        codes=(*TAKES_LINES, *MOVES_MONEY),
        request={
            "payer": "STU-0042",
            "currency": "KES",
            "due_date": "2026-12-15",
            "lines": [
                {
                    "description": "Tuition, term 1",
                    "quantity": 1,
                    "total": 4500000,
                    "income": "tuition",
                    "tax_code": "A",
                }
            ],
            "issue": True,
        },
        key="term-1-STU-0042",
        answer=INVOICE,
        last_event=_ISSUED,
    ),
    CommandForm(
        action="invoice.issue",
        path="/invoices/{invoice}/issue",
        id="issue_invoice",
        tag="Invoices",
        summary="Issue a draft",
        codes=(Code.INVOICE_NOT_FOUND, Code.INVOICE_NOT_DRAFT, Code.COMMAND_TOO_LARGE, *MOVES_MONEY),
        request={},
        key="issue-term-1-STU-0042",
        answer=INVOICE,
        last_event=_ISSUED,
    ),
    CommandForm(
        action="invoice.settle",
        method="PATCH",
        path="/invoices/{invoice}",
        id="settle_invoice",
        tag="Invoices",
        summary="Settle an invoice",
        codes=(
            Code.INVOICE_NOT_FOUND,
            Code.INVOICE_NOT_OPEN,
            *TAKES_TENDERS,
            Code.NOT_SAME_FAMILY,
            Code.NO_WALLET_FOR_EXCESS,
            Code.COMMAND_TOO_LARGE,
            *MOVES_MONEY,
        ),
        request={"settle": {"tenders": [{"type": "wallet"}, {"type": "cash", "amount": 1000000}]}},
        key="counter-000731",
        answer={
            "transaction_id": TRANSACTION,
            "invoice": {**INVOICE, "status": "partially_paid", "open": 3355000},
            "receipt": RECEIPT,
        },
        last_event=wallet_event(
            "charged", 145000, "Payment of invoice INV-2026-000008", purpose="invoice", income=None
        ),
    ),
    ReadForm(
        path="/invoices",
        id="list_invoices",
        tag="Invoices",
        summary="List invoices",
        description="The tenant's invoices in the order of their creation, of one payer or status where asked for.",
        answer_type=Page[InvoiceView, str],
        capabilities=(Capability.INVOICE_READ,),
        answer={"data": [INVOICE], **PAGE_END},
    ),
    ReadForm(
        path="/invoices/{invoice}",
        id="get_invoice",
        tag="Invoices",
        summary="Get an invoice",
        description="One invoice with its lines and what of it is open.",
        answer_type=InvoiceView,
        capabilities=(Capability.INVOICE_READ,),
        codes=(Code.INVOICE_NOT_FOUND,),
        answer=INVOICE,
    ),
)
