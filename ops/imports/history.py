"""Imports made before: each is recorded with a sketch of its rows, by which a file under another name is known again.

A row's key has its source in it, so that a file that was renamed would be posted a second time.
"""

import heapq
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Final

import msgspec

from domain.errors import Code
from domain.file_import import SKETCH_ROWS
from ops.http_client import ApiClient, ApiError
from ops.imports.records import FileError
from ops.imports.rows import Entry, Row
from ops.imports.tally import Summary
from projections.engine.reading import Page
from projections.views.imports import ImportView

MIN_SHARED_ROWS: Final = 3
"""Of so few rows in common two files may well be different ones."""

MAX_TEXT_LENGTH: Final = 500


class Sketch:
    """Keeps the smallest hashes of rows, each once: equal rows have equal hashes, whatever their order and file."""

    def __init__(self) -> None:
        self._largest_first: list[int] = []  # negated, since a heap gives the smallest first
        self._kept: set[int] = set()

    def add(self, row_hash: str) -> None:
        number = int(row_hash, 16)
        if number in self._kept:
            return
        if len(self._kept) < SKETCH_ROWS:
            heapq.heappush(self._largest_first, -number)
        elif number < -self._largest_first[0]:
            self._kept.discard(-heapq.heapreplace(self._largest_first, -number))
        else:
            return
        self._kept.add(number)

    def hashes(self) -> tuple[str, ...]:
        return tuple(f"{number:016x}" for number in sorted(self._kept))


def shared(one: Sequence[str], other: Sequence[str]) -> tuple[int, float]:
    """How many hashes two sketches share, and about which part of the smaller file's rows is in both files.

    Up to where the first of two full sketches ends both hold every hash of their files. What lies there is a sample by
    chance of either file; of one with fewer rows than a sketch keeps, it may be all of it. A part p that is estimated
    from n rows is off by about sqrt(p(1-p)/n): by 6 in 100 at most where n is 64. It is less sure where one file is
    much larger than the other, of which few rows then lie in the sample.
    """
    ends = [sketch[-1] for sketch in (one, other) if len(sketch) == SKETCH_ROWS]
    end = min(ends, default="g")  # beyond every hexadecimal digit
    ones, others = ({each for each in sketch if each <= end} for sketch in (one, other))
    in_both = len(ones & others)
    return in_both, in_both / max(min(len(ones), len(others)), 1)


class Likeness(msgspec.Struct, frozen=True, kw_only=True):
    """An import of this file, or of one that has more than half of its rows, as `part` estimates it."""

    source: str
    name: str
    at: datetime
    same_file: bool
    part: float


def past_imports(client: ApiClient, *, sketch: bool) -> list[ImportView]:
    """All imports of the school, the newest first; their sketches where asked for."""
    found: list[ImportView] = []
    parameters: dict[str, str | int] = {"limit": 500, "sketch": str(sketch).lower()}
    while True:
        page = msgspec.convert(client.get("imports", **parameters).body, Page[ImportView, str])
        found += page.data
        if page.next is None:
            return found
        parameters["cursor"] = page.next


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What tells a file from others: the source of its keys, its name, its bytes and its rows."""

    source: str
    name: str
    sha256: str
    sketch: tuple[str, ...]

    def likenesses(self, past: Iterable[ImportView]) -> list[Likeness]:
        """The imports that were of this file or of much of it."""
        found: list[Likeness] = []
        for each in past:
            same_file = each.sha256 == self.sha256
            in_both, part = shared(self.sketch, each.sketch or ())
            if _left_rows(each) and (same_file or (in_both >= MIN_SHARED_ROWS and part > 0.5)):
                found.append(
                    Likeness(
                        source=each.source,
                        name=each.name,
                        at=each.at,
                        same_file=same_file,
                        part=1.0 if same_file else part,
                    )
                )
        return found

    def check_is_new(self, likenesses: Iterable[Likeness]) -> None:
        """Refuse a file that was imported under another source, under which its rows would be posted again."""
        for each in likenesses:
            if each.source != self.source:
                what = (
                    "this file was"
                    if each.same_file
                    else f"about {each.part:.0%} of its rows, or of that file's, were"
                )
                raise FileError(
                    f"{self.name}: {what} imported on {each.at:%Y-%m-%d %H:%M} UTC from {each.name}, under the source "
                    f"{each.source!r}. If it is the same file, say --source {each.source!r}, and nothing is posted "
                    "twice; if it is to be posted all the same, say --again"
                )


def _left_rows(past: ImportView) -> bool:
    """Whether any of its rows are, or may be, in the books."""
    return not past.finished or past.posted + past.already_there > 0


def facts_of(path: Path, source: str, passes: Iterable[Iterable[Row]]) -> FileFacts:
    """Read a file once for what tells it from others."""
    sketch = Sketch()
    for rows in passes:
        for row in rows:
            if isinstance(row, Entry):
                sketch.add(row.values_hash)
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return FileFacts(source=_line(source), name=_line(path.name), sha256=digest, sketch=sketch.hashes())


def _line(text: str) -> str:
    """A text as a record takes it: one line."""
    return (
        "".join(letter if letter.isprintable() else "?" for letter in text)[:MAX_TEXT_LENGTH].strip() or "?"
    )


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    id: str


class ImportRecord:
    """The record of one run. A run of a file that is recorded already adds one only where it posts something."""

    def __init__(self, client: ApiClient, facts: FileFacts, past: Sequence[ImportView]) -> None:
        self._client = client
        self._facts = facts
        own = [each for each in past if (each.source, each.sha256) == (facts.source, facts.sha256)]
        self._is_known = bool(own)
        self._id = next((each.id for each in own if not each.finished), None)

    def begin(self) -> None:
        """Record that rows are about to be posted, so that a run which dies is known. Raises ApiError for a key that may not."""
        if not self._is_known:
            self._id = self._write({"finished": False})

    def end(self, summary: Summary, *, finished: bool) -> None:
        """Record what became of the rows."""
        if self._id is None and not summary.posted:
            return
        counts = {name: getattr(summary, name) for name in ("read", "posted", "already_there", "rejected")}
        own_id = {} if self._id is None else {"id": self._id}
        try:
            self._write({**own_id, **counts, "finished": finished})
        except ApiError as error:
            if error.code != str(Code.IMPORT_FINISHED):  # by another run of the same file, at the same time
                raise

    def _write(self, data: dict[str, object]) -> str:
        body = {**msgspec.to_builtins(self._facts), **data}
        answer = self._client.write("POST", "imports", body, key=f"import-{uuid.uuid4()}")
        return msgspec.convert(answer.body, _Answer).id
