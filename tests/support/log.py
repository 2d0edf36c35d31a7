"""Commands put into the log as the writer puts them, for tests of what reads the log."""

import json
import os
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import psycopg

from domain.event import Event, encode
from domain.ids import account_stream, uuid7, wallet_stream
from domain.ledger_account import AccountCredited, AccountDebited
from domain.wallet import WalletToppedUp

StreamEvent = tuple[str, int, Event]
"""(stream, version, event)"""


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """A command to append: its tenant, its action and its events in order."""

    tenant: str
    action: str
    events: Sequence[StreamEvent]
    id: str = msgspec.field(default_factory=lambda: uuid7(int(time.time() * 1000), os.urandom(10)))
    actor: str = "tester"
    correlation_id: str = ""
    trace_id: str = ""


def append(
    connection: psycopg.Connection[Any], tenant: str, action: str, events: Sequence[StreamEvent]
) -> int:
    """Append one command and return its position. As the writer's role, or the superuser."""
    return append_all(connection, [Logged(tenant=tenant, action=action, events=events)])


def append_all(connection: psycopg.Connection[Any], commands: Sequence[Logged]) -> int:
    """Append commands in one commit and return the new head's position."""
    events = [event for command in commands for event in command.events]
    count = len(commands)
    with connection.transaction():
        decided_at, recorded_at = connection.execute(
            "SELECT position, greatest(recorded_at, date_trunc('milliseconds', now())) FROM head"
        ).fetchone() or (0, None)
        row = connection.execute(
            "SELECT outcome, position FROM bursar_append(%s::bigint, %s::timestamptz, %s::text[], %s::text[], %s::text[],"
            " %s::uuid[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::text[], %s::text[], %s::text[],"
            " %s::text[], %s::text[], %s::bytea[], %s::bigint[], %s::text[], %s::bigint[], %s::text[],"
            " %s::bytea[], %s::bigint[])",
            (
                decided_at,
                recorded_at,
                [],
                [],
                [],
                [command.id for command in commands],
                [command.tenant for command in commands],
                ["test"] * count,
                [None] * count,
                [b"\0" * 32] * count,
                [command.action for command in commands],
                [command.actor for command in commands],
                [""] * count,
                [command.correlation_id for command in commands],
                [command.trace_id for command in commands],
                [json.dumps({"id": command.id}).encode() for command in commands],
                [len(command.events) for command in commands],
                [stream for stream, _, _ in events],
                [version for _, version, _ in events],
                [event.topic for _, _, event in events],
                [encode(event) for _, _, event in events],
                [owner for owner, command in enumerate(commands, 1) for _ in command.events],
            ),
        ).fetchone()
    assert row is not None
    assert row[0] == "appended", row
    return int(row[1])


def top_up(tenant: str, account: str, version: int, *, amount: int = 100) -> Logged:
    """A command of three events: a top-up by cash, the `version`-th of all three streams."""
    when = datetime.now(UTC)
    transaction = uuid7(int(time.time() * 1000), os.urandom(10))
    common: dict[str, Any] = {
        "transaction_id": transaction,
        "effective_date": date(2026, 3, 2),
        "recorded_at": when,
        "amount": amount,
        "currency": "KES",
    }
    cash = AccountDebited(code="1000", role="cash", type="asset", **common)
    owed = AccountCredited(code="2100", role="wallet_liability", type="liability", **common)
    topped_up = WalletToppedUp(
        **common, account=account, description="Top-up", receipt=f"RCT-2026-{version:06}", tender="cash"
    )
    return Logged(
        tenant=tenant,
        action="wallet.top_up",
        id=transaction,
        events=[
            (account_stream(tenant, f"1000-{account}"), version, cash),
            (account_stream(tenant, f"2100-{account}"), version, owed),
            (wallet_stream(tenant, account), version, topped_up),
        ],
    )
