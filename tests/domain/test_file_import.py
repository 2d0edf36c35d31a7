"""The import of a file: begun, gone on with, and finished once."""

import pytest

from domain import file_import
from domain.errors import Code
from domain.file_import import ImportRecorded
from tests.support.given import AT, given

STREAM = "t/import/i-1"
FACTS = {
    "source": "a.csv",
    "name": "a.csv",
    "sha256": "a" * 64,
    "read": 0,
    "posted": 0,
    "already_there": 0,
    "rejected": 0,
    "sketch": ("0" * 16, "f" * 16),
    "finished": False,
    "client": "TILL",
    "options": "--amount Total",
    "readings": ("0" * 32, "f" * 32),
}


def recorded(**changes: object) -> ImportRecorded:
    return ImportRecorded(**{**FACTS, "id": "i-1", "recorded_at": AT, **changes})


def go_on(**changes: object):
    return lambda state: file_import.go_on(state, recorded(**changes))


def test_an_import_begins() -> None:
    given(STREAM).when(lambda _: file_import.begin(recorded())).then(recorded())


def test_what_became_of_it_is_recorded_until_it_has_finished() -> None:
    broken_off, finished = {"read": 2, "posted": 2}, {"read": 3, "posted": 2, "rejected": 1, "finished": True}
    given(STREAM, recorded()).when(go_on(**broken_off)).then(recorded(**broken_off))
    given(STREAM, recorded(), recorded(**broken_off)).when(go_on(**finished)).then(recorded(**finished))
    given(STREAM, recorded(**finished)).when(go_on()).then_refused(Code.IMPORT_FINISHED)


def test_an_import_that_began_before_its_client_was_known_goes_on() -> None:
    before = recorded(client=None, options=None, readings=())
    given(STREAM, before).when(go_on(finished=True)).then(recorded(finished=True))


def test_an_import_that_never_began_does_not_go_on() -> None:
    given(STREAM).when(go_on()).then_refused(Code.IMPORT_NOT_FOUND)


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "b.csv"},
        {"sha256": "b" * 64},
        {"client": "OFFICE"},
    ],
)
def test_another_file_or_what_does_not_add_up_is_refused(changes: dict[str, object]) -> None:
    given(STREAM, recorded()).when(go_on(**changes)).then_refused(Code.INVALID_REQUEST)


@pytest.mark.parametrize(
    "counts",
    [{"read": 1}, {"read": 1, "posted": 2, "already_there": 1}, {"read": 6, "posted": 1, "rejected": 4}],
)
def test_counts_that_do_not_add_up_are_refused(counts: dict[str, object]) -> None:
    given(STREAM, recorded()).when(go_on(**counts)).then_refused(
        Code.INVALID_REQUEST, "read is posted, already_there and rejected together."
    )


@pytest.mark.parametrize("sketch", [("f" * 16, "0" * 16), ("0" * 16, "0" * 16)])
def test_hashes_out_of_order_are_refused(sketch: tuple[str, ...]) -> None:
    given(STREAM, recorded()).when(go_on(sketch=sketch)).then_refused(
        Code.INVALID_REQUEST, "The hashes of the sketch ascend, each of them once."
    )


@pytest.mark.parametrize("readings", [("f" * 32, "0" * 32), ("0" * 32, "0" * 32)])
def test_readings_out_of_order_are_refused(readings: tuple[str, ...]) -> None:
    given(STREAM, recorded()).when(go_on(readings=readings)).then_refused(
        Code.INVALID_REQUEST, "The readings ascend, each of them once."
    )
