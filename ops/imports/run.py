"""One run of an import: a file's rows into one school, and the rejected ones into a file beside it."""

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from domain.money import MINOR_DIGITS
from ops.http_client import ApiClient, ApiError, Result
from ops.imports.importer import (
    Entry,
    FileError,
    Importer,
    Rejection,
    Summary,
    count_records,
    rejected_path,
    write_rejections,
)

Passes = Iterable[Iterable[Entry | Rejection]]
"""The rows of a file, and after all of them those that have to wait for what the others became."""


class School(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant as ping tells it; `position` is the log's before the run."""

    currency: str
    time_zone: str
    position: int


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file: the counts, and the file of what was rejected, written or removed (None: neither)."""

    currency: str
    summary: Summary
    written: Path | None
    removed: Path | None


def import_file(
    file: Path,
    client: ApiClient,
    passes: Callable[[School], Passes],
    *,
    explain: Callable[[Result], str],
    label: str | None,
    report: Callable[[int, int], None],
) -> Imported:
    """Post a file. `label` heads the column of the rejections' labels; `report` hears how many rows are done, of all.

    Raises FileError where the file as a whole is refused, ApiError and UnreachableError where the run cannot go on.
    """
    total = count_records(file)
    school = _school(client)
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        report(done, total)

    importer = Importer(client, start_position=school.position, explain=explain, advance=advance)
    for rows in passes(school):
        importer.run(rows)
    before = rejected_path(file).exists()
    written = write_rejections(file, importer.rejections, label=label)
    removed = rejected_path(file) if before and written is None else None
    return Imported(currency=school.currency, summary=importer.summary(), written=written, removed=removed)


def _school(client: ApiClient) -> School:
    try:
        school = msgspec.convert(client.get("ping").body, School)
    except msgspec.ValidationError as error:
        raise ApiError(200, "", f"ping answered something else: {error}") from None
    if school.currency not in MINOR_DIGITS:
        raise FileError(f"amounts in {school.currency} cannot be read")
    return school
