"""The reference for the writer: the eventsourcing library as it is meant, with the events of a real top-up."""

import os
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event


class _Named(Aggregate):
    @event("Opened")
    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0

    @staticmethod
    def create_id(name: str) -> UUID:
        return uuid5(NAMESPACE_URL, name)


class LibraryWallet(_Named):
    @event("ToppedUp")
    def top_up(
        self, transaction_id: str, effective_date: str, recorded_at: datetime, amount: int, receipt: str
    ) -> None:
        self.total += amount


class LibraryAccount(_Named):
    @event("Posted")
    def post(
        self, transaction_id: str, effective_date: str, recorded_at: datetime, amount: int, role: str
    ) -> None:
        self.total += amount


class LibrarySeries(_Named):
    @event("Allocated")
    def allocate(self, document: str, recorded_at: datetime, amount: int) -> None:
        self.total += 1


class LibrarySchool(Application):
    """One process behind a mutex: a top-up is four events on four aggregates in one save."""

    env = {  # noqa: RUF012  the library names the attribute so
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "AGGREGATE_CACHE_MAXSIZE": "1000",
        "AGGREGATE_CACHE_FASTFORWARD": "n",
    }

    def open(self) -> None:
        for kind, name in _PARTS:
            try:
                self.repository.get(kind.create_id(name))
            except AggregateNotFoundError:
                self.save(kind(name))

    def top_up(self, transaction_id: str, amount: int) -> None:
        now = datetime.now(UTC)
        wallet, debited, credited, series = (
            self.repository.get(kind.create_id(name)) for kind, name in _PARTS
        )
        assert isinstance(wallet, LibraryWallet)
        assert isinstance(debited, LibraryAccount)
        assert isinstance(credited, LibraryAccount)
        assert isinstance(series, LibrarySeries)
        debited.post(transaction_id, now.date().isoformat(), now, amount, "till_cash")
        credited.post(transaction_id, now.date().isoformat(), now, -amount, "wallet_liability")
        series.allocate(transaction_id, now, amount)
        wallet.top_up(transaction_id, now.date().isoformat(), now, amount, f"RCT-{series.total:06d}")
        self.save(debited, credited, series, wallet)


_PARTS: list[tuple[type[_Named], str]] = [
    (LibraryWallet, "wallet"),
    (LibraryAccount, "1000"),
    (LibraryAccount, "2100"),
    (LibrarySeries, "receipt"),
]


def school(database_url: str, *, fastforward: bool) -> LibrarySchool:
    """The library's application on a database of its own."""
    url = urlsplit(database_url)
    return LibrarySchool(
        env={
            "POSTGRES_DBNAME": url.path.strip("/"),
            "POSTGRES_HOST": url.hostname or "",
            "POSTGRES_PORT": str(url.port),
            "POSTGRES_USER": url.username or "",
            "POSTGRES_PASSWORD": url.password or "",
            "AGGREGATE_CACHE_FASTFORWARD": "y" if fastforward else "n",
        }
    )


def top_ups_per_second(app: LibrarySchool, *, seconds: float) -> float:
    """How many top-ups a second one caller after the other gets done."""
    app.open()
    began = time.perf_counter()
    done = 0
    while time.perf_counter() - began < seconds:
        app.top_up(os.urandom(16).hex(), 1000)
        done += 1
    return done / (time.perf_counter() - began)
