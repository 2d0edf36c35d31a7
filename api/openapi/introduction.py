"""What stands before the operations: how all of them behave, and their groups."""

from typing import Final

INTRODUCTION: Final = """\
The ledger of a school's money: wallets, invoices, sales over the counter, and their export to QuickBooks.
Amounts are integers of minor units beside a currency: `150000` of `KES` is 1,500.00 shillings.

The same with commands to try stands in the repository in `docs/how-to/use-the-api.md`.

## Authentication

Send `Authorization: Bearer KEY`. The key says which tenant it is and what it may do; what belongs to another tenant
does not exist for it. A receipt is checked without a key.

## Idempotency

Where money moves or a document is made, a command takes an `Idempotency-Key`. After a time-out or a 503, send the same
command under the same key: it is done once, and the first answer comes back, byte for byte, with
`Idempotency-Replayed: true`. The same key with another body is refused. What was refused leaves the key free.

## Dry run

`?dry_run=true` on any command answers 200 with what would have been answered and the events that would have been
appended. Nothing is written, and the key stays unused.

## Paging

A list answers `data`, `next` and `has_more`. Send `next` as `cursor`, with the same filters, for the page that follows.

## Reading what was written

A write answers with its `Bursar-Position`. A key that has written sees at least its own writes in every read. To see
somebody else's, send their position as `Bursar-Min-Position`: the read waits for it.

## Errors

Every answer that is not a success is `application/problem+json` (RFC 9457). Programs branch on `code` alone: codes are
never renamed, but new ones may come. 400 to 422 mean that nothing was written; so does `unavailable`. After
`outcome_unknown`, ask again under the same key.
"""

TAGS: Final = {
    "Wallets": "Money that the school holds for somebody: opened, topped up, charged.",
    "Invoices": "What a payer owes: drafted, issued with a number, settled by any tenders.",
    "Point of sale": "Sales over the counter and their refunds.",
    "Receipts": "The public check of a receipt.",
    "Ledger": "The accounts that every movement is posted to, their entries, and what was taken back.",
    "Statements": "The movements of a wallet over a range of dates.",
    "QuickBooks": "Batches that take what is posted to QuickBooks Online.",
    "Imports": "Which files were imported, and what became of their rows.",
    "Bulk": "Many commands in one request, each standing alone.",
    "Service": "The service itself.",
}
GROUPS: Final = {
    "Money": ("Wallets", "Invoices", "Point of sale", "Receipts"),
    "Books": ("Ledger", "Statements", "QuickBooks"),
    "Operation": ("Imports", "Bulk", "Service"),
}
