"""All aggregates: which kind of stream holds which, and the reading of their stored events.

Whoever reads events reads them here, where every module that has some is imported.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from domain import (
    annotation,
    export_batch,
    file_import,
    hold,
    invoice,
    ledger_account,
    provider_receipt,
    reversal,
    sale,
    series,
    tenant,
    wallet,
)
from domain.event import Event, State, registered

AGGREGATES: Final[dict[str, tuple[type[State], Callable[[Any, Any], None]]]] = {
    "tenant": (tenant.Tenant, tenant.evolve),
    "wallet": (wallet.Wallet, wallet.evolve),
    "hold": (hold.PlacedHold, hold.evolve),
    "invoice": (invoice.Invoice, invoice.evolve),
    "account": (ledger_account.LedgerAccount, ledger_account.evolve),
    "sale": (sale.Sale, sale.evolve),
    "series": (series.Series, series.evolve),
    "receipt": (provider_receipt.ProviderReceipt, provider_receipt.evolve),
    "transaction": (reversal.Reversal, reversal.evolve),
    "annotation": (annotation.Annotation, annotation.evolve),
    "export": (export_batch.ExportBatch, export_batch.evolve),
    "import": (file_import.FileImport, file_import.evolve),
}
"""By the second part of a stream's name: its state, and how an event changes it."""

TOPICS: Final[Mapping[str, type[Event]]] = dict(registered)
"""Every topic ever stored, with the type that loads it."""

_evolve: Final = dict(AGGREGATES.values())
_decoders: Final = {topic: msgspec.json.Decoder(event_type) for topic, event_type in TOPICS.items()}


def decode(topic: str, stored_bytes: bytes) -> Event:
    """Load a stored event. Raises `KeyError` for a topic that this version does not know."""
    return _decoders[topic].decode(stored_bytes)


def kind_of(stream: str) -> str:
    """The kind in `{tenant}/{kind}/…`."""
    return stream.split("/")[1]


def initial(stream: str) -> State:
    """The state of a stream that has no event."""
    return AGGREGATES[kind_of(stream)][0]()


class Unreadable(State, kw_only=True):
    """A stream with an event that this version cannot read, the first of them of `topic`: its state is not known."""

    topic: str = ""


def advance(state: State, topic: str, stored_bytes: bytes) -> State:
    """The state after its stream's next stored event: changed in place, or `Unreadable` from then on."""
    if isinstance(state, Unreadable):
        state.version += 1
        return state
    try:
        event = decode(topic, stored_bytes)
    except (KeyError, msgspec.DecodeError):
        return Unreadable(version=state.version + 1, topic=topic)
    apply(state, event)
    return state


def apply(state: State, event: Event) -> None:
    """Change a state by the next event of its stream."""
    _evolve[type(state)](state, event)
    state.version += 1
