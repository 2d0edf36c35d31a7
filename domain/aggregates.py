"""Which kind of stream holds which aggregate."""

from collections.abc import Callable
from typing import Any, Final

from domain import export_batch, invoice, ledger_account, provider_receipt, sale, series, tenant, wallet
from domain.event import Event, State

AGGREGATES: Final[dict[str, tuple[type[State], Callable[[Any, Any], None]]]] = {
    "tenant": (tenant.Tenant, tenant.evolve),
    "wallet": (wallet.Wallet, wallet.evolve),
    "invoice": (invoice.Invoice, invoice.evolve),
    "account": (ledger_account.LedgerAccount, ledger_account.evolve),
    "sale": (sale.Sale, sale.evolve),
    "series": (series.Series, series.evolve),
    "receipt": (provider_receipt.ProviderReceipt, provider_receipt.evolve),
    "export": (export_batch.ExportBatch, export_batch.evolve),
}
"""By the second part of a stream's name: its state, and how an event changes it."""


def kind_of(stream: str) -> str:
    """The kind in `{tenant}/{kind}/…`."""
    return stream.split("/", 2)[1]


def initial(stream: str) -> State:
    """The state of a stream that has no event."""
    return AGGREGATES[kind_of(stream)][0]()


def apply(stream: str, state: State, event: Event) -> None:
    """Change `state` by the next event of its stream."""
    AGGREGATES[kind_of(stream)][1](state, event)
    state.version += 1
