"""What holds for each aggregate alike."""

from typing import Any

import pytest

from domain import export_batch
from domain.aggregates import AGGREGATES, TOPICS, apply, decode, initial
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
    with pytest.raises(AssertionError):
        apply(initial(f"t/{kind}/1"), decode(foreign, golden(foreign)))


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
    state = LedgerAccount(version=3, debits_minor=10**30, credits_minor=10**29)
    assert snapshots.decode_state("t/account/1000", snapshots.encode_state(state)) == state


def test_an_export_is_requested() -> None:
    given("t/export/b-1").when(lambda _: export_batch.request(batch="b-1", recorded_at=AT)).then(REQUESTED)
