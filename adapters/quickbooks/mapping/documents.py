"""What becomes which document in QuickBooks: a pure mapping from the public message.

A wallet is to QuickBooks what a gift certificate is: it is sold through an item on a liability account and
redeemed as a negative line of that item. So each wallet tender and each second tender is a line, and whoever
adds up the documents by their accounts gets the ledger's balances, account by account, to the cent.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec

from application.feed.message import Message
from domain.chart import INCOME_ROLES
from domain.event import Event
from domain.invoice import InvoiceIssued, InvoiceLine, PaymentApplied
from domain.journal import TENDER_ROLES
from domain.money import MINOR_DIGITS
from domain.sale import SaleCompleted, SaleLine, SaleRefunded, SaleTender
from domain.wallet import WalletCharged, WalletToppedUp

DocumentKind = Literal["SalesReceipt", "RefundReceipt", "Invoice", "Payment", "CreditMemo", "JournalEntry"]
Json = dict[str, Any]

NUMBER_FIELD: Final[dict[DocumentKind, str]] = {
    "SalesReceipt": "DocNumber",
    "RefundReceipt": "DocNumber",
    "Invoice": "DocNumber",
    "Payment": "PaymentRefNum",
    "CreditMemo": "DocNumber",
    "JournalEntry": "DocNumber",
}
"""Where each kind carries our number, at most 21 characters. A payment has no document number."""

ITEM_ROLES: Final = (
    INCOME_ROLES
    | frozenset(TENDER_ROLES.values())
    | {"sales_returns", "suspense", "bad_debts", "rounding", "refunds_payable"}
)
"""The roles that have an item of their own."""

WALLET: Final = TENDER_ROLES["wallet"]
CASH: Final = TENDER_ROLES["cash"]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document to be made in QuickBooks.

    `source_id` is the transaction and its leg; a leg has at most one document of each kind. `amount` is its
    total in minor units. `customer`, `invoice` (by number) and `credit_memo` (by number) must be there
    before it. `template` is its payload with references (see `reference`) where QuickBooks' ids will stand.
    """

    kind: DocumentKind
    source_id: str
    number: str
    effective_date: date
    amount: int
    currency: str
    customer: str | None
    template: Json
    invoice: str | None = None
    credit_memo: str | None = None


# --- references and bytes

_REFERENCE: Final = "$ref"
_encoder: Final = msgspec.json.Encoder(decimal_format="number", order="sorted")
_decoder: Final = msgspec.json.Decoder(Any, float_hook=Decimal)


def reference(kind: str, key: str) -> Json:
    """Stand for QuickBooks' id of an account (by code), item (by role), customer, or document (by number)."""
    return {_REFERENCE: f"{kind}/{key}"}


def canonical(payload: Json) -> bytes:
    """The one form of a payload in bytes: keys sorted, amounts as exact decimal numbers."""
    return _encoder.encode(payload)


def parse(payload: bytes | str) -> Any:
    """Read JSON with its fractions as Decimal. Raises `msgspec.DecodeError`."""
    return _decoder.decode(payload)


def bind(template: bytes, identifier: Callable[[str], str]) -> bytes:
    """Put QuickBooks' ids in the place of the references (`kind/key`): the exact bytes to send."""
    return canonical(_bound(parse(template), identifier))


def _bound(node: Any, identifier: Callable[[str], str]) -> Any:
    if isinstance(node, dict):
        if _REFERENCE in node:
            return identifier(node[_REFERENCE])
        return {key: _bound(value, identifier) for key, value in node.items()}
    if isinstance(node, list):
        return [_bound(value, identifier) for value in node]
    return node


def fingerprint(body: bytes) -> bytes:
    """SHA-256 of a document's canonical bytes."""
    return sha256(body).digest()


