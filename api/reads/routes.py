"""Every read under `/v2/finance`."""

from api.reads import (
    accounts,
    exports,
    holds,
    imports,
    invoices,
    receipts,
    sales,
    service,
    tax_codes,
    transactions,
    wallets,
)
from api.reads.reader import Reader
from api.services import Services


def reads(services: Services) -> Reader:
    """All of them."""
    reader = Reader(services)
    reader.add_one(service.ping(services.version))
    wallets.add(reader)
    holds.add(reader)
    invoices.add(reader)
    sales.add(reader)
    reader.add_one(tax_codes.TAX_CODES)
    accounts.add(reader)
    transactions.add(reader)
    exports.add(reader)
    imports.add(reader)
    receipts.add(reader)
    reader.add_one(receipts.receipt(services.receipts))
    return reader
