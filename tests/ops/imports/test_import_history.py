"""A file is known again under another name, by its bytes or by its rows; few rows in common prove nothing."""

import random
from datetime import UTC, datetime

import pytest

from domain.file_import import SKETCH_ROWS
from ops.imports.history import FileFacts, Sketch, facts_of, shared
from ops.imports.records import FileError
from ops.imports.rows import Entry, Skipped, hash_of
from projections.views.imports import ImportView

AT = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)


def sketch_of(rows) -> tuple[str, ...]:
    sketch = Sketch()
    for row in rows:
        sketch.add(hash_of(row))
    return sketch.hashes()


def facts(rows, *, source: str = "b.csv", sha256: str = "b" * 64) -> FileFacts:
    return FileFacts(source=source, name="b.csv", sha256=sha256, sketch=sketch_of(rows))


def past(rows, **changes) -> ImportView:
    whole = {"id": "i", "source": "a.csv", "name": "a.csv", "sha256": "a" * 64, "read": 9, "posted": 9}
    whole |= {
        "already_there": 0,
        "rejected": 0,
        "finished": True,
        "at": AT,
        "position": 1,
        "sketch": sketch_of(rows),
    }
    return ImportView(**(whole | changes))


def test_a_sketch_keeps_the_smallest_hashes_of_rows_in_any_order():
    rows = list(range(5000))
    expected = tuple(sorted(hash_of(row) for row in rows)[:SKETCH_ROWS])
    random.Random(1).shuffle(rows)
    assert sketch_of(rows + rows[:100]) == expected


def test_of_small_files_what_they_share_is_exact():
    assert shared(sketch_of(range(10)), sketch_of(range(4, 14))) == (6, 0.6)
    assert shared(sketch_of(range(10)), sketch_of(range(10, 20))) == (0, 0.0)
    assert shared((), ()) == (0, 0.0)
    assert shared(sketch_of(range(5)), sketch_of(range(50))) == (5, 1.0)  # all of the smaller one


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8, 1.0])
def test_of_large_files_it_is_estimated(part):
    off = []
    for trial in range(50):
        first = range(trial * 100_000, trial * 100_000 + 2000)
        begin = first.start + int(2000 * (1 - part))
        off.append(shared(sketch_of(first), sketch_of(range(begin, begin + 2000)))[1] - part)
    assert abs(sum(off) / len(off)) < 0.04
    assert max(map(abs, off)) < 0.3


def test_the_same_bytes_or_most_rows_under_another_source_are_refused():
    rows = range(100)
    for known in (
        past(rows),
        past(range(40, 400), sha256="b" * 64),
        past([], finished=False, sha256="b" * 64),
    ):
        with pytest.raises(
            FileError, match=r"2026-01-05 08:30 UTC from a.csv, under the source 'a.csv'.*--again"
        ):
            facts(rows).check_is_new(facts(rows).likenesses([known]))


@pytest.mark.parametrize(
    "known",
    [
        past(range(100), source="b.csv"),  # the same source: nothing is posted twice
        past(range(70, 170)),
        past(range(2)),  # too few to tell
        past(range(100), posted=0),  # nothing of it was posted
    ],
)
def test_what_is_not_refused(known):
    own = facts(range(100))
    own.check_is_new(own.likenesses([known]))


def test_an_import_that_never_ended_counts():
    own = facts(range(100))
    assert own.likenesses([past(range(100), posted=0, finished=False)])


def test_the_facts_of_a_file(tmp_path):
    path = tmp_path / "a\nb.csv"
    path.write_bytes(b"content")
    row = Entry(line=2, lane="A", amount_minor=1, elements=(), values_hash="1" * 16)
    found = facts_of(path, "s" * 600, [[row, Skipped(kind="blank")], [row]])
    assert found.name == "a?b.csv"
    assert found.source == "s" * 500
    assert found.sha256 == "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    assert found.sketch == ("1" * 16,)
