"""What a client wants kept with a command, through the writer."""

from typing import Any

import msgspec
import pytest

from application.commands import COMMANDS
from application.pipeline.atomic import together
from domain.aggregates import decode
from domain.annotation import CommandAnnotated
from domain.errors import Code, DomainError
from tests.support.given import on_a_loop
from tests.support.memory_store import MemoryStore
from tests.support.writer import answer, envelope, new_id, running_school, top_up

NOTES = {"erp.batch": "7", "till_shift": "early"}


def annotations(store: MemoryStore) -> list[tuple[str, CommandAnnotated]]:
    """Every annotation with its stream."""
    return [
        (event.stream, found)
        for event in store.log.events
        if isinstance(found := decode(event.topic, event.state), CommandAnnotated)
    ]


@on_a_loop
async def test_it_is_kept_under_the_id_of_the_transaction() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        await school.give(top_up(amount=5))
        assert annotations(store) == []
        made = answer(await school.give(top_up(amount=7, metadata=NOTES)))
    ((stream, found),) = annotations(store)
    assert stream == f"greenhill/annotation/{made['transaction_id']}"
    assert (found.command, found.metadata) == (made["transaction_id"], NOTES)
    assert store.log.events[-1].stream == stream
    assert len(store.log.commands[-1][1].events) == len(store.log.commands[-2][1].events) + 1


@on_a_loop
async def test_each_command_of_a_bulk_has_its_own() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        bulk = together(
            (
                top_up(key="key-0001", metadata=NOTES),
                top_up(key="key-0002"),
                top_up(key="key-0003", metadata={"x": ""}),
            ),
            new_id(),
        )
        made = [one["transaction_id"] for one in answer(await school.give(bulk))["answers"]]
    assert [(found.command, found.metadata) for _, found in annotations(store)] == [
        (made[0], NOTES),
        (made[2], {"x": ""}),
    ]


@on_a_loop
async def test_nothing_is_kept_with_what_does_nothing() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        before = len(store.log.events)
        await school.give(envelope("wallet.unfreeze", account="STU-1", reason="Sure", metadata=NOTES))
        shown = answer(await school.give(top_up(dry_run=True, metadata=NOTES)))
        assert shown["events"][-1]["data"]["metadata"] == NOTES
        with pytest.raises(DomainError):
            await school.give(top_up("NOBODY", metadata=NOTES))
        assert len(store.log.events) == before


@on_a_loop
async def test_the_same_key_with_other_metadata_is_another_command() -> None:
    async with running_school(MemoryStore()) as school:
        first = await school.give(top_up(key="key-0001", metadata=NOTES))
        backwards = dict(reversed(NOTES.items()))
        again = await school.give(top_up(key="key-0001", metadata=backwards))
        assert (again.response, again.replayed) == (first.response, True), "its order makes no difference"
        for other in (None, {}, {**NOTES, "till_shift": "late"}):
            with pytest.raises(DomainError) as refusal:
                await school.give(top_up(key="key-0001", metadata=other))
            assert refusal.value.code == Code.IDEMPOTENCY_KEY_REUSED


def hash_of(**fields: Any) -> bytes:
    return top_up(**fields).request_hash()


def test_no_metadata_is_as_if_there_were_no_such_thing() -> None:
    """So a command that was given before it could have any is the same one now."""
    assert hash_of() == hash_of(metadata=None) == hash_of(metadata={}) != hash_of(metadata=NOTES)
    assert b"metadata" not in top_up(metadata={}).command.encoded()


@pytest.mark.parametrize("action", sorted(COMMANDS))
def test_every_command_takes_it(action: str) -> None:
    (field,) = [
        one for one in msgspec.structs.fields(COMMANDS[action].command_type) if one.name == "metadata"
    ]
    assert not field.required


@pytest.mark.parametrize(
    "metadata",
    [
        {f"k{number}": "v" for number in range(20)},
        {"a" * 40: "v" * 200},
        {"0._-": "", "x": "Zahlung für März ✓"},
    ],
)
def test_what_it_may_be(metadata: dict[str, str]) -> None:
    assert top_up(metadata=metadata).command.metadata == dict(sorted(metadata.items()))


@pytest.mark.parametrize(
    "metadata",
    [
        {f"k{number}": "v" for number in range(21)},
        {"a" * 41: "v"},
        {"": "v"},
        {"A": "v"},
        {"a b": "v"},
        {"a\n": "v"},
        {"a": "v" * 201},
        {"a": "v\n"},
        {"a": "\x00"},
        {"a": "\u2028"},
        {"a": 1},
        {"a": None},
        {"a": {"b": "c"}},
        ["a"],
        "a",
    ],
)
def test_what_it_may_not_be(metadata: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        top_up(metadata=metadata)
