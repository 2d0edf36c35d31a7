"""The import of a file: which file, under which source, and what became of its rows.

It moves no money. It is there so that the same rows are not posted a second time under another name.
"""

from datetime import datetime
from typing import ClassVar, Final

from domain.errors import Code, DomainError
from domain.event import Event, State, stored

SKETCH_ROWS: Final = 64
"""So many of the smallest hashes of a file's rows are kept."""


@stored
class ImportRecorded(Event, frozen=True, kw_only=True):
    """What is known of an import so far. Until it is `finished` it began, and may have been broken off.

    `sketch` holds the smallest hashes of the rows' values, in order; `readings` those of the rows as they stand in the
    file, each with the hash of what was read of it and enters its key. `client` is the one under whose keys the rows lie,
    `options` are those by which they were read, as one types them. Of imports recorded before there were these three
    nothing is known.
    """

    topic: ClassVar[str] = "bursar.import.recorded.v1"
    id: str
    source: str
    name: str
    sha256: str
    read: int
    posted: int
    already_there: int
    rejected: int
    sketch: tuple[str, ...]
    finished: bool
    recorded_at: datetime
    client: str | None = None
    options: str | None = None
    readings: tuple[str, ...] = ()


class FileImport(State, kw_only=True):
    """Of which file it is, by which client, and whether it has ended."""

    source: str = ""
    sha256: str = ""
    client: str | None = None
    finished: bool = False


def evolve(state: FileImport, event: Event) -> None:
    assert isinstance(event, ImportRecorded), (state, event)
    state.source = event.source
    state.sha256 = event.sha256
    state.client = event.client
    state.finished = event.finished


def begin(recorded: ImportRecorded) -> ImportRecorded:
    """Record an import that has none yet. Refused: counts that do not add up, hashes out of order (`invalid_request`)."""
    if recorded.read != recorded.posted + recorded.already_there + recorded.rejected:
        raise DomainError(Code.INVALID_REQUEST, "read is posted, already_there and rejected together.")
    for hashes, what in ((recorded.sketch, "hashes of the sketch"), (recorded.readings, "readings")):
        if list(hashes) != sorted(set(hashes)):
            raise DomainError(Code.INVALID_REQUEST, f"The {what} ascend, each of them once.")
    return recorded


def go_on(state: FileImport, recorded: ImportRecorded) -> ImportRecorded:
    """Record what became of an import since.

    Refused: one that does not exist or has finished (`import_not_found`, `import_finished`), or is of another file or
    client.
    """
    if not state.version:
        raise DomainError(Code.IMPORT_NOT_FOUND, f"There is no import {recorded.id}.")
    if state.finished:
        raise DomainError(Code.IMPORT_FINISHED, f"Import {recorded.id} has finished.")
    if (state.source, state.sha256) != (recorded.source, recorded.sha256):
        raise DomainError(
            Code.INVALID_REQUEST, f"Import {recorded.id} is of another file, or of another source."
        )
    if state.client not in (None, recorded.client):
        raise DomainError(Code.INVALID_REQUEST, f"Import {recorded.id} is of another client.")
    return begin(recorded)
