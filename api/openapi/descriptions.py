"""What each field and each parameter means, where neither its type nor a line at the field says it."""

from typing import Final

from api.operations.shared import INVOICE, RECEIPT, TRANSACTION
from domain.calendar import MAX_BACKDATE_DAYS
from domain.capability import Capability

FIELDS: Final = {
    # --- what is named alike everywhere
    "account": "The wallet's account.",
    "action": "The resource and the verb, such as `wallet.top_up`.",
    "currency": "ISO 4217, three capital letters.",
    "code": "The refusal's code; programs branch on it alone.",
    "data": "The rows, in the list's order.",
    "detail": "What is wrong, in words for people; it may change.",
    "discount": "What the price was lowered by, in minor units.",
    "due_date": "When it is to be paid.",
    "effective_date": "The accounting date.",
    "errors": "What is wrong at each place of the request, at most 20.",
    "has_more": "Whether more rows follow.",
    "idempotency_key": "As the header `Idempotency-Key` of the command's own route.",
    "income": "The role of the income account.",
    "lines": "The document's lines.",
    "net": "After the discount and before tax, in minor units.",
    "next": "The cursor of the next page; null on the last one.",
    "payer": "Who pays; by default the wallet's own account.",
    "position": "The position of the log.",
    "quantity": "How many pieces.",
    "recorded_at": "When it was recorded.",
    "refunded": "How much of it was given back since, in minor units.",
    "replayed": "Whether this is the first answer to the same key again.",
    "status": "The HTTP status that it would have alone.",
    "tax": "In minor units.",
    "tax_code": "A: exempt, C: zero-rated, D: outside the scope of tax.",
    "tenders": "What pays.",
    "total": "In minor units, tax included.",
    "transaction_id": "The transaction: one command that moved money.",
    "type": "The kind of tender.",
    "amount": "In minor units.",
    # --- choices
    "IncomeRole": "The role of an account that earns.",
    "InvoiceStatus": "How far an invoice is.",
    "TaxCode": "A: exempt, C: zero-rated, D: outside the scope of tax.",
    "TenderType": "What pays: a wallet, or money from outside.",
    # --- requests: what does not fit on the line of its field
    "OpenWallet.account": "The new wallet's account, such as the student's number; case is ignored.",
    "OpenWallet.payer": "Who pays for the holder, if somebody else; case is ignored.",
    "Source.reference": "The provider's receipt. Of `mpesa` and `card` each can be booked only once.",
    "CreateInvoice.lines": "1 to 100 lines.",
    "InvoiceLineInput.unit_amount": "The price of one piece, in minor units; instead of `total`.",
    "InvoiceLineInput.total": "The price of all pieces, in minor units; instead of `unit_amount`.",
    "Settlement.tenders": "1 to 20 tenders; wallets pay first, then the others in this order.",
    "Tender.type": "What pays: a wallet, or money from outside.",
    "Tender.amount": "In minor units. One tender that is not a wallet may leave it out and pays the rest.",
    "Tender.account": "The wallet that pays, or that takes what this tender pays beyond an invoice.",
    "Tender.reference": "The provider's receipt. Of `mpesa` and `card` each can be booked only once.",
    "Checkout.customer": "Who buys; by default the wallet's account. Case is ignored.",
    "Checkout.wallet": "The wallet that a tender of type `wallet` pays from; case is ignored.",
    "Checkout.lines": "1 to 100 lines.",
    "Checkout.tenders": "1 to 20 tenders that pay the whole; wallets pay first, then the others in this order.",
    "SaleLineInput.unit_amount": "The price of one piece, in minor units; instead of `total`.",
    "SaleLineInput.total": "The price of all pieces, in minor units; instead of `unit_amount`.",
    "Refund.lines": "Pieces that come back; instead of `amount`.",
    "Refund.amount": "What is given back, spread over what is left of each line; instead of `lines`.",
    # --- wallets, statements, receipts
    "WalletView.account": "The wallet's account, in capital letters.",
    "WalletView.balance": "What is in it, in minor units.",
    "WalletView.available": "What of it may be spent, in minor units.",
    "WalletView.status": "`open`, `frozen` or `closed`; only an open wallet moves.",
    "WalletView.payer": "Who pays for the holder.",
    "Statement.opening_balance": "Before the first movement of the range, in minor units.",
    "Statement.order": "In which order the lines stand and the balance runs: by effective date.",
    "Statement.closing_balance": "After the last movement of the range, in minor units.",
    "Statement.lines": "The movements of this page.",
    "StatementLine.description": "What it was.",
    "StatementLine.amount": "In minor units; negative where money left the wallet.",
    "StatementLine.balance": "After this movement, in minor units.",
    "ReceiptView.number": "The receipt's number.",
    "ReceiptView.qr": "The address that the QR code holds; anybody can check the receipt there.",
    "CheckedReceipt.number": "The receipt's number.",
    "CheckedReceipt.status": "`refunded` where any of a sale was given back, `reversed` where all of another was.",
    "CheckedReceipt.kind": (
        "What it is a receipt for: `top_up`, `charge`, `settlement`, `sale`, `refund` or `reversal`."
    ),
    "CheckedReceipt.amount": "What was paid, in minor units.",
    # --- invoices and sales
    "InvoiceView.id": "The invoice's id.",
    "InvoiceView.number": "Its number in the series; null while it is a draft.",
    "InvoiceView.status": "How far it is.",
    "InvoiceView.payer": "Who owes it.",
    "InvoiceView.open": "What is still owed, in minor units; 0 while it is a draft.",
    "InvoiceLine.description": "What is billed.",
    "SaleLine.sku": "What was sold.",
    "SaleLine.description": "The article in words.",
    "InvoiceLine.total": "Net and tax, in minor units.",
    "SaleView.id": "The sale's id; a refund names it.",
    "SaleView.customer": "Who bought, where it was named.",
    "SaleView.receipt": "The number of its receipt.",
    "SaleView.lines": "What was sold.",
    "SaleView.tenders": "What paid it.",
    "SaleCompletedAnswer.wallet": "The wallet that was named or paid, afterwards.",
    "SaleRefundedAnswer.wallet": "The wallet that got money back, afterwards.",
    "RefundView.total": "What was given back, in minor units.",
    "RefundView.lines": "What of each line was taken back.",
    "RefundView.tenders": "Who got it: the tenders that paid, the last first.",
    "RefundLineView.line": "The line of the sale, from 1.",
    "TenderView.amount": "What it paid, or got back, in minor units.",
    # --- the ledger
    "TransactionReversedAnswer.reverses": "The transaction that was taken back.",
    "TransactionReversedAnswer.receipt": "Its own receipt, where the transaction had one.",
    "TransactionReversedAnswer.wallets": "The wallets that it moved, afterwards.",
    "Account.code": "The account's code in the chart.",
    "Account.name": "The account's name.",
    "Account.type": "`asset`, `liability`, `equity`, `income` or `expense`.",
    "Account.role": "What postings find it by.",
    "Account.debits": "The total of all debits, in minor units.",
    "Account.credits": "The total of all credits, in minor units.",
    "Account.balance": "Positive on the account's normal side, in minor units.",
    "Accounts.data": "The accounts, by code.",
    "Entry.debit": "In minor units; 0 where it is a credit.",
    "Entry.credit": "In minor units; 0 where it is a debit.",
    "Entry.balance": "The account's balance afterwards, positive on its normal side.",
    # --- QuickBooks
    "ExportQueued.batch_id": "The batch, to follow it by.",
    "ExportQueued.status": "Always `queued`.",
    "ExportBatchView.batch_id": "The batch.",
    "ExportBatchView.status": "`queued`, `running`, then `completed` or `needs_attention`.",
    "ExportBatchView.reason": "Why it needs attention; else null.",
    "ExportBatchView.position": "The batch covers what the log held up to here.",
    "ExportBatchView.requested_at": "When it was asked for.",
    "ExportBatchView.finished_at": "When it ended; null until then.",
    "ExportBatchView.documents": "How many documents are in each state; all end as `confirmed`.",
    "ExportDocument.id": "The document's id in the exporter's record.",
    "ExportDocument.kind": "What it is in QuickBooks, such as `SalesReceipt`.",
    "ExportDocument.number": "Its number in QuickBooks, made of the receipt's or the invoice's.",
    "ExportDocument.source": "What it is of.",
    "ExportDocument.state": "How far it is.",
    "ExportDocument.code": "Why it is not in QuickBooks, for programs; null where nothing is in its way.",
    "ExportDocument.reason": "The same in words, QuickBooks' own where it refused it, without what it quotes.",
    "ExportDocument.remedy": "What to do about it.",
    "ExportDocument.quickbooks_id": "Its id in QuickBooks, once it is `confirmed`.",
    "ExportDocument.attempts": "In how many calls it was.",
    "DocumentSource.leg": "Which part of the transaction; 0 where there is one.",
    # --- imports
    "RecordImport.id": "The import that was begun; without it one begins.",
    "RecordImport.finished": "Whether it has ended; nothing more is recorded of it then.",
    "source": "What names the file in its rows' keys.",
    "name": "The file's name.",
    "sha256": "The SHA-256 of its bytes.",
    "read": "How many of its rows were read.",
    "posted": "How many of them it posted.",
    "already_there": "How many were posted before.",
    "rejected": "How many it did not post.",
    "sketch": "The 64 smallest hashes of its rows' values, ascending: they tell how much of a file is in another.",
    "readings": "Of its rows as they stand in the file the 64 smallest hashes, ascending, each with the hash of what was "
    "read of it: they tell whether another reads the same rows alike.",
    "options": "The options by which its rows were read, as they are typed.",
    "ImportRecordedAnswer.client": "The client under whose keys its rows lie.",
    "ImportView.client": "The client under whose keys its rows lie; absent where it is not known.",
    "ImportRecordedAnswer.id": "The import's id, to record by what becomes of it.",
    "ImportRecordedAnswer.finished": "Whether it has ended.",
    "ImportView.id": "The import's id.",
    "ImportView.finished": "Whether it has ended; else it goes on, or was broken off.",
    "ImportView.at": "When it began.",
    # --- the service
    "Ping.tenant": "Whose key this is.",
    "Ping.version": "The service's version.",
    "Ping.position": "The last position of the log.",
    "Ping.projections": "The position that each projection reflects.",
    "Ping.currency": "The tenant's currency.",
    "Ping.time_zone": "The tenant's time zone: it says which day today is.",
    # --- dry runs and bulk
    "dry_run": "Always true.",
    "answer": "What the command would have answered. The receipt's address does not check.",
    "events": "The events that it would have appended, in order.",
    "DryRunEvent.type": "The event's topic.",
    "DryRunEvent.stream": "The stream that it would have been appended to.",
    "DryRunEvent.data": "The event.",
    "BulkDone.code": "Null: it was done.",
    "BulkDone.data": "What the command answers.",
    "BulkRefused.position": "Null: nothing was written, or (`outcome_unknown`) nobody knows.",
    "BulkRefused.replayed": "False.",
    "BulkRefused.data": "Null: it was refused.",
    "BulkAnswer.data": "One result for each element, in the elements' order.",
    # --- problems
    "Problem.type": "`urn:bursar:problem:` and the code.",
    "Problem.title": "The status in words.",
    "Problem.status": "The HTTP status.",
    "Problem.instance": "The path that was asked for.",
    "Problem.request_id": "The id by which the service's log knows the request.",
    "Problem.tenant": "Whose key it was; null where that is not known.",
    "Problem.available": "With `insufficient_funds` and `refund_exceeds_sale`: what there is, in minor units.",
    "Problem.required": "With `insufficient_funds` and `refund_exceeds_sale`: what it takes, in minor units.",
    "Problem.capability": "With `capability_missing`: the one that the key lacks.",
    "Problem.earliest": "With `effective_date_too_early`: the first date that may be.",
    "Problem.transaction_id": (
        "With `reference_already_used`: the transaction that was first; with `already_reversed`: the one that did it."
    ),
    "Problem.amount": "With `reference_already_used`, for who may read wallets: what was booked, in minor units.",
    "Problem.account": "Whose wallet it is about; with `reference_already_used`, the one that was topped up.",
    "FieldError.pointer": "The place in the body (JSON pointer, RFC 6901), or `/query/` and a parameter.",
}
"""By `Schema.field`, or by the field's name alone where it means the same everywhere."""

