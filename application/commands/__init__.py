"""Every command of the service, by its action. One command is one frozen value and one handler."""

from typing import Final

from application.commands import exports, imports, invoices, pos, tax_codes, tenants, wallets
from application.pipeline.command import CommandSpec

COMMANDS: Final[dict[str, CommandSpec]] = {
    spec.action: spec
    for spec in (
        *wallets.SPECS,
        *invoices.SPECS,
        *pos.SPECS,
        *exports.SPECS,
        *imports.SPECS,
        *tax_codes.SPECS,
        *tenants.SPECS,
    )
}
