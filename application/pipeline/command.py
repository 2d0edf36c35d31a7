"""A command: what is asked for, what the service knows of its kind, and what carries it to the writer."""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from domain.annotation import CommandAnnotated, Metadata
from domain.capability import Capability
from domain.errors import Code, DomainError
from domain.ids import annotation_stream

if TYPE_CHECKING:
    from application.pipeline.unit_of_work import UnitOfWork


MAX_COMMAND_BYTES: Final = 256_000
"""So much of events and answer a command may make; messages and records are sized for it."""


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a client asks for: at once the body of the request and the element's data in bulk.

    A field named by `path` comes from the request's path, or in bulk from the data. Fields named by
    `uppercase` are ids that people write. Fields named by `not_yet` are understood only to be refused, so
    that nobody's is dropped in silence; the documentation leaves them out. `metadata` is kept with whatever it does.
    """

    path: ClassVar[str] = ""
    uppercase: ClassVar[tuple[str, ...]] = ()
    not_yet: ClassVar[tuple[str, ...]] = ()
    metadata: Metadata | None = None

    def __post_init__(self) -> None:
        if self.metadata is not None:  # in whatever order, it is the same; and none is as good as nothing
            msgspec.structs.force_setattr(self, "metadata", dict(sorted(self.metadata.items())) or None)
        for field in self.uppercase:
            value = getattr(self, field)
            if value:
                msgspec.structs.force_setattr(self, field, value.upper())

    def streams(self, tenant_name: str) -> Iterable[str]:
        """Streams that the handler surely asks for: a hint, so that a batch loads them in one query.

        A transaction that it reads is named by `records.record_name`.
        """
        del tenant_name
        return ()

    def encoded(self) -> bytes:
        """The command in fixed field order without defaults, for its hash."""
        return _encoder.encode(self)


class CommandSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the service knows of an action: its shape, its handler, who may, and whether key and reason are required."""

    action: str
    command_type: type[Command]
    handler: Callable[[Any, "UnitOfWork"], object]
    answer_type: type[msgspec.Struct]
    capability: Capability
    key_required: bool = False
    reason_required: bool = False
    status: int = 201


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A command with who sends it, why, and under which request.

    It acts under one idempotency key or none; under several where it is many that commit together (`atomic.py`).
    `credential` is the prefix of the API key that is checked again where it acts; an operator at the
    command line has none.
    """

    spec: CommandSpec
    command: Command
    command_id: str
    tenant: str
    client: str
    actor: str
    idempotency_keys: tuple[str, ...] = ()
    credential: str | None = None
    reason: str = ""
    correlation_id: str = ""
    trace_id: str = ""
    dry_run: bool = False

    def request_hash(self) -> bytes:
        """SHA-256 of the action and the command's encoding."""
        return sha256(self.spec.action.encode() + b"\n" + self.command.encoded()).digest()


def handle(envelope: Envelope, unit: "UnitOfWork") -> object:
    """Give a command to its handler, if the caller may and says why where that is required; returns its answer.

    Raises `DomainError`.
    """
    spec = envelope.spec
    unit.require(spec.capability)
    if spec.reason_required and not envelope.reason:
        raise DomainError(Code.REASON_REQUIRED, "Say why, in the header Bursar-Reason.")
    before = len(unit.events)
    answer = spec.handler(envelope.command, unit)
    if envelope.command.metadata is not None and len(unit.events) > before:
        annotate(envelope.command.metadata, unit)
    return answer


def annotate(metadata: dict[str, str], unit: "UnitOfWork") -> None:
    """Keep metadata with the command of a unit of work."""
    unit.create(
        annotation_stream(unit.tenant_name, unit.command_id),
        CommandAnnotated(command=unit.command_id, metadata=metadata, recorded_at=unit.recorded_at),
    )


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an accepted command. `response` is the first answer, byte for byte."""

    position: int
    response: bytes
    replayed: bool = False


_encoder = msgspec.json.Encoder()
