"""Imports made before: each is recorded with a sketch of its rows, by which a file is known again.

A row's key has its source in it and what was read of it, and belongs to a client. So a file would be posted a second time
under another name, by options that read other values, and by a key of another client.
"""

import heapq
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Final, Literal

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

    def __init__(self, *, digits: int = 16) -> None:
        self._digits = digits
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
        return tuple(f"{number:0{self._digits}x}" for number in sorted(self._kept))


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


def _reads_otherwise(own: Sequence[str], past: Sequence[str], *, same_file: bool) -> bool:
    """Whether a row that stands in both files was read otherwise in the past."""
    values, past_values = ({each[:16]: each[16:] for each in readings} for readings in (own, past))
    if any(values.get(row, read) != read for row, read in past_values.items()):
        return True
    return same_file and _are_others(tuple(values), tuple(past_values))


def _are_others(own: Sequence[str], past: Sequence[str]) -> bool:
    """Whether two sketches of one file each have a hash that the other lacks: it was not only that more could be read."""
    ends = [sketch[-1] for sketch in (own, past) if len(sketch) == SKETCH_ROWS]
    end = min(ends, default="g")
    ours, theirs = ({each for each in sketch if each <= end} for sketch in (own, past))
    return bool(ours - theirs) and bool(theirs - ours)


Difference = Literal["source", "client", "options"]
"""Why the rows of a file would have other keys than they had."""


class Likeness(msgspec.Struct, frozen=True, kw_only=True):
    """An import of this file, or of one that has more than half of its rows, as `part` estimates it.

    Where anything `differs` its rows would be posted again.
    """

    source: str
    name: str
    at: datetime
    same_file: bool
    part: float
    client: str | None = None
    options: str | None = None
    differs: tuple[Difference, ...] = ()

    @property
    def what(self) -> str:
        """Which part of the file it was of, for people."""
        return "this file" if self.same_file else f"about {self.part:.0%} of its rows, or of that file's,"

    @property
    def how(self) -> str:
        """Under which keys its rows were posted, for people."""
        by_client = f", by the client {self.client!r}" if "client" in self.differs else ""
        otherwise = ", and its rows were read otherwise" if "options" in self.differs else ""
        return f"under the source {self.source!r}{by_client}{otherwise}"

    @property
    def remedy(self) -> str:
        """What gives the rows the keys that they had."""
        then = f" ({self.options})" if self.options else ""
        ways: dict[Difference, str] = {
            "source": f"say --source {self.source!r}",
            "client": f"use a key of the client {self.client!r}",
            "options": f"give the options of then{then}",
        }
        return " and ".join(ways[each] for each in self.differs)


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
    """What tells a file from others: the source of its keys, its name, its bytes and its rows, and how these are read."""

    source: str
    name: str
    sha256: str
    sketch: tuple[str, ...]
    readings: tuple[str, ...]
    options: str

    def likenesses(self, past: Iterable[ImportView], *, caller: str | None) -> list[Likeness]:
        """The imports that were of this file or of much of it; `caller` is the client that imports it, where that counts."""
        return [
            Likeness(
                source=each.source,
                name=each.name,
                at=each.at,
                same_file=each.sha256 == self.sha256,
                part=self._part(each),
                client=each.client,
                options=each.options,
                differs=self._differences(each, caller),
            )
            for each in past
            if _left_rows(each) and self._part(each) > 0.5
        ]

    def _part(self, past: ImportView) -> float:
        """Which part of the rows is in both files, by their values or as they stand there; of a few in common none."""
        if past.sha256 == self.sha256:
            return 1.0
        rows, past_rows = ([each[:16] for each in one or ()] for one in (self.readings, past.readings))
        found = (shared(self.sketch, past.sketch or ()), shared(rows, past_rows))
        return max(part if in_both >= MIN_SHARED_ROWS else 0.0 for in_both, part in found)

    def _differences(self, past: ImportView, caller: str | None) -> tuple[Difference, ...]:
        differs: dict[Difference, bool] = {
            "source": past.source != self.source,
            "client": None not in (caller, past.client) and past.client != caller,
            "options": self.reads_otherwise(past),
        }
        return tuple(name for name, it_does in differs.items() if it_does)

    def reads_otherwise(self, past: ImportView) -> bool:
        """Whether rows of an import that was of this file, or of much of it, were read otherwise, and so have other keys.

        Of imports recorded without readings only those of the same file tell, by the hashes of their values.
        """
        same_file = past.sha256 == self.sha256
        if past.client is not None:
            return _reads_otherwise(self.readings, past.readings or (), same_file=same_file)
        if not (same_file and self.readings):
            return False
        return _are_others(self.sketch, past.sketch or ())

    def check_is_new(self, likenesses: Iterable[Likeness]) -> None:
        """Refuse a file whose rows were posted under other keys than they would have now."""
        for each in likenesses:
            if each.differs:
                were = "was" if each.same_file else "were"
                raise FileError(
                    f"{self.name}: {each.what} {were} imported on {each.at:%Y-%m-%d %H:%M} UTC from {each.name}, {each.how}. "
                    f"If it is the same file, {each.remedy}, and nothing is posted twice; if it is to be posted all the "
                    "same, say --again"
                )


def _left_rows(past: ImportView) -> bool:
    """Whether any of its rows are, or may be, in the books."""
    return not past.finished or past.posted + past.already_there > 0


def facts_of(path: Path, source: str, passes: Iterable[Iterable[Row]], *, options: str) -> FileFacts:
    """Read a file once for what tells it from others; `options` are those by which it is read."""
    sketch, readings = Sketch(), Sketch(digits=32)
    for rows in passes:
        for row in rows:
            if isinstance(row, Entry):
                sketch.add(row.values_hash)
                if row.reading:
                    readings.add(row.reading)
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return FileFacts(
        source=_line(source),
        name=_line(path.name),
        sha256=digest,
        sketch=sketch.hashes(),
        readings=readings.hashes(),
        options=_line(options),
    )


def _line(text: str) -> str:
    """A text as a record takes it: one line."""
    return (
        "".join(letter if letter.isprintable() else "?" for letter in text)[:MAX_TEXT_LENGTH].strip() or "?"
    )


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    client: str


class _DryRun(msgspec.Struct, frozen=True, kw_only=True):
    answer: _Answer


def caller_of(client: ApiClient, facts: FileFacts) -> str:
    """The client whose keys the rows would have. Raises ApiError for a key that may not record an import."""
    body = msgspec.to_builtins(facts)
    answer = client.write("POST", "imports?dry_run=true", body, key=f"import-{uuid.uuid4()}")
    return msgspec.convert(answer.body, _DryRun).answer.client


class ImportRecord:
    """The record of one run. A run of a file that is recorded already adds one only where it posts something."""

    def __init__(
        self, client: ApiClient, facts: FileFacts, past: Sequence[ImportView], *, caller: str
    ) -> None:
        self._client = client
        self._facts = facts
        own = [
            each
            for each in past
            if (each.source, each.sha256) == (facts.source, facts.sha256)
            and each.client in (None, caller)
            and not facts.reads_otherwise(each)
        ]
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
