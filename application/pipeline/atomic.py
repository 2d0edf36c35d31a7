"""Many commands that commit together, or not at all.

To the queue, the log and its readers they are one command: it is decided, refused, split off, replayed and looked up
as one, has one row, one answer and one message. Each has an id of its own, which its documents have and by which the
whole is found (`domain.ids.whole_id`), and its idempotency key, which no other command may have.
"""

from collections.abc import Iterable
from hashlib import sha256
from itertools import chain
from typing import Any, Final

import msgspec

from application.pipeline.command import MAX_COMMAND_BYTES, Command, CommandSpec, Envelope, handle
from application.pipeline.unit_of_work import UnitOfWork
from domain.errors import Code, DomainError
from domain.event import encode
from domain.ids import part_id, whole_id

ACTION: Final = "bulk.atomic"
MAX_ATOMIC_COMMANDS: Final = 100

_encoder = msgspec.json.Encoder()


class AtomicCommands(Command, frozen=True, kw_only=True):
    """Commands of one tenant and caller, in order, each with one idempotency key."""

    commands: tuple[Envelope, ...]

    def streams(self, tenant_name: str) -> Iterable[str]:
        return chain.from_iterable(one.command.streams(tenant_name) for one in self.commands)

    def encoded(self) -> bytes:
        """The hashes of the commands, with their keys."""
        return b"".join(
            one.request_hash() + sha256(one.idempotency_keys[0].encode()).digest() for one in self.commands
        )


class AtomicAnswer(msgspec.Struct, frozen=True):
    """The answers of all, in order."""

    answers: tuple[Any, ...]


def _handle(command: AtomicCommands, unit: UnitOfWork) -> AtomicAnswer:
    """Do one after the other; a refusal says which of them it is of (`element`, from 0)."""
    answers: list[object] = []
    first_refusal: DomainError | None = None
    made_bytes = 0
    for number, one in enumerate(command.commands):
        before = len(unit.events)
        try:
            answers.append(handle(one, unit.part(one.command_id)))
        except DomainError as refusal:
            refusal.extra["element"] = number
            if not unit.assumed_empty:
                raise
            # On what is not loaded yet nothing is decided: the others tell what else to load.
            first_refusal = first_refusal or refusal
            continue
        made_bytes += len(_encoder.encode(answers[-1]))
        made_bytes += sum(len(encode(event)) for _, _, event in unit.events[before:])
        if made_bytes > MAX_COMMAND_BYTES:
            raise DomainError(
                Code.COMMAND_TOO_LARGE,
                f"All together make at most {MAX_COMMAND_BYTES} bytes of events; the first {number} elements fit.",
                element=number,
            )
    if first_refusal:
        raise first_refusal
    return AtomicAnswer(tuple(answers))


def together(commands: tuple[Envelope, ...], command_id: str) -> Envelope:
    """One command of all of them, with the caller and the request of the first; each needs its own capability."""
    first, whole = commands[0], whole_id(command_id)
    parts = tuple(
        msgspec.structs.replace(one, command_id=part_id(whole, number))
        for number, one in enumerate(commands, 1)
    )
    spec = CommandSpec(
        action=ACTION,
        command_type=AtomicCommands,
        handler=_handle,
        answer_type=AtomicAnswer,
        capability=first.spec.capability,
        key_required=True,
    )
    return msgspec.structs.replace(
        first,
        spec=spec,
        command=AtomicCommands(commands=parts),
        command_id=whole,
        idempotency_keys=tuple(one.idempotency_keys[0] for one in commands),
    )
