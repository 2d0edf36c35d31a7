"""What the document says of each operation beyond its types: its name in a generated client, its group, its refusals."""

from typing import Any, Final

import msgspec

from api.errors import HttpCode
from api.reads.accounts import Accounts
from api.reads.receipts import CheckedReceipt
from api.reads.service import Ping
from domain.capability import Capability
from domain.errors import Code, ErrorCode
from domain.invoice import InvoiceView
from domain.wallet import WalletView
from projections.engine.reading import Page
from projections.views.export_batches import ExportBatchView
from projections.views.ledger import Account, Entry
from projections.views.wallets import Statement

Codes = tuple[ErrorCode, ...]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """`id` names it in a generated client; `codes` are the refusals that are its own, beside those of its class."""

    id: str
    tag: str
    summary: str
    codes: Codes = ()


class Read(Operation, frozen=True, kw_only=True):
    """A read: what it tells, the type of its answer, and the capabilities of which one is enough."""

    description: str
    answer: Any
    capabilities: tuple[Capability, ...] = ()


# --- refusals

_ALL: Final[Codes] = (HttpCode.INTERNAL_ERROR, Code.UNAVAILABLE)
_WITH_KEY: Final[Codes] = (*_ALL, Code.UNAUTHENTICATED, Code.FEATURE_DISABLED)
_WITH_BODY: Final[Codes] = (
    *_WITH_KEY,
    HttpCode.MALFORMED_JSON,
    HttpCode.BAD_HEADER,
    HttpCode.PAYLOAD_TOO_LARGE,
    HttpCode.UNSUPPORTED_MEDIA_TYPE,
    Code.INVALID_REQUEST,
    Code.NOT_SUPPORTED,
)
_COMMAND: Final[Codes] = (
    *_WITH_BODY,
    Code.CAPABILITY_MISSING,
    Code.IDEMPOTENCY_KEY_INVALID,
    Code.IDEMPOTENCY_KEY_REUSED,
    Code.OUTCOME_UNKNOWN,
)
_MOVES_MONEY: Final[Codes] = (
    Code.CURRENCY_MISMATCH,
    Code.EFFECTIVE_DATE_IN_FUTURE,
    Code.AMOUNT_TOO_LARGE,
    Code.ACCOUNT_NOT_OPEN,
    Code.SERIES_EXHAUSTED,
)
_TAKES_WALLETS: Final[Codes] = (Code.WALLET_NOT_FOUND, Code.WALLET_NOT_OPEN)
_TAKES_LINES: Final[Codes] = (Code.UNKNOWN_INCOME_ROLE, Code.COMMAND_TOO_LARGE)
_TAKES_TENDERS: Final[Codes] = (
    Code.INSUFFICIENT_FUNDS,
    Code.REFERENCE_ALREADY_USED,
    Code.TENDERS_AMBIGUOUS,
    Code.TENDERS_EXCEED_TOTAL,
    Code.TENDERS_TOO_LOW,
    *_TAKES_WALLETS,
)

# --- operations

COMMANDS: Final[dict[str, Operation]] = {
    "wallet.open": Operation(
        id="open_wallet",
        tag="Wallets",
        summary="Open a wallet",
        codes=(Code.CURRENCY_MISMATCH, Code.WALLET_EXISTS),
    ),
    "wallet.top_up": Operation(
        id="top_up_wallet",
        tag="Wallets",
        summary="Top up a wallet",
        codes=(Code.REFERENCE_ALREADY_USED, *_TAKES_WALLETS, *_MOVES_MONEY),
    ),
    "wallet.charge": Operation(
        id="charge_wallet",
        tag="Wallets",
        summary="Charge a wallet",
        codes=(Code.INSUFFICIENT_FUNDS, Code.UNKNOWN_INCOME_ROLE, *_TAKES_WALLETS, *_MOVES_MONEY),
    ),
    "invoice.create": Operation(
        id="create_invoice",
        tag="Invoices",
        summary="Create an invoice",
        codes=(*_TAKES_LINES, *_MOVES_MONEY),
    ),
    "invoice.issue": Operation(
        id="issue_invoice",
        tag="Invoices",
        summary="Issue a draft",
        codes=(Code.INVOICE_NOT_FOUND, Code.INVOICE_NOT_DRAFT, Code.COMMAND_TOO_LARGE, *_MOVES_MONEY),
    ),
    "invoice.settle": Operation(
        id="settle_invoice",
        tag="Invoices",
        summary="Settle an invoice",
        codes=(
            Code.INVOICE_NOT_FOUND,
            Code.INVOICE_NOT_OPEN,
            *_TAKES_TENDERS,
            Code.NO_WALLET_FOR_EXCESS,
            Code.COMMAND_TOO_LARGE,
            *_MOVES_MONEY,
        ),
    ),
    "pos.checkout": Operation(
        id="check_out",
        tag="Point of sale",
        summary="Sell over the counter",
        codes=(*_TAKES_TENDERS, Code.TENDER_WITHOUT_WALLET, *_TAKES_LINES, *_MOVES_MONEY),
    ),
    "pos.refund": Operation(
        id="refund_sale",
        tag="Point of sale",
        summary="Refund a sale",
        codes=(
            Code.SALE_NOT_FOUND,
            Code.REFUND_EXCEEDS_SALE,
            *_TAKES_WALLETS,
            Code.COMMAND_TOO_LARGE,
            *_MOVES_MONEY,
        ),
    ),
    "quickbooks.export": Operation(id="request_export", tag="QuickBooks", summary="Request an export"),
}
"""Each command, by its action."""

