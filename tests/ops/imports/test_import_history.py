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


def readings_of(rows, read) -> tuple[str, ...]:
    """Of rows that stand in the file as they are, and are read by a function."""
    readings = Sketch(digits=32)
    for row in rows:
        readings.add(hash_of("as it stands", row) + hash_of(read(row)))
    return readings.hashes()


def facts(rows, *, source: str = "b.csv", sha256: str = "b" * 64, read=lambda row: row) -> FileFacts:
    rows = list(rows)
    return FileFacts(
        source=source,
        name="b.csv",
        sha256=sha256,
        sketch=sketch_of(map(read, rows)),
        readings=readings_of(rows, read),
        options="--amount Total",
    )


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
            facts(rows).check_is_new(facts(rows).likenesses([known], caller=None))


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
    own.check_is_new(own.likenesses([known], caller="till"))


def test_an_import_that_never_ended_counts():
    own = facts(range(100))
    assert own.likenesses([past(range(100), posted=0, finished=False)], caller=None)


def test_the_facts_of_a_file(tmp_path):
    path = tmp_path / "a\nb.csv"
    path.write_bytes(b"content")
    row = Entry(line=2, lane="A", amount_minor=1, elements=(), values_hash="1" * 16)
    found = facts_of(path, "s" * 600, [[row, Skipped(kind="blank")], [row]], options="--amount Total")
    assert found.name == "a?b.csv"
    assert found.source == "s" * 500
    assert found.sha256 == "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    assert found.sketch == ("1" * 16,)


# --- under other keys


def differs(own: FileFacts, known: ImportView, *, caller: str = "TILL") -> tuple[str, ...]:
    return own.likenesses([known], caller=caller)[0].differs


def plural(row: object) -> str:
    return f"{row}s"


def known(rows, *, read=lambda row: row, **changes) -> ImportView:
    """An import under the source of `facts`, by a client that is known."""
    rows = list(rows)
    whole = {"source": "b.csv", "client": "TILL", "readings": readings_of(rows, read), "sha256": "b" * 64}
    return past(map(read, rows), **(whole | changes))


@pytest.mark.parametrize("sha256", ["b" * 64, "a" * 64])
@pytest.mark.parametrize("rows", [range(10), range(3000)])
def test_rows_that_were_read_otherwise_differ(rows, sha256):
    assert differs(facts(rows), known(rows, sha256=sha256)) == ()
    assert differs(facts(rows), known(rows, read=plural, sha256=sha256)) == ("options",)
    grown = known(rows, sha256="a" * 64)
    assert differs(facts([*rows, -1, -2]), grown) == ()
    assert differs(facts([*rows, -1, -2], read=plural), grown) == ("options",)


def test_one_row_that_was_read_otherwise_differs():
    one = known(range(10), read=lambda row: "seven" if row == 7 else row)
    assert differs(facts(range(10)), one) == ("options",)


def test_rows_that_could_not_be_read_before_do_not_differ():
    """The table of customers has grown: what was read then is read alike."""
    assert differs(facts(range(3000)), known(range(0, 3000, 2))) == ()
    assert differs(facts(range(10)), known(range(6))) == ()
    assert differs(facts(range(6)), known(range(10))) == ()


def test_rows_of_the_same_file_that_stand_otherwise_differ():
    """In another encoding, say: the same bytes are other letters, and other values."""
    assert differs(facts(range(10)), known(map(plural, range(10)))) == ("options",)


def test_another_client_differs_where_it_is_known():
    assert differs(facts(range(10)), known(range(10)), caller="OFFICE") == ("client",)
    assert differs(facts(range(10)), past(range(10), source="b.csv"), caller="OFFICE") == ()


def test_of_imports_recorded_without_readings_the_values_tell():
    rows = range(3000)
    assert differs(facts(rows), past(rows, source="b.csv", sha256="b" * 64)) == ()
    assert differs(facts(rows), past(range(0, 3000, 2), source="b.csv", sha256="b" * 64)) == ()
    other = past(map(plural, rows), source="b.csv", sha256="b" * 64)
    assert differs(facts(rows), other) == ("options",)


def test_it_is_told_what_differs_and_how_to_post_nothing_twice():
    own = facts(range(10), source="c.csv", read=plural)
    before = known(range(10), options="--amount Sum")
    with pytest.raises(FileError) as refused:
        own.check_is_new(own.likenesses([before], caller="OFFICE"))
    assert str(refused.value) == (
        "b.csv: this file was imported on 2026-01-05 08:30 UTC from a.csv, under the source 'b.csv', by the client 'TILL', "
        "and its rows were read otherwise. If it is the same file, say --source 'b.csv' and use a key of the client 'TILL' "
        "and give the options of then (--amount Sum), and nothing is posted twice; if it is to be posted all the same, say "
        "--again"
    )
