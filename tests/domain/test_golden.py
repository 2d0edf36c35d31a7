"""One stored event of each topic. A file here is never edited: what it holds is in the logs of those who run us."""

from pathlib import Path

import msgspec
import pytest

from application.commands import COMMANDS
from domain.event import TOPICS, decode, encode, stored
from domain.wallet import WalletOpened

GOLDEN = Path(__file__).parent / "golden"


def golden(topic: str) -> bytes:
    return (GOLDEN / f"{topic}.json").read_bytes().rstrip()


def test_every_topic_has_a_golden_event() -> None:
    assert COMMANDS, "importing the commands has registered every event"
    assert {path.stem for path in GOLDEN.iterdir()} == set(TOPICS)


@pytest.mark.parametrize("topic", sorted(path.stem for path in GOLDEN.iterdir()))
def test_a_stored_event_loads_for_ever(topic: str) -> None:
    event = decode(topic, golden(topic))
    assert type(event) is TOPICS[topic]
    stored_fields = msgspec.json.decode(golden(topic))
    again = msgspec.json.decode(encode(event))
    assert {name: again[name] for name in stored_fields} == stored_fields, "no field is lost or changed"


def test_a_topic_is_never_taken_twice() -> None:
    with pytest.raises(AssertionError):
        stored(WalletOpened)


def test_a_topic_that_this_version_does_not_know_is_an_error() -> None:
    with pytest.raises(KeyError):
        decode("bursar.wallet.opened.v99", b"{}")