BULK: Final = Operation(id="run_bulk", tag="Bulk", summary="Run many commands", codes=_WITH_BODY)

READS: Final[dict[str, Read]] = {
    "/ping": Read(
        id="ping",
        tag="Service",
        summary="Ping the service",
        description="Whose key this is, the service's version, and how far the log and each projection are.",
        answer=Ping,
        capabilities=(Capability.WALLET_READ, Capability.ACCOUNT_READ),
    ),
    "/wallets": Read(
        id="list_wallets",
        tag="Wallets",
        summary="List wallets",
        description="The tenant's wallets, by account.",
        answer=Page[WalletView, str],
        capabilities=(Capability.WALLET_READ,),
    ),
    "/wallets/{account}": Read(
        id="get_wallet",
        tag="Wallets",
        summary="Get a wallet",
        description="One wallet with its balance.",
        answer=WalletView,
        capabilities=(Capability.WALLET_READ,),
        codes=(Code.WALLET_NOT_FOUND,),
    ),
    "/statements": Read(
        id="get_statement",
        tag="Statements",
        summary="Get a wallet's statement",
        description=(
            "A wallet's movements by effective date, then position, with the balance after each. Opening and closing"
            " balance are those of the whole range, whatever page of it is asked for."
        ),
        answer=Statement,
        capabilities=(Capability.STATEMENT_READ,),
        codes=(Code.WALLET_NOT_FOUND,),
    ),
    "/invoices": Read(
        id="list_invoices",
        tag="Invoices",
        summary="List invoices",
        description="The tenant's invoices in the order of their creation, of one payer or status where asked for.",
        answer=Page[InvoiceView, str],
        capabilities=(Capability.INVOICE_READ,),
    ),
    "/invoices/{invoice}": Read(
        id="get_invoice",
        tag="Invoices",
        summary="Get an invoice",
        description="One invoice with its lines and what of it is open.",
        answer=InvoiceView,
        capabilities=(Capability.INVOICE_READ,),
        codes=(Code.INVOICE_NOT_FOUND,),
    ),
    "/accounts": Read(
        id="list_accounts",
        tag="Ledger",
        summary="Get the trial balance",
        description="Every ledger account with its totals. Over all of them, debits and credits are equal.",
        answer=Accounts,
        capabilities=(Capability.ACCOUNT_READ,),
    ),
    "/accounts/{code}/balance": Read(
        id="get_account",
        tag="Ledger",
        summary="Get a ledger account",
        description="One ledger account with its totals.",
        answer=Account,
        capabilities=(Capability.ACCOUNT_READ,),
        codes=(Code.ACCOUNT_NOT_FOUND,),
    ),
    "/accounts/{code}/entries": Read(
        id="list_account_entries",
        tag="Ledger",
        summary="List an account's entries",
        description="Every posting to a ledger account in the order of the log, with the balance after each.",
        answer=Page[Entry, int],
        capabilities=(Capability.ACCOUNT_READ,),
        codes=(Code.ACCOUNT_NOT_FOUND,),
    ),
    "/quickbooks/exports": Read(
        id="list_exports",
        tag="QuickBooks",
        summary="List exports",
        description="The export batches that the exporter has taken up, the newest first.",
        answer=Page[ExportBatchView, int],
        capabilities=(Capability.EXPORT_RUN,),
    ),
    "/quickbooks/exports/{batch}": Read(
        id="get_export",
        tag="QuickBooks",
        summary="Follow an export",
        description="One export batch; it has ended where its status is `completed` or `needs_attention`.",
        answer=ExportBatchView,
        capabilities=(Capability.EXPORT_RUN,),
        codes=(HttpCode.EXPORT_NOT_FOUND,),
    ),
    "/receipts/{token}": Read(
        id="check_receipt",
        tag="Receipts",
        summary="Check a receipt",
        description=(
            "Whether a receipt is genuine, and how much of it was refunded. Public: it takes no key and tells nothing"
            " personal. The address is the one in the receipt's QR code."
        ),
        answer=CheckedReceipt,
        codes=(HttpCode.RECEIPT_NOT_FOUND,),
    ),
}
"""Each read, by its path."""


def codes_of_command(action: str, *, key_required: bool) -> Codes:
    """Every refusal of a command, its own ones first."""
    required = (Code.IDEMPOTENCY_KEY_REQUIRED,) if key_required else ()
    return (*COMMANDS[action].codes, *_COMMAND, *required)


def codes_of_read(path: str, *, public: bool) -> Codes:
    """Every refusal of a read, its own ones first."""
    common = _ALL if public else (*_WITH_KEY, Code.CAPABILITY_MISSING, HttpCode.BAD_HEADER)
    return (*READS[path].codes, Code.INVALID_REQUEST, *common)
