"""A school in memory: real commands through their handlers, and the messages that they publish."""

import os
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec

from application.commands import COMMANDS
from application.feed import message
from application.feed.message import LoggedCommand, Message
from application.pipeline.command import annotate
from application.pipeline.ports import LoggedEvent
from application.pipeline.unit_of_work import Caller, UnitOfWork
from domain.aggregates import initial
from domain.capability import CAPABILITIES
from domain.event import Event, State, encode
from domain.ids import uuid7
from domain.receipt import ReceiptSigner

RECEIPTS = ReceiptSigner(key_id="k1", key=b"0" * 32, page_url="http://127.0.0.1:1/v2/finance/receipts")
STORE = "00000000-0000-7000-8000-000000000001"


class Log:
    """What several schools share: the positions."""

    def __init__(self) -> None:
        self.position = 0


class School:
    """One tenant. `run` decides a command as the writer would, and keeps its message."""

    def __init__(
        self,
        tenant: str = "greenhill",
        country: str = "KE",
        log: Log | None = None,
        *,
        tax_registered_from: str | None = None,
    ) -> None:
        self.tenant = tenant
        self.currency = {"KE": "KES", "CA": "CAD"}[country]
        self.messages: list[Message] = []
        self.events: list[tuple[str, list[tuple[str, int, Event]], str]] = []
        self._log = log or Log()
        self._states: dict[str, State] = {}
        self._taken = 0
        self._recorded: dict[str, list[LoggedEvent]] = {}
        self.run(
            "tenant.register",
            country=country,
            legal_name=f"{tenant} school",
            tax_registered_from=tax_registered_from,
        )

    def run(self, action: str, **data: Any) -> dict[str, Any]:
        """Answer as the service would. Raises `DomainError`, and then nothing has changed."""
        spec = COMMANDS[action]
        if "currency" in spec.command_type.__struct_fields__:
            data.setdefault("currency", self.currency)
        command = msgspec.convert(data, spec.command_type)
        recorded_at = datetime.now(UTC)
        unit = UnitOfWork(
            tenant_name=self.tenant,
            caller=Caller(client="tester", actor="tester", capabilities=CAPABILITIES),
            command_id=uuid7(int(time.time() * 1000), os.urandom(10)),
            recorded_at=recorded_at,
            receipts=RECEIPTS,
            lookup=self._state,
            recorded=lambda transaction_id: self._recorded.get(transaction_id, ()),
        )
        answer = spec.handler(command, unit)
        if command.metadata:
            annotate(command.metadata, unit)
        self._states |= unit.changed
        self._recorded[unit.command_id] = [
            LoggedEvent(stream, version, event.topic, encode(event)) for stream, version, event in unit.events
        ]
        self.events.append((action, unit.events, unit.command_id))
        self._publish(action, unit)
        return msgspec.to_builtins(answer)

    def _state(self, stream: str) -> State:
        return self._states.get(stream) or initial(stream)

    def _publish(self, action: str, unit: UnitOfWork) -> None:
        first = self._log.position + 1
        self._log.position += len(unit.events)
        logged = LoggedCommand(
            tenant=self.tenant,
            tenant_sequence=len(self.messages) + 1,
            first_position=first,
            position=self._log.position,
            command=action,
            command_id=unit.command_id,
            recorded_at=unit.recorded_at,
            actor="tester",
            reason="",
            correlation_id="",
            trace_id="",
            events=[(stream, version, event.topic, encode(event)) for stream, version, event in unit.events],
        )
        self.messages.append(message.build(logged, store=STORE, epoch=1))

    def take_messages(self) -> list[Message]:
        """The messages since the last call."""
        taken = self.messages[self._taken :]
        self._taken = len(self.messages)
        return taken

    def balances(self) -> dict[str, int]:
        """Debits less credits of each account that was posted to, by code, in minor units."""
        return ledger_balances(self.messages)


def ledger_balances(messages: list[Message]) -> dict[str, int]:
    """Debits less credits by account code; accounts that end at 0 are left out."""
    sums: Counter[str] = Counter()
    for one in messages:
        for posting in one.transaction.postings if one.transaction else ():
            sums[posting.code] += posting.amount if posting.side == "debit" else -posting.amount
    return {code: amount for code, amount in sums.items() if amount}