def same_document(kind: str, body: bytes, found: Json) -> bool:
    """Tell whether a document found in QuickBooks is the one of `body`: amount, customer and date.

    A journal entry's total always reads 0 there, so its lines are compared.
    """
    ours = parse(body)
    if ours["TxnDate"] != found.get("TxnDate") or _customer_id(ours) != _customer_id(found):
        return False
    if kind == "JournalEntry":
        return _journal_lines(ours) == _journal_lines(found)
    return _total(kind, ours) == Decimal(found.get("TotalAmt", "NaN"))


def _customer_id(document: Json) -> str | None:
    return (document.get("CustomerRef") or {}).get("value")


def _total(kind: str, document: Json) -> Decimal:
    if kind == "Payment":
        return Decimal(document["TotalAmt"])
    return sum((Decimal(line["Amount"]) for line in document["Line"]), Decimal(0))


def _journal_lines(document: Json) -> list[tuple[str, str, Decimal]]:
    details = [(line, line.get("JournalEntryLineDetail")) for line in document["Line"]]
    return sorted(
        (detail["AccountRef"]["value"], detail["PostingType"], Decimal(line["Amount"]))
        for line, detail in details
        if detail
    )


# --- the mapping

_DOCUMENTED: Final = frozenset(
    event.topic
    for event in (
        SaleCompleted,
        SaleRefunded,
        InvoiceIssued,
        PaymentApplied,
        WalletToppedUp,
        WalletCharged,
    )
)


def documents(message: Message, chart: Mapping[str, str]) -> list[Document]:
    """List the documents of a committed command, in the order in which they should be made.

    `chart` maps the tenant's account roles to codes, for accounts that the command did not post to.
    """
    if message.transaction is None:
        return []
    codes = {**chart, **{posting.role: posting.code for posting in message.transaction.postings}}
    made: list[Document] = []
    for public in message.events:
        if public.type in _DOCUMENTED:
            made.extend(_documents_of(public.event(), message, codes))
    return made


def _documents_of(event: Event, message: Message, codes: Mapping[str, str]) -> list[Document]:
    made: list[Document] = []
    match event:
        case SaleCompleted():
            made = [_sale(event, codes)]
        case SaleRefunded():
            made = [_refund(event, codes)]
        case InvoiceIssued():
            made = [_invoice(event)]
        case PaymentApplied(tender="wallet"):
            made = _wallet_settlement(event)
        case PaymentApplied():
            made = [_payment(event, codes)]
        case WalletToppedUp():
            made = [_top_up(event, codes)]
        case WalletCharged(purpose="charge"):
            made = [_charge(event, message)]
        case WalletCharged():
            pass  # a tender of the sale or the settlement, which has its documents
        case _:
            raise AssertionError(event)
    return made


def _sale(event: SaleCompleted, codes: Mapping[str, str]) -> Document:
    deposit, others, total = _deposit(event.tenders, codes, event.total)
    lines = [_sold(line, event.currency) for line in event.lines]
    lines += [_item_line(role, -amount, event.currency, note) for role, amount, note in others]
    return Document(
        kind="SalesReceipt",
        source_id=f"{event.transaction_id}/0",
        number=event.receipt,
        effective_date=event.effective_date,
        amount=total,
        currency=event.currency,
        customer=event.customer,
        template=_sales_form(
            event.receipt,
            event.effective_date,
            event.customer,
            lines,
            note=_note(event.transaction_id, event.tenders),
            deposit=deposit,
        ),
    )


def _refund(event: SaleRefunded, codes: Mapping[str, str]) -> Document:
    deposit, others, total = _deposit(event.tenders, codes, event.total)
    lines = [
        _item_line("sales_returns", line.total, event.currency, f"{line.sku} {line.description}".strip())
        for line in event.lines
        if line.total
    ]
    lines += [_item_line(role, -amount, event.currency, note) for role, amount, note in others]
    return Document(
        kind="RefundReceipt",
        source_id=f"{event.transaction_id}/0",
        number=event.receipt,
        effective_date=event.effective_date,
        amount=total,
        currency=event.currency,
        customer=event.customer,
        template=_sales_form(
            event.receipt,
            event.effective_date,
            event.customer,
            lines,
            note=f"{_note(event.transaction_id, event.tenders)}; refund of sale {event.sale}",
            deposit=deposit,
        ),
    )