BACK_DATING: Final = (
    f" An `effective_date` before today needs `{Capability.TRANSACTION_BACKDATE}`, or, more than {MAX_BACKDATE_DAYS} days"
    f" back or what the tenant's policy allows, `{Capability.TRANSACTION_BACKDATE_ANY}`, which allows both."
)

PARAMETERS: Final = {
    "account": "The wallet's account; case is ignored.",
    "invoice": "The invoice's id.",
    "sale": "The sale's id.",
    "transaction": "The transaction's id, as the command that made it answered it.",
    "code": "The ledger account's code in the chart.",
    "batch": "The batch's id, as the request for the export answered it.",
    "token": "What stands after the last slash of the address in the receipt's QR code.",
    "limit": "How many rows a page has at most.",
    "cursor": "The `next` of the page before, with the same filters.",
    "payer": "Only invoices of this payer; case is ignored.",
    "status": "Only invoices of this status.",
    "state": "Only documents in this state.",
    "from": "The first effective date, inclusive.",
    "to": "The last effective date, inclusive.",
    "sketch": "Whether each import comes with its sketch.",
    "atomic": "True: all of the commands or none.",
    "dry_run": "True: decide and answer what would happen, and write nothing. The key stays unused.",
    "Idempotency-Key": (
        "Names this one command of this client for ever. Send the same key again after a time-out: what was done is"
        " not done twice, and the first answer comes back with `Idempotency-Replayed: true`. The example is a fixed"
        " key, so sending it a second time is a replay: take a new key for each new command."
    ),
    "Bursar-Reason": "Why, in words for the audit: 1 to 500 characters (UTF-8).",
    "Bursar-Min-Position": (
        "Answer only once this position of the log is projected: send the `Bursar-Position` of somebody else's write."
        " A key's own writes are always seen."
    ),
    "X-Request-Id": "The id by which the log knows the request, 1 to 128 visible characters; made where it is absent.",
}

PARAMETER_EXAMPLES: Final = {
    "account": "STU-0042",
    "invoice": INVOICE["id"],
    "sale": TRANSACTION,
    "transaction": TRANSACTION,
    "code": "2100",
    "batch": TRANSACTION,
    "token": RECEIPT["qr"].rpartition("/")[2],
    "dry_run": True,
}
"""A trial of a command is a dry run unless somebody says otherwise."""

REASON_EXAMPLE: Final = "The card was lost"

HEADERS: Final = {
    "Bursar-Position": (
        "Of a write, the position of the log after it; of a read, the position that the answer reflects.",
        "integer",
    ),
    "X-Request-Id": ("The id by which the service's log knows the request.", "string"),
    "Idempotency-Replayed": ("`true` where this is the first answer to the same key again.", "string"),
    "Retry-After": ("After how many seconds to ask again.", "integer"),
    "WWW-Authenticate": ("`Bearer`.", "string"),
}
"""Of answers: what each means, and its type."""
