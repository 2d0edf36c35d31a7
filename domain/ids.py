"""Names that people write, ids that we make, and the names of streams.

Ids that people write are upper-cased at the edge: QuickBooks ignores case, and M-Pesa references
arrive in any. Ids that we make are UUIDv7 (RFC 9562), given in as arguments.
"""

from typing import Annotated, Final, NewType

from msgspec import Meta

TENANT_PATTERN: Final = r"^[a-z][a-z0-9-]{1,30}\Z"
NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z"
UUID_PATTERN: Final = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z"

NAME: Final = Meta(pattern=NAME_PATTERN, description="An id that people write; case is ignored.")
UUID: Final = Meta(pattern=UUID_PATTERN, description="An id that the service made (UUIDv7).")
Name = Annotated[str, NAME]

# Whose mix-up would move money wrongly. What a client writes is an `Annotated[WalletId, NAME]`.
WalletId = NewType("WalletId", str)
AccountCode = NewType("AccountCode", str)
InvoiceId = NewType("InvoiceId", str)
SaleId = NewType("SaleId", str)
HoldId = NewType("HoldId", str)


def uuid7(unix_milliseconds: int, entropy: bytes) -> str:
    """Make a UUIDv7 of a time in milliseconds and ten random bytes."""
    assert len(entropy) == 10
    value = (
        (unix_milliseconds & 0xFFFFFFFFFFFF) << 80
        | 0x7 << 76
        | (int.from_bytes(entropy[:2]) & 0x0FFF) << 64
        | 0b10 << 62
        | int.from_bytes(entropy[2:]) & 0x3FFFFFFFFFFFFFFF
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def whole_id(command_id: str) -> str:
    """The id under which commands that commit together are one command, of which this is the id of any."""
    return f"{command_id[:-2]}00"


def part_id(whole: str, number: int) -> str:
    """The id of one (from 1, at most 255) of the commands that commit together under the id `whole`."""
    assert whole == whole_id(whole)
    assert 0 < number < 256
    return f"{whole[:-2]}{number:02x}"


def tenant_stream(tenant: str) -> str:
    return f"{tenant}/tenant"


def wallet_stream(tenant: str, wallet_id: WalletId) -> str:
    return f"{tenant}/wallet/{wallet_id}"


def hold_stream(tenant: str, hold_id: HoldId) -> str:
    return f"{tenant}/hold/{hold_id}"


def invoice_stream(tenant: str, invoice: InvoiceId) -> str:
    return f"{tenant}/invoice/{invoice}"


def account_stream(tenant: str, account_code: AccountCode) -> str:
    return f"{tenant}/account/{account_code}"


def sale_stream(tenant: str, sale: SaleId) -> str:
    return f"{tenant}/sale/{sale}"


def series_stream(tenant: str, series: str) -> str:
    return f"{tenant}/series/{series}"


def provider_receipt_stream(tenant: str, provider: str, reference: str) -> str:
    return f"{tenant}/receipt/{provider}/{reference}"


def reversal_stream(tenant: str, transaction_id: str) -> str:
    """What became of a transaction: it is there only where that was reversed."""
    return f"{tenant}/transaction/{transaction_id}"


def annotation_stream(tenant: str, command_id: str) -> str:
    return f"{tenant}/annotation/{command_id}"


def import_stream(tenant: str, import_id: str) -> str:
    return f"{tenant}/import/{import_id}"


def export_stream(tenant: str, batch: str) -> str:
    return f"{tenant}/export/{batch}"
