"""Transfers between wallets."""

from collections.abc import Iterable
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from application.commands import wallets
from application.commands.fields import Amount, Currency, Text
from application.pipeline.command import Command, CommandSpec
from application.pipeline.unit_of_work import UnitOfWork
from domain import wallet
from domain.capability import Capability
from domain.ids import NAME, WalletId, wallet_stream
from domain.journal import Journal
from domain.wallet import WalletView


class Transfer(Command, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Move money from one wallet to another of the same payer."""

    uppercase: ClassVar = ("from_", "to")
    from_: Annotated[WalletId, NAME, Meta(description="The wallet that pays; case is ignored.")]
    to: Annotated[WalletId, NAME, Meta(description="The wallet that gets it; case is ignored.")]
    amount: Amount
    currency: Currency
    description: (
        Annotated[Text, Meta(description="What it is for, in both statements; by default the other wallet.")]
        | None
    ) = None

    def streams(self, tenant_name: str) -> Iterable[str]:
        return wallet_stream(tenant_name, self.from_), wallet_stream(tenant_name, self.to)


class Transferred(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A transfer, and both wallets after it."""

    transaction_id: str
    from_: WalletView
    to: WalletView


def handle_transfer(command: Transfer, unit: UnitOfWork) -> Transferred:
    transaction = unit.transaction(command.currency, None)
    out, into = wallet.transfer(
        wallets.current(unit, command.from_),
        wallets.current(unit, command.to),
        transaction,
        from_id=command.from_,
        to_id=command.to,
        amount_minor=command.amount,
        description=command.description,
    )
    journal = Journal()
    journal.post("wallets transferred", command.amount)
    unit.post(journal, transaction)
    unit.emit(wallet_stream(unit.tenant_name, command.from_), out)
    unit.emit(wallet_stream(unit.tenant_name, command.to), into)
    return Transferred(
        transaction_id=unit.command_id,
        from_=WalletView.of(wallets.current(unit, command.from_)),
        to=WalletView.of(wallets.current(unit, command.to)),
    )


SPECS = (
    CommandSpec(
        action="wallet.transfer",
        command_type=Transfer,
        handler=handle_transfer,
        answer_type=Transferred,
        capability=Capability.WALLET_TRANSFER,
        key_required=True,
    ),
)
