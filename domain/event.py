"""What every event and every aggregate's state has in common, and how an event is stored."""

from datetime import date, datetime
from typing import ClassVar, Final, TypedDict, TypeVar

import msgspec

_E = TypeVar("_E", bound="Event")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact, stored for ever. Its topic names its shape and version and is never used again for another."""

    topic: ClassVar[str]


class MoneyEvent(Event, frozen=True, kw_only=True):
    """An event of a command that moves money.

    `effective_date` is the accounting date in the tenant's time zone; `recorded_at` is when the
    ledger learned it, in UTC. All events of one command have the same three.
    """

    transaction_id: str
    effective_date: date
    recorded_at: datetime


class State(msgspec.Struct, kw_only=True):
    """An aggregate's state: the fold of its stream. `version` counts its events; 0 means there is none.

    Copies are shallow, so `evolve` replaces a container and never changes one in place.
    """

    version: int = 0


class Stamp(TypedDict):
    """The fields of `MoneyEvent`."""

    transaction_id: str
    effective_date: date
    recorded_at: datetime


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """What all events of one money-moving command share: its currency, and what each of them repeats."""

    stamp: Stamp
    currency: str


registered: Final[dict[str, type[Event]]] = {}
"""The event types of the modules imported so far, by topic; all of them are `domain.aggregates.TOPICS`."""

_encoder = msgspec.json.Encoder()


def stored(event_type: type[_E]) -> type[_E]:
    """Register an event type under its topic. A topic taken twice is a programming error."""
    assert event_type.topic not in registered, event_type.topic
    registered[event_type.topic] = event_type
    return event_type


def encode(event: Event) -> bytes:
    """The stored form: JSON that an auditor can read in psql."""
    return _encoder.encode(event)
