from datetime import date
from typing import Any

import pytest

from domain import invoice
from domain.errors import Code
from domain.invoice import (
    Invoice,
    InvoiceDrafted,
    InvoiceIssued,
    InvoiceLine,
    InvoiceView,
    PaymentApplied,
    PaymentReversed,
)
from domain.money import MAX_AMOUNT_MINOR
from domain.tender import Share
from tests.support.given import AT, MOVED, TODAY, TRANSACTION, fold, given, untaxed

STREAM = "greenhill/invoice/i-1"
DUE = date(2026, 4, 30)
LINES = (
    InvoiceLine(description="Term 1", quantity=1, **untaxed(700), income="tuition", tax_code="A"),
    InvoiceLine(description="Bus", quantity=2, **untaxed(300), income="transport", tax_code="D"),
)
DRAFTED = InvoiceDrafted(
    invoice="i-1",
    payer="P-1",
    currency="KES",
    due_date=DUE,
    lines=LINES,
    total=1000,
    status="draft",
    open=0,
    recorded_at=AT,
)
ISSUED = InvoiceIssued(
    invoice="i-1",
    number="INV-2026-000001",
    payer="P-1",
    currency="KES",
    due_date=DUE,
    lines=LINES,
    total=1000,
    status="issued",
    open=1000,
    **MOVED,
)


def paid(amount: int, leaves: int, leg: int = 1) -> PaymentApplied:
    return PaymentApplied(
        invoice="i-1",
        number="INV-2026-000001",
        payer="P-1",
        currency="KES",
        receipt="R-1",
        leg=leg,
        tender="cash",
        amount=amount,
        status="partially_paid" if leaves else "paid",
        open=leaves,
        account="STU-1",
        reference="X",
        **MOVED,
    )


def reversed_payment(amount: int, leaves: int) -> PaymentReversed:
    return PaymentReversed(
        invoice="i-1",
        number="INV-2026-000001",
        payer="P-1",
        currency="KES",
        receipt="R-9",
        leg=1,
        tender="cash",
        amount=amount,
        status="issued" if leaves == 1000 else "partially_paid",
        open=leaves,
        account="STU-1",
        reference="X",
        reverses=MOVED["transaction_id"],
        paid_on=TODAY,
        reversed_receipt="R-1",
        **MOVED,
    )


def do_reverse(amount: int) -> Any:
    return lambda state: invoice.reverse_payment(state, TRANSACTION, applied=paid(amount, 0), receipt="R-9")


def do_draft(*lines: InvoiceLine) -> Any:
    return lambda _: invoice.draft(
        invoice="i-1", payer="P-1", currency="KES", due_date=DUE, lines=lines, recorded_at=AT
    )


def do_issue(state: Invoice) -> InvoiceIssued:
    invoice.check_draft(state, "i-1")
    return invoice.issue(state, TRANSACTION, number="INV-2026-000001")


def do_pay(amount: int, leg: int = 1) -> Any:
    share = Share(leg=leg, type="cash", amount_minor=amount, wallet_id="STU-1", reference="X")

    def decision(state: Invoice) -> PaymentApplied:
        invoice.check_open(state, "i-1")
        return invoice.apply_payment(state, TRANSACTION, share=share, receipt="R-1")

    return decision


def test_a_draft_adds_up_and_is_owed_by_nobody() -> None:
    given(STREAM).when(do_draft(*LINES)).then(
        DRAFTED, status="draft", total_minor=1000, open_minor=0, number=""
    )


def test_a_draft_has_a_limit() -> None:
    most = InvoiceLine(
        description="Much", quantity=1, **untaxed(MAX_AMOUNT_MINOR), income="tuition", tax_code="A"
    )
    given(STREAM).when(do_draft(most, LINES[0])).then_refused(Code.AMOUNT_TOO_LARGE)


def test_an_issued_invoice_is_owed() -> None:
    given(STREAM, DRAFTED).when(do_issue).then(
        ISSUED, status="issued", number="INV-2026-000001", open_minor=1000, issued_on=TODAY
    )


