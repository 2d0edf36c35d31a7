"""Capabilities, and the roles that bundle them."""

from typing import Final

CAPABILITIES: Final = frozenset(
    {
        "account.read", "account.manage",
        "invoice.read", "invoice.create", "invoice.issue", "invoice.settle", "invoice.credit",
        "invoice.discount", "invoice.void", "invoice.write_off",
        "wallet.read", "wallet.open", "wallet.top_up", "wallet.charge", "wallet.hold", "wallet.transfer",
        "wallet.adjust", "wallet.payout", "wallet.overdraft",
        "pos.sell", "pos.refund", "till.open", "till.close",
        "transaction.reverse", "transaction.backdate", "refund.approve", "journal.post", "journal.approve",
        "suspense.allocate", "statement.read", "recon.run", "recon.resolve",
        "export.run", "export.map", "export.redrive", "backfill.run", "numbering.set",
        "party.manage", "party.erase", "key.manage", "flag.set", "period.close", "audit.read",
    }
)  # fmt: skip
"""Everything that a credential may be allowed to do."""

_READ: Final = frozenset({"account.read", "invoice.read", "wallet.read", "statement.read"})

ROLES: Final = {
    "admin": CAPABILITIES,
    "cashier": frozenset(
        {"wallet.read", "wallet.open", "wallet.top_up", "wallet.charge", "invoice.read", "invoice.settle",
         "pos.sell", "pos.refund", "till.open", "till.close", "statement.read"}
    ),
    "bursar": _READ
    | {"invoice.create", "invoice.issue", "invoice.settle", "invoice.credit", "invoice.discount", "wallet.open",
       "wallet.top_up", "wallet.charge", "wallet.transfer", "wallet.adjust", "wallet.payout", "pos.refund",
       "journal.post", "suspense.allocate", "export.run", "export.map", "recon.run", "period.close"},
    "approver": _READ
    | {"refund.approve", "journal.approve", "invoice.void", "invoice.write_off", "wallet.overdraft",
       "transaction.reverse", "transaction.backdate", "recon.resolve"},
    "auditor": _READ | {"audit.read"},
    "ops": _READ | {"recon.run", "recon.resolve", "export.run", "export.redrive", "backfill.run", "flag.set"},
    "integration": _READ
    | {"wallet.open", "wallet.top_up", "wallet.charge", "wallet.hold", "invoice.create", "invoice.issue",
       "invoice.settle", "pos.sell", "pos.refund", "export.run"},
}  # fmt: skip
"""What each role may do; admin may do all."""
