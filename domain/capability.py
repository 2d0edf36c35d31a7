"""Capabilities, and the roles that bundle them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Capability(StrEnum):
    """Everything that a credential may be allowed to do."""

    ACCOUNT_READ = "account.read"
    ACCOUNT_MANAGE = "account.manage"
    INVOICE_READ = "invoice.read"
    INVOICE_CREATE = "invoice.create"
    INVOICE_ISSUE = "invoice.issue"
    INVOICE_SETTLE = "invoice.settle"
    INVOICE_CREDIT = "invoice.credit"
    INVOICE_DISCOUNT = "invoice.discount"
    INVOICE_VOID = "invoice.void"
    INVOICE_WRITE_OFF = "invoice.write_off"
    WALLET_READ = "wallet.read"
    WALLET_OPEN = "wallet.open"
    WALLET_TOP_UP = "wallet.top_up"
    WALLET_CHARGE = "wallet.charge"
    WALLET_HOLD = "wallet.hold"
    WALLET_TRANSFER = "wallet.transfer"
    WALLET_ADJUST = "wallet.adjust"
    WALLET_PAYOUT = "wallet.payout"
    WALLET_OVERDRAFT = "wallet.overdraft"
    POS_SELL = "pos.sell"
    POS_REFUND = "pos.refund"
    TILL_OPEN = "till.open"
    TILL_CLOSE = "till.close"
    TRANSACTION_REVERSE = "transaction.reverse"
    TRANSACTION_BACKDATE = "transaction.backdate"
    TRANSACTION_BACKDATE_ANY = "transaction.backdate_any"
    APPROVAL_DECIDE = "approval.decide"
    JOURNAL_POST = "journal.post"
    SUSPENSE_ALLOCATE = "suspense.allocate"
    STATEMENT_READ = "statement.read"
    RECON_RUN = "recon.run"
    RECON_RESOLVE = "recon.resolve"
    EXPORT_RUN = "export.run"
    EXPORT_MAP = "export.map"
    EXPORT_REDRIVE = "export.redrive"
    BACKFILL_RUN = "backfill.run"
    NUMBERING_SET = "numbering.set"
    PARTY_MANAGE = "party.manage"
    PARTY_ERASE = "party.erase"
    KEY_MANAGE = "key.manage"
    FLAG_SET = "flag.set"
    PERIOD_CLOSE = "period.close"
    AUDIT_READ = "audit.read"


CAPABILITIES: Final = frozenset(Capability)

_C = Capability
_READ: Final = frozenset({_C.ACCOUNT_READ, _C.INVOICE_READ, _C.WALLET_READ, _C.STATEMENT_READ})

ROLES: Final[Mapping[str, frozenset[Capability]]] = {
    "admin": CAPABILITIES,
    "cashier": frozenset(
        {_C.WALLET_READ, _C.WALLET_OPEN, _C.WALLET_TOP_UP, _C.WALLET_CHARGE, _C.WALLET_HOLD, _C.INVOICE_READ,
         _C.INVOICE_SETTLE, _C.POS_SELL, _C.POS_REFUND, _C.TILL_OPEN, _C.TILL_CLOSE, _C.STATEMENT_READ}
    ),
    "bursar": _READ
    | {_C.INVOICE_CREATE, _C.INVOICE_ISSUE, _C.INVOICE_SETTLE, _C.INVOICE_CREDIT, _C.INVOICE_DISCOUNT,
       _C.WALLET_OPEN, _C.WALLET_TOP_UP, _C.WALLET_CHARGE, _C.WALLET_HOLD, _C.WALLET_TRANSFER,
       _C.WALLET_ADJUST, _C.WALLET_PAYOUT, _C.POS_REFUND, _C.JOURNAL_POST, _C.SUSPENSE_ALLOCATE, _C.EXPORT_RUN,
       _C.EXPORT_MAP, _C.RECON_RUN, _C.PERIOD_CLOSE, _C.TRANSACTION_REVERSE, _C.TRANSACTION_BACKDATE},
    "approver": _READ
    | {_C.APPROVAL_DECIDE, _C.INVOICE_VOID, _C.INVOICE_WRITE_OFF, _C.WALLET_OVERDRAFT,
       _C.TRANSACTION_REVERSE, _C.TRANSACTION_BACKDATE, _C.RECON_RESOLVE},
    "auditor": _READ | {_C.AUDIT_READ},
    "ops": _READ
    | {_C.RECON_RUN, _C.RECON_RESOLVE, _C.EXPORT_RUN, _C.EXPORT_REDRIVE, _C.BACKFILL_RUN, _C.FLAG_SET},
    "integration": _READ
    | {_C.WALLET_OPEN, _C.WALLET_TOP_UP, _C.WALLET_CHARGE, _C.WALLET_HOLD, _C.INVOICE_CREATE, _C.INVOICE_ISSUE,
       _C.INVOICE_SETTLE, _C.POS_SELL, _C.POS_REFUND, _C.EXPORT_RUN, _C.TRANSACTION_BACKDATE_ANY},
}  # fmt: skip
"""What each role may do; admin may do all."""
