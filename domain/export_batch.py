"""The export batch: somebody asked that what is posted so far goes to QuickBooks."""

from datetime import datetime
from typing import ClassVar

from domain.event import Event, State, stored


@stored
class ExportRequested(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.export.requested.v1"
    batch: str
    channel: str
    recorded_at: datetime


class ExportBatch(State, kw_only=True):
    """Only that it was asked for: what became of it is the exporter's own record."""


def evolve(state: ExportBatch, event: Event) -> None:
    assert isinstance(event, ExportRequested), (state, event)


def request(*, batch: str, recorded_at: datetime) -> ExportRequested:
    return ExportRequested(batch=batch, channel="quickbooks", recorded_at=recorded_at)
