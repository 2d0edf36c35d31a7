"""The export command: what is posted so far shall go to QuickBooks."""

import msgspec

from application.pipeline.command import Command, CommandSpec
from application.pipeline.unit_of_work import UnitOfWork
from domain import export_batch
from domain.capability import Capability
from domain.ids import export_stream


class RequestExport(Command, frozen=True, kw_only=True):
    """Queue an export of all that is posted and not yet confirmed by QuickBooks."""


# --- answers


class ExportQueued(msgspec.Struct, frozen=True, kw_only=True):
    """An export batch that was asked for."""

    batch_id: str
    status: str


# --- handlers


def handle_request(command: RequestExport, unit: UnitOfWork) -> ExportQueued:
    del command
    batch = unit.command_id
    unit.create(
        export_stream(unit.tenant_name, batch),
        export_batch.request(batch=batch, recorded_at=unit.recorded_at),
    )
    return ExportQueued(batch_id=batch, status="queued")


SPECS = (
    CommandSpec(
        action="quickbooks.export",
        command_type=RequestExport,
        handler=handle_request,
        answer_type=ExportQueued,
        capability=Capability.EXPORT_RUN,
        status=202,
    ),
)
