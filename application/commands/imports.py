"""The command that records the import of a file."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from application.commands.fields import READING_PATTERN, ROW_HASH_PATTERN, SHA256_PATTERN, Text
from application.pipeline.command import Command, CommandSpec
from application.pipeline.unit_of_work import UnitOfWork
from domain import file_import
from domain.capability import Capability
from domain.file_import import SKETCH_ROWS
from domain.ids import UUID, import_stream

Count = Annotated[int, Meta(ge=0, le=10**9)]


class RecordImport(Command, frozen=True, kw_only=True):
    """Record that the import of a file begins or, with the id of the one begun, what became of it."""

    id: Annotated[str, UUID] | None = None
    source: Text
    name: Text
    sha256: Annotated[str, Meta(pattern=SHA256_PATTERN)]
    read: Count = 0
    posted: Count = 0
    already_there: Count = 0
    rejected: Count = 0
    sketch: Annotated[
        tuple[Annotated[str, Meta(pattern=ROW_HASH_PATTERN)], ...], Meta(max_length=SKETCH_ROWS)
    ] = ()
    readings: Annotated[
        tuple[Annotated[str, Meta(pattern=READING_PATTERN)], ...], Meta(max_length=SKETCH_ROWS)
    ] = ()
    options: Text | None = None
    finished: bool = False


# --- answers


class ImportRecordedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An import that is recorded; `client` is the one under whose keys its rows lie."""

    id: str
    client: str
    finished: bool


# --- handlers


def handle_record(command: RecordImport, unit: UnitOfWork) -> ImportRecordedAnswer:
    import_id = command.id or unit.command_id
    client = unit.caller.client
    facts: dict[str, Any] = {**msgspec.structs.asdict(command), "id": import_id, "client": client}
    del facts["metadata"]  # which is kept with any command
    recorded = file_import.ImportRecorded(**facts, recorded_at=unit.recorded_at)
    stream = import_stream(unit.tenant_name, import_id)
    if command.id is None:
        unit.create(stream, file_import.begin(recorded))
    else:
        unit.emit(stream, file_import.go_on(unit.state(file_import.FileImport, stream), recorded))
    return ImportRecordedAnswer(id=import_id, client=client, finished=command.finished)


SPECS = (
    CommandSpec(
        action="import.record",
        command_type=RecordImport,
        handler=handle_record,
        answer_type=ImportRecordedAnswer,
        # Of all who may import: what keys may do was stored when they were made, so that one of its own would
        # shut out those that import today.
        capability=Capability.WALLET_TOP_UP,
        key_required=True,
    ),
)
