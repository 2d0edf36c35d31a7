"""Every operation of the API, each a form that is filled in: one module for each feature, and BULK beside them."""

from typing import Final

from api.operations import (
    exports,
    holds,
    imports,
    invoices,
    ledger,
    pos,
    receipts,
    reversals,
    service,
    tax_codes,
    transactions,
    wallets,
)
from api.operations.form import CommandForm, ReadForm
from api.operations.service import BULK

__all__ = ["BULK", "COMMANDS", "FORMS", "READS"]

FORMS: Final = (
    *wallets.FORMS,
    *holds.FORMS,
    *invoices.FORMS,
    *pos.FORMS,
    *tax_codes.FORMS,
    *exports.FORMS,
    *imports.FORMS,
    *ledger.FORMS,
    *reversals.FORMS,
    *transactions.FORMS,
    *receipts.FORMS,
    *service.FORMS,
)
COMMANDS: Final = {form.action: form for form in FORMS if isinstance(form, CommandForm)}
"""Each command, by its action."""
READS: Final = {form.path: form for form in FORMS if isinstance(form, ReadForm)}
"""Each read, by its path."""
