"""One stored event of each topic. A file here is never edited: what it holds is in the logs of those who run us."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from domain.aggregates import TOPICS, decode
from domain.event import encode, stored
from domain.wallet import WalletOpened

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"


def golden(topic: str) -> bytes:
    return (GOLDEN / f"{topic}.json").read_bytes().rstrip()


def test_every_topic_has_a_golden_event() -> None:
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


def test_a_stored_type_is_registered_under_its_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.event.registered", registered := {})
    assert stored(WalletOpened) is WalletOpened
    assert registered == {"bursar.wallet.opened.v1": WalletOpened}


def test_a_topic_that_this_version_does_not_know_is_an_error() -> None:
    with pytest.raises(KeyError):
        decode("bursar.wallet.opened.v99", b"{}")


@pytest.mark.parametrize(
    "module",
    [
        "projections.engine.runner",
        "adapters.kafka.relay",
        "adapters.quickbooks.process",
        "adapters.postgres.verify",
        "api.app",
    ],
)
def test_whoever_reads_events_knows_all_of_them(module: str) -> None:
    """In a process that imports this alone, as a worker does."""
    program = f"import {module}\nfrom domain.aggregates import TOPICS\nprint(*sorted(TOPICS))"
    known = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(known.stdout.split()) == {path.stem for path in GOLDEN.iterdir()}
