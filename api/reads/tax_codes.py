"""Tax codes."""

from collections.abc import Mapping, Sequence

from api.reads.reader import OneRead
from api.services import Connection
from domain.capability import Capability
from projections.views import tax_codes


async def _codes(connection: Connection, keys: Sequence[str]) -> Mapping[str, tax_codes.TaxCodes]:
    return dict.fromkeys(keys, await tax_codes.tax_codes(connection))


TAX_CODES = OneRead(
    path="/tax-codes",
    capabilities=(Capability.POS_SELL, Capability.INVOICE_CREATE, Capability.ACCOUNT_READ),
    fetch=_codes,
)
