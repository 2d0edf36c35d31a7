"""Transactions of the past, as a command reads them that takes one back."""

from collections.abc import Sequence
from typing import Final

from application.pipeline.ports import EventStore, LoggedEvent
from domain.aggregates import decode, kind_of
from domain.errors import Code, DomainError
from domain.event import MoneyEvent
from domain.ids import whole_id

_KIND: Final = "record"


def record_name(tenant: str, transaction_id: str) -> str:
    """The name by which a handler asks for a transaction, among the streams that it asks for."""
    return f"{tenant}/{_KIND}/{transaction_id}"


def is_record(name: str) -> bool:
    """Whether a name is that of a transaction, and not that of a stream."""
    return kind_of(name) == _KIND


async def load_record(store: EventStore, name: str) -> Sequence[LoggedEvent]:
    """What the command of a transaction wrote of it; nothing where the tenant has no such transaction.

    A transaction has the id of its command, or of one of the commands that this one is (`atomic.py`). What was written
    never changes, so that it is read as it is, wherever the head has moved to. Raises `StoreUnavailableError`.
    """
    tenant, _, transaction_id = name.split("/")
    written = await store.events_of(transaction_id, tenant=tenant)
    if not written:
        written = await store.events_of(whole_id(transaction_id), tenant=tenant)
    return [logged for logged in written if transaction_id.encode() in logged.state]


def events_of(record: Sequence[LoggedEvent], transaction_id: str) -> list[MoneyEvent]:
    """The events of a transaction, in order, of what names it.

    Refused with `unavailable` where this version cannot read them.
    """
    try:
        events = [decode(logged.topic, logged.state) for logged in record]
    except KeyError as error:
        raise DomainError(
            Code.UNAVAILABLE,
            f"Transaction {transaction_id} has an event {error.args[0]} that this version cannot read; a newer one can.",
        ) from error
    return [
        event for event in events if isinstance(event, MoneyEvent) and event.transaction_id == transaction_id
    ]
