"""The export command: what is posted so far shall go to QuickBooks."""

from application.command import Command, CommandSpec, Unit
from domain import export_batch
from domain.ids import export_stream


class RequestExport(Command, frozen=True, kw_only=True):
    """Queue an export of all that is posted and not yet confirmed by QuickBooks."""


def handle_request(command: RequestExport, unit: Unit) -> dict[str, str]:
    del command
    batch = unit.command_id
    unit.create(
        export_stream(unit.tenant_name, batch),
        export_batch.request(batch=batch, recorded_at=unit.recorded_at),
    )
    return {"batch_id": batch, "status": "queued"}


SPECS = (
    CommandSpec(
        action="quickbooks.export",
        type=RequestExport,
        handler=handle_request,
        capability="export.run",
        status=202,
    ),
)
