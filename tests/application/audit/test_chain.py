"""The chain's format: docs/reference/chain.md, the verifier and the database agree, to the byte."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres.embedded.cluster import Cluster
from adapters.postgres.store import PostgresStore
from application.audit import chain
from application.pipeline.ports import AppendBatch, Appended, LoggedEvent, NewCommand
from tests.conftest import Database
from tests.support.store import batch, command, emptied, opened, topped_up

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "chain.md").read_text()
(BLOCK,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
VECTORS: dict[str, Any] = json.loads(BLOCK)
STORE = UUID(VECTORS["store"])


# The format once more, as the page puts it, with nothing of ours.


def integer(value: int) -> bytes:
    return value.to_bytes(8, "big", signed=True)


def field(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def microseconds(at: str) -> int:
    return (datetime.fromisoformat(at) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def events_digest(events: list[dict[str, Any]]) -> bytes:
    framed = b""
    for event in events:
        framed += integer(event["position"]) + field(event["stream"].encode()) + integer(event["version"])
        framed += field(event["topic"].encode()) + field(event["state"].encode())
    return sha256(framed).digest()


def record(one: dict[str, Any]) -> bytes:
    return b"\x01" + b"".join(
        field(value)
        for value in (
            STORE.bytes,
            integer(one["first_position"]),
            integer(one["position"]),
            UUID(one["id"]).bytes,
            one["tenant"].encode(),
            integer(one["tenant_sequence"]),
            one["client"].encode(),
            (one["idempotency_key"] or "").encode(),
            bytes.fromhex(one["request_hash"]),
            one["command"].encode(),
            one["actor"].encode(),
            one["reason"].encode(),
            one["correlation_id"].encode(),
            sha256(one["response"].encode()).digest(),
            integer(microseconds(one["recorded_at"])),
            events_digest(one["events"]),
        )
    )


def chained(one: dict[str, Any]) -> tuple[chain.ChainedCommand, list[chain.ChainedEvent]]:
    fields = {name: one[name] for name in chain.ChainedCommand.__struct_fields__}
    fields |= {
        "id": UUID(one["id"]),
        "request_hash": bytes.fromhex(one["request_hash"]),
        "response": one["response"].encode(),
        "recorded_at": datetime.fromisoformat(one["recorded_at"]),
    }
    events = [chain.ChainedEvent(**event | {"state": event["state"].encode()}) for event in one["events"]]
    return chain.ChainedCommand(**fields), events


@pytest.mark.parametrize("one", VECTORS["commands"], ids=lambda one: one["command"])
def test_the_page_says_what_its_vectors_hold(one: dict[str, Any]) -> None:
    assert events_digest(one["events"]).hex() == one["events_digest"]
    assert record(one).hex() == one["record"]
    assert sha256(b"\x00" + record(one)).hexdigest() == one["leaf"]


@pytest.mark.parametrize("one", VECTORS["commands"], ids=lambda one: one["command"])
def test_the_verifier_computes_the_vectors(one: dict[str, Any]) -> None:
    row, events = chained(one)
    assert chain.digest(events).hex() == one["events_digest"]
    assert chain.record(STORE, row, chain.digest(events)).hex() == one["record"]
    assert chain.leaf(STORE, row, events).hex() == one["leaf"]


def test_commits_chain_the_leaves() -> None:
    previous = chain.genesis(STORE)
    assert previous == sha256(STORE.bytes).digest()
    for commit, (number, commands) in zip(
        VECTORS["commits"], groupby(VECTORS["commands"], key=lambda one: one["commit"]), strict=True
    ):
        leaves = [bytes.fromhex(one["leaf"]) for one in commands]
        expected = sha256(b"\x02" + integer(number) + previous + b"".join(leaves)).digest()
        assert (commit["number"], commit["previous_hash"], commit["hash"]) == (
            number,
            previous.hex(),
            expected.hex(),
        )
        assert chain.commit_hash(number, previous, leaves) == expected
        previous = expected


@pytest.fixture
def database(cluster: Cluster) -> Database:
    return emptied(cluster)


def new_command(one: dict[str, Any]) -> NewCommand:
    return command(
        *(
            LoggedEvent(event["stream"], event["version"], event["topic"], event["state"].encode())
            for event in one["events"]
        ),
        key=one["idempotency_key"],
        id=one["id"],
        request_hash=bytes.fromhex(one["request_hash"]),
        response=one["response"].encode(),
        action=one["command"],
        **{name: one[name] for name in ("tenant", "client", "actor", "reason", "correlation_id")},
    )


async def append_all(database: Database, batches: list[AppendBatch]) -> None:
    store = PostgresStore(database.url("bursar_writer"))
    for one in batches:
        assert isinstance(await store.append(one), Appended)
    await store.close()


def test_the_database_computes_the_vectors(database: Database) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE store SET id = %s", (STORE,))
        connection.execute("UPDATE head SET hash = sha256(uuid_send(id)) FROM store")
    batches = [
        batch(
            commands[0]["first_position"] - 1,
            *map(new_command, commands),
            recorded_at=datetime.fromisoformat(commands[0]["recorded_at"]),
        )
        for _, group in groupby(VECTORS["commands"], key=lambda one: one["commit"])
        if (commands := list(group))
    ]
    asyncio.run(append_all(database, batches))
    with psycopg.connect(database.url("bursar_auditor")) as connection:
        leaves = connection.execute(
            "SELECT commit, first_position, position, tenant_sequence, encode(leaf, 'hex') FROM commands ORDER BY position"
        ).fetchall()
        commits = connection.execute(
            "SELECT number, position, commands, encode(previous_hash, 'hex'), encode(hash, 'hex') FROM commits ORDER BY number"
        ).fetchall()
        head = connection.execute(
            "SELECT commit, position, commands, encode(hash, 'hex') FROM head"
        ).fetchone()
    names = ("commit", "first_position", "position", "tenant_sequence", "leaf")
    assert leaves == [tuple(one[name] for name in names) for one in VECTORS["commands"]]
    assert commits == [tuple(one.values()) for one in VECTORS["commits"]]
    assert head == (*commits[-1][:3], commits[-1][4])


def test_a_fork_of_the_chain_is_impossible(database: Database) -> None:
    asyncio.run(append_all(database, [batch(0, command(opened())), batch(1, command(topped_up(2)))]))
    with psycopg.connect(database.superuser_url) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(
            "INSERT INTO commits SELECT number + 9, position, commands, previous_hash, hash FROM commits"
        )


@given(
    st.lists(st.text(max_size=8), min_size=6, max_size=6),
    st.lists(st.text(max_size=8), min_size=6, max_size=6),
)
def test_no_two_commands_have_one_record(left: list[str], right: list[str]) -> None:
    """Fields are framed, so that nothing moves from one to the next."""
    names = ("tenant", "client", "command", "actor", "reason", "correlation_id")
    row, events = chained(VECTORS["commands"][0])
    records = []
    for values in (left, right):
        fields = {name: getattr(row, name) for name in row.__struct_fields__} | dict(
            zip(names, values, strict=True)
        )
        records.append(chain.record(STORE, chain.ChainedCommand(**fields), chain.digest(events)))
    assert (records[0] == records[1]) == (left == right)
