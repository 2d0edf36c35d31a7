"""What holds for each aggregate alike."""

from typing import Any

import pytest

from domain import export_batch
from domain.aggregates import AGGREGATES, TOPICS, Unreadable, advance, apply, decode, initial
from domain.export_batch import ExportRequested
from domain.ledger_account import LedgerAccount
from projections.engine import snapshots
from tests.domain.test_golden import golden
from tests.support.given import AT, fold, given

REQUESTED = ExportRequested(batch="b-1", channel="quickbooks", recorded_at=AT)
OF_KIND = {"wallet": "bursar.wallet.opened.v1", "invoice": "bursar.invoice.drafted.v1"}


@pytest.mark.parametrize("kind", sorted(AGGREGATES))
def test_an_event_of_another_aggregate_is_a_programming_error(kind: str) -> None:
    foreign = OF_KIND["invoice" if kind == "wallet" else "wallet"]
    event = decode(foreign, golden(foreign))
    with pytest.raises(AssertionError, match=type(event).__name__):
        apply(initial(f"t/{kind}/1"), event)


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_every_event_belongs_to_one_aggregate_whose_state_a_snapshot_keeps(topic: str) -> None:
    takers = []
    for kind in AGGREGATES:
        stream = f"t/{kind}/1"
        state: Any = initial(stream)
        if topic == "bursar.sale.refunded.v1" and kind == "sale":
            state = fold(stream, [decode(other, golden(other)) for other in ("bursar.sale.completed.v1",)])
        try:
            apply(state, decode(topic, golden(topic)))
        except AssertionError:
            continue
        takers.append(kind)
        assert snapshots.decode_state(stream, snapshots.encode_state(state)) == state
    assert len(takers) == 1


def test_a_snapshot_keeps_sums_beyond_64_bits() -> None:
    state = LedgerAccount(version=3, net_minor=10**30)
    assert snapshots.decode_state("t/account/1000", snapshots.encode_state(state)) == state


WALLET_OPENED, WALLET_FROZEN = "bursar.wallet.opened.v1", "bursar.wallet.frozen.v1"


def test_a_state_moves_on_by_its_stored_events() -> None:
    state = initial("t/wallet/1")
    for topic in (WALLET_OPENED, WALLET_FROZEN):
        assert advance(state, topic, golden(topic)) is state, "in place"
    assert state == fold(
        "t/wallet/1", [decode(topic, golden(topic)) for topic in (WALLET_OPENED, WALLET_FROZEN)]
    )
    assert state.version == 2


@pytest.mark.parametrize(
    ("topic", "stored"), [("bursar.wallet.opened.v99", b"{}"), (WALLET_FROZEN, b"{}"), (WALLET_FROZEN, b"{")]
)
def test_what_cannot_be_read_makes_the_stream_unreadable_from_then_on(topic: str, stored: bytes) -> None:
    opened = advance(initial("t/wallet/1"), WALLET_OPENED, golden(WALLET_OPENED))
    unreadable = advance(opened, topic, stored)
    assert unreadable == Unreadable(version=2, topic=topic)
    after = advance(unreadable, WALLET_FROZEN, golden(WALLET_FROZEN))
    assert after == Unreadable(version=3, topic=topic), "it counts on, and names the first"


def test_an_export_is_requested() -> None:
    given("t/export/b-1").when(lambda _: export_batch.request(batch="b-1", recorded_at=AT)).then(REQUESTED)
