"""The public message: one per committed command, the same from Kafka and from the Postgres log."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

import msgspec

from domain.aggregates import decode
from domain.event import Event
from domain.ids import AccountCode
from domain.journal import Side
from domain.ledger_account import AccountCredited, AccountDebited

FORMAT: Final = 1


class PublicPosting(msgspec.Struct, frozen=True, kw_only=True):
    """One side of the transaction on one account, in minor units."""

    code: AccountCode
    role: str
    type: str
    amount: int
    currency: str
    side: Side


class PublicTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """What was posted at once. Debits equal credits."""

    id: str
    effective_date: date
    postings: tuple[PublicPosting, ...]


class PublicEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as stored: `type` is its topic, `data` its JSON."""

    type: str
    stream: str
    version: int
    data: msgspec.Raw

    def event(self) -> Event:
        """The event itself. Raises `KeyError` for a type that this version does not know."""
        return decode(self.type, bytes(self.data))


class CommandRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A committed command: where it stands, who gave it, why, and under which request.

    `position` is the command's last position and orders all messages; `tenant_sequence` has no gap within a tenant,
    so that a lost message shows.
    """

    tenant: str
    tenant_sequence: int
    first_position: int
    position: int
    command: str
    command_id: str
    recorded_at: datetime
    actor: str
    reason: str
    correlation_id: str
    trace_id: str


class Message(CommandRecord, frozen=True, kw_only=True, omit_defaults=True):
    """A committed command with all that a consumer needs to act, so that it asks nobody.

    `transaction` is null where no money moved. `more_transactions` is there for an atomic bulk alone: what it posted
    after its first transaction, in order.
    """

    format: int
    store: str
    epoch: int
    transaction: PublicTransaction | None
    more_transactions: tuple[PublicTransaction, ...] = ()
    events: tuple[PublicEvent, ...]


class LoggedCommand(CommandRecord, frozen=True, kw_only=True):
    """A row of the command log with its events, as the relay and the Postgres feed read it."""

    events: Sequence[tuple[str, int, str, bytes]]
    """(stream, version, topic, state) in order of position."""


SECRET: Final = {"bursar.tenant.key_added.v1": "key_hash"}
"""Fields that stay in the log: no consumer needs the hash of a key."""


def build(logged: LoggedCommand, *, store: str, epoch: int) -> Message:
    """Make the message of a logged command."""
    postings: dict[tuple[str, date], list[PublicPosting]] = {}
    events: list[PublicEvent] = []
    for stream, version, topic, state in logged.events:
        if topic in (AccountDebited.topic, AccountCredited.topic):
            posted = decode(topic, state)
            assert isinstance(posted, AccountDebited | AccountCredited)
            postings.setdefault((posted.transaction_id, posted.effective_date), []).append(
                PublicPosting(
                    code=posted.code,
                    role=posted.role,
                    type=posted.type,
                    amount=posted.amount,
                    currency=posted.currency,
                    side="debit" if isinstance(posted, AccountDebited) else "credit",
                )
            )
        data = _without(state, SECRET[topic]) if topic in SECRET else state
        events.append(PublicEvent(type=topic, stream=stream, version=version, data=msgspec.Raw(data)))
    transactions = tuple(
        PublicTransaction(id=id_, effective_date=effective_date, postings=tuple(posted))
        for (id_, effective_date), posted in postings.items()
    )
    return Message(
        format=FORMAT,
        store=store,
        epoch=epoch,
        **{name: getattr(logged, name) for name in CommandRecord.__struct_fields__},
        transaction=transactions[0] if transactions else None,
        more_transactions=transactions[1:],
        events=tuple(events),
    )


def _without(state: bytes, field: str) -> bytes:
    fields = msgspec.json.decode(state)
    del fields[field]
    return msgspec.json.encode(fields)