def test_it_is_paid_in_parts() -> None:
    given(STREAM, DRAFTED, ISSUED).when(do_pay(400)).then(
        paid(400, 600), status="partially_paid", open_minor=600
    )
    given(STREAM, DRAFTED, ISSUED, paid(400, 600)).when(do_pay(600, leg=2)).then(
        paid(600, 0, leg=2), status="paid", open_minor=0
    )


def test_a_payment_taken_back_is_owed_again() -> None:
    given(STREAM, DRAFTED, ISSUED, paid(400, 600), paid(600, 0, leg=2)).when(do_reverse(400)).then(
        reversed_payment(400, 400), status="partially_paid", open_minor=400
    )
    given(STREAM, DRAFTED, ISSUED, paid(1000, 0)).when(do_reverse(1000)).then(
        reversed_payment(1000, 1000), status="issued", open_minor=1000
    )


def test_no_more_is_taken_back_than_was_paid() -> None:
    given(STREAM, DRAFTED, ISSUED, paid(400, 600)).when(do_reverse(401)).then_is_a_programming_error()


@pytest.mark.parametrize("decision", [do_issue, do_pay(1), do_reverse(1)])
def test_what_is_not_there_is_not_found(decision: Any) -> None:
    given(STREAM).when(decision).then_refused(Code.INVOICE_NOT_FOUND, invoice="i-1")


@pytest.mark.parametrize("more", [(), (paid(1, 999),), (paid(1000, 0),)])
def test_only_a_draft_is_issued(more: Any) -> None:
    given(STREAM, DRAFTED, ISSUED, *more).when(do_issue).then_refused(Code.INVOICE_NOT_DRAFT, invoice="i-1")


@pytest.mark.parametrize(
    ("events", "hint"),
    [
        ((DRAFTED,), "a draft; issue it first (POST invoices/{id}/issue)"),
        ((DRAFTED, ISSUED, paid(1000, 0)), "paid"),
    ],
)
def test_only_what_is_owed_is_paid(events: Any, hint: str) -> None:
    given(STREAM, *events).when(do_pay(1)).then_refused(
        Code.INVOICE_NOT_OPEN, f"The invoice is {hint}.", invoice="i-1"
    )


def test_a_decision_checks_for_itself() -> None:
    """Whoever asked `check_draft` or `check_open` before or not."""
    share = Share(leg=1, type="cash", amount_minor=1)
    given(STREAM, DRAFTED, ISSUED).when(
        lambda state: invoice.issue(state, TRANSACTION, number="INV-2026-000002")
    ).then_refused(Code.INVOICE_NOT_DRAFT, "Invoice INV-2026-000001 is issued.", invoice="i-1")
    given(STREAM, DRAFTED).when(
        lambda state: invoice.apply_payment(state, TRANSACTION, share=share, receipt="R-1")
    ).then_refused(Code.INVOICE_NOT_OPEN, invoice="i-1")


def test_a_single_unit_may_be_paid() -> None:
    given(STREAM, DRAFTED, ISSUED).when(do_pay(1)).then(paid(1, 999), open_minor=999)


@pytest.mark.parametrize("amount", [1001, 0, -1])
def test_no_more_is_applied_than_is_owed_and_never_nothing(amount: int) -> None:
    given(STREAM, DRAFTED, ISSUED).when(do_pay(amount)).then_is_a_programming_error()


@pytest.mark.parametrize(
    ("events", "number", "status", "open_minor"),
    [
        ((DRAFTED,), None, "draft", 0),
        ((DRAFTED, ISSUED, paid(400, 600)), "INV-2026-000001", "partially_paid", 600),
    ],
)
def test_an_answer_shows_the_invoice(events: Any, number: Any, status: Any, open_minor: int) -> None:
    state: Any = fold(STREAM, events)
    assert InvoiceView.of(state) == InvoiceView(
        id="i-1",
        number=number,
        status=status,
        payer="P-1",
        currency="KES",
        total=1000,
        open=open_minor,
        due_date=DUE,
        lines=LINES,
    )
