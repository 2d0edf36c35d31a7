"""Every command of the service, by its action. One command is one frozen value and one handler."""

from typing import Final

from application.commands import (
    exports,
    holds,
    imports,
    invoices,
    pos,
    reversals,
    tax_codes,
    tenants,
    transfers,
    wallets,
)
from application.pipeline.command import CommandSpec

COMMANDS: Final[dict[str, CommandSpec]] = {
    spec.action: spec
    for spec in (
        *wallets.SPECS,
        *holds.SPECS,
        *transfers.SPECS,
        *invoices.SPECS,
        *pos.SPECS,
        *reversals.SPECS,
        *exports.SPECS,
        *imports.SPECS,
        *tax_codes.SPECS,
        *tenants.SPECS,
    )
}