def _deposit(
    tenders: Sequence[SaleTender], codes: Mapping[str, str], total: int
) -> tuple[str, list[tuple[str, int, str]], int]:
    """The account code deposited to, the other tenders as (role, amount, text), and what is deposited.

    Deposited is the largest tender that is not the wallet, of equal ones the first; where the wallet pays
    all, nothing is, and till cash is named because a receipt needs an account.
    """
    outside = [tender for tender in tenders if tender.type != "wallet"]
    largest = max(outside, key=lambda tender: tender.amount) if outside else None
    others = [
        (TENDER_ROLES[tender.type], tender.amount, f"paid by {tender.type} {tender.account or ''}".strip())
        for tender in tenders
        if tender is not largest
    ]
    role = CASH if largest is None else TENDER_ROLES[largest.type]
    return codes[role], others, total - sum(amount for _, amount, _ in others)


def _invoice(event: InvoiceIssued) -> Document:
    lines = [_sold(line, event.currency) for line in event.lines]
    form = _sales_form(
        event.number, event.effective_date, event.payer, lines, note=_note(event.transaction_id)
    )
    return Document(
        kind="Invoice",
        source_id=f"{event.transaction_id}/0",
        number=event.number,
        effective_date=event.effective_date,
        amount=event.total,
        currency=event.currency,
        customer=event.payer,
        template={**form, "DueDate": event.due_date.isoformat()},
    )


def _payment(event: PaymentApplied, codes: Mapping[str, str]) -> Document:
    number = f"{event.receipt}-{event.leg}"
    return Document(
        kind="Payment",
        source_id=f"{event.transaction_id}/{event.leg}",
        number=number,
        effective_date=event.effective_date,
        amount=event.amount,
        currency=event.currency,
        customer=event.payer,
        invoice=event.number,
        template={
            "PaymentRefNum": number,
            "TxnDate": event.effective_date.isoformat(),
            "PrivateNote": _note(event.transaction_id, (event,)),
            "CustomerRef": {"value": reference("Customer", event.payer)},
            "DepositToAccountRef": {"value": reference("Account", codes[TENDER_ROLES[event.tender]])},
            "TotalAmt": _decimal(event.amount, event.currency),
            "Line": [_link("Invoice", event.number, event.amount, event.currency)],
        },
    )


def _wallet_settlement(event: PaymentApplied) -> list[Document]:
    """A credit memo on the wallet item, and the payment of 0 that applies it to the invoice."""
    number = f"{event.receipt}-{event.leg}"
    source_id = f"{event.transaction_id}/{event.leg}"
    note = f"wallet payment, not a credit note; wallet {event.account}; {_note(event.transaction_id)}"
    memo = Document(
        kind="CreditMemo",
        source_id=source_id,
        number=number,
        effective_date=event.effective_date,
        amount=event.amount,
        currency=event.currency,
        customer=event.payer,
        template=_sales_form(
            number,
            event.effective_date,
            event.payer,
            [_item_line(WALLET, event.amount, event.currency, f"wallet {event.account}")],
            note=note,
        ),
    )
    link = Document(
        kind="Payment",
        source_id=source_id,
        number=number,
        effective_date=event.effective_date,
        amount=0,
        currency=event.currency,
        customer=event.payer,
        invoice=event.number,
        credit_memo=number,
        template={
            "PaymentRefNum": number,
            "TxnDate": event.effective_date.isoformat(),
            "PrivateNote": note,
            "CustomerRef": {"value": reference("Customer", event.payer)},
            "TotalAmt": _decimal(0, event.currency),
            "Line": [
                _link("Invoice", event.number, event.amount, event.currency),
                _link("CreditMemo", number, event.amount, event.currency),
            ],
        },
    )
    return [memo, link]


