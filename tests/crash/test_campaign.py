"""Every part of `up`, and `up` itself, killed again and again under load: nothing is lost, nothing is doubled."""

import os
import threading
import time
from pathlib import Path

import pytest

from ops.kafka_broker import Broker
from tests.support.campaign import Account, check_everything, kill_parts, load
from tests.support.up import Up, running

CAMPAIGN_SECONDS = float(os.environ.get("BURSAR_CAMPAIGN_SECONDS", "180"))
PARTS = {"api", "postgres", "quickbooks", "projector", "exporter"}


def campaign(
    up: Up, *, seconds: float, every: tuple[float, float], kills_of_up: int, pause_seconds: float = 0.0
) -> None:
    account, began = Account(), time.monotonic()
    with load(up, account, name="PARTS", pause_seconds=pause_seconds) as check:
        kills = kill_parts(up, seconds=seconds, every=every, check=check)
    assert set(kills) == PARTS | set(up.pids)
    check_everything(up, account)
    with load(up, account, name="WHOLE", pause_seconds=pause_seconds) as check:
        for _ in range(kills_of_up):
            threading.Event().wait(every[0])
            check()
            up.kill()
            up.start()
    check_everything(up, account)
    documents = sum(sum(batch["documents"].values()) for batch in account.exports)
    print(
        f"\n{time.monotonic() - began:.0f} s; killed {dict(sorted(kills.items()))} and up {kills_of_up} times; "
        f"{len(account.acknowledged)} commands acknowledged, {len(account.refused)} refused, "
        f"{account.again} attempts that had to be repeated; "
        f"{len(account.exports)} exports ended with {documents} documents"
    )
    assert account.acknowledged
    assert account.refused
    assert account.again  # else the kills met nothing


@pytest.mark.timeout(600)  # 40 s of kills, and all the checks twice
def test_every_part_is_killed_on_kafka(shared_folder: Path, kafka: Broker) -> None:
    with running(shared_folder / "crash-short", kafka=kafka.bootstrap_servers) as up:
        campaign(up, seconds=40, every=(2.0, 4.0), kills_of_up=1, pause_seconds=0.05)


@pytest.mark.campaign
@pytest.mark.timeout(1200 + 3 * CAMPAIGN_SECONDS)
def test_campaign_on_the_postgres_feed(shared_folder: Path) -> None:
    with running(shared_folder / "crash-postgres") as up:
        campaign(up, seconds=CAMPAIGN_SECONDS, every=(0.5, 5.0), kills_of_up=4)


@pytest.mark.campaign
@pytest.mark.timeout(1200 + 3 * CAMPAIGN_SECONDS)
def test_campaign_on_kafka(shared_folder: Path, kafka: Broker) -> None:
    with running(shared_folder / "crash-kafka", kafka=kafka.bootstrap_servers) as up:
        campaign(up, seconds=CAMPAIGN_SECONDS, every=(0.5, 5.0), kills_of_up=4)
