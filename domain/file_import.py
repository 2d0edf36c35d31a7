"""The import of a file: which file, under which source, and what became of its rows.

It moves no money. It is there so that the same rows are not posted a second time under another name.
"""

from datetime import datetime
from typing import ClassVar, Final, TypedDict

from domain.errors import Code, DomainError
from domain.event import Event, State, stored

SKETCH_ROWS: Final = 64
"""So many of the smallest hashes of a file's rows are kept."""


@stored
class ImportRecorded(Event, frozen=True, kw_only=True):
    """What is known of an import so far. Until it is `finished` it began, and may have been broken off.

    `sketch` holds the smallest hashes of the rows' values, in order.
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


class FileImport(State, kw_only=True):
    """Of which file it is, and whether it has ended."""

    source: str = ""
    sha256: str = ""
    finished: bool = False


class Facts(TypedDict):
    """What is recorded of an import."""

    source: str
    name: str
    sha256: str
    read: int
    posted: int
    already_there: int
    rejected: int
    sketch: tuple[str, ...]
    finished: bool


def evolve(state: FileImport, event: Event) -> None:
    assert isinstance(event, ImportRecorded), (state, event)
    state.source = event.source
    state.sha256 = event.sha256
    state.finished = event.finished


def begin(*, import_id: str, recorded_at: datetime, facts: Facts) -> ImportRecorded:
    """Record an import that has none yet. Refused: counts that do not add up, hashes out of order (`invalid_request`)."""
    if facts["read"] != facts["posted"] + facts["already_there"] + facts["rejected"]:
        raise DomainError(Code.INVALID_REQUEST, "read is posted, already_there and rejected together.")
    if list(facts["sketch"]) != sorted(set(facts["sketch"])):
        raise DomainError(Code.INVALID_REQUEST, "The hashes of the sketch ascend, each of them once.")
    return ImportRecorded(id=import_id, recorded_at=recorded_at, **facts)


def go_on(state: FileImport, *, import_id: str, recorded_at: datetime, facts: Facts) -> ImportRecorded:
    """Record what became of an import since.

    Refused: one that does not exist or has finished (`import_not_found`, `import_finished`), or is of another file.
    """
    if not state.version:
        raise DomainError(Code.IMPORT_NOT_FOUND, f"There is no import {import_id}.")
    if state.finished:
        raise DomainError(Code.IMPORT_FINISHED, f"Import {import_id} has finished.")
    if (state.source, state.sha256) != (facts["source"], facts["sha256"]):
        raise DomainError(
            Code.INVALID_REQUEST, f"Import {import_id} is of another file, or of another source."
        )
    return begin(import_id=import_id, recorded_at=recorded_at, facts=facts)