def _top_up(event: WalletToppedUp, codes: Mapping[str, str]) -> Document:
    """A top-up, or what exceeded an invoice in a settlement: then it carries the tender's leg."""
    number = f"{event.receipt}-{event.leg}" if event.leg else event.receipt
    tender = SaleTender(
        type=event.tender,  # type: ignore[arg-type]  # the event's tender is one of TENDER_ROLES
        amount=event.amount,
        reference=event.reference,
    )
    return Document(
        kind="SalesReceipt",
        source_id=f"{event.transaction_id}/{event.leg}",
        number=number,
        effective_date=event.effective_date,
        amount=event.amount,
        currency=event.currency,
        customer=event.account,
        template=_sales_form(
            number,
            event.effective_date,
            event.account,
            [_item_line(WALLET, event.amount, event.currency, event.description)],
            note=_note(event.transaction_id, (tender,)),
            deposit=codes[TENDER_ROLES[event.tender]],
        ),
    )


def _charge(event: WalletCharged, message: Message) -> Document:
    """A charge that is no sale: the journal as posted."""
    assert message.transaction is not None
    lines = [
        {
            "Amount": _decimal(posting.amount, posting.currency),
            "Description": f"wallet {event.account}: {event.description}",
            "DetailType": "JournalEntryLineDetail",
            "JournalEntryLineDetail": {
                "PostingType": posting.side.capitalize(),
                "AccountRef": {"value": reference("Account", posting.code)},
            },
        }
        for posting in message.transaction.postings
    ]
    return Document(
        kind="JournalEntry",
        source_id=f"{event.transaction_id}/0",
        number=event.receipt,
        effective_date=event.effective_date,
        amount=event.amount,
        currency=event.currency,
        customer=None,
        template={
            "DocNumber": event.receipt,
            "TxnDate": event.effective_date.isoformat(),
            "PrivateNote": _note(event.transaction_id),
            "Line": lines,
        },
    )


# --- the parts of a payload


def _sales_form(
    number: str,
    effective_date: date,
    customer: str | None,
    lines: list[Json],
    *,
    note: str,
    deposit: str | None = None,
) -> Json:
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
        form["DepositToAccountRef"] = {"value": reference("Account", deposit)}
    return form


def _sold(line: SaleLine | InvoiceLine, currency: str) -> Json:
    text = f"{line.sku} {line.description}".strip() if isinstance(line, SaleLine) else line.description
    made = _item_line(line.income, line.total, currency, text)
    # QuickBooks refuses (6070) an amount that is not price times quantity, so both are told only where they are.
    if line.quantity > 0 and line.total % line.quantity == 0:
        made["SalesItemLineDetail"]["Qty"] = line.quantity
        made["SalesItemLineDetail"]["UnitPrice"] = _decimal(line.total // line.quantity, currency)
    return made


def _item_line(role: str, amount: int, currency: str, text: str) -> Json:
    return {
        "Amount": _decimal(amount, currency),
        "Description": text,
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": reference("Item", role)}},
    }


def _link(kind: str, number: str, amount: int, currency: str) -> Json:
    return {
        "Amount": _decimal(amount, currency),
        "LinkedTxn": [{"TxnId": reference(kind, number), "TxnType": kind}],
    }


def _note(transaction_id: str, tenders: Iterable[SaleTender | PaymentApplied] = ()) -> str:
    """The ledger's transaction, and the providers' references, which are too long for a number."""
    parts = [f"ledger transaction {transaction_id}"]
    for tender in tenders:
        if tender.reference:
            name = tender.tender if isinstance(tender, PaymentApplied) else tender.type
            parts.append(f"{name} reference {tender.reference}")
    return "; ".join(parts)


def _decimal(amount_minor: int, currency: str) -> Decimal:
    return Decimal(amount_minor).scaleb(-MINOR_DIGITS[currency])
