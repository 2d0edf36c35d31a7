"""Exports to QuickBooks, and what became of them."""

from api.errors import HttpCode
from api.operations.form import CommandForm, ReadForm
from api.operations.shared import PAGE_END, RECORDED, TRANSACTION, event
from domain.capability import Capability
from projections.engine.reading import Page
from projections.views.export_batches import ExportBatchView

_BATCH = {
    "batch_id": TRANSACTION,
    "status": "completed",
    "reason": None,
    "position": 1043,
    "requested_at": "2026-11-22T09:30:00Z",
    "finished_at": "2026-11-22T09:30:02Z",
    "documents": {"confirmed": 1},
}

FORMS = (
    CommandForm(
        action="quickbooks.export",
        path="/quickbooks/export",
        id="request_export",
        tag="QuickBooks",
        summary="Request an export",
        in_bulk=False,
        request={},
        key="export-2026-11-22",
        answer={"batch_id": TRANSACTION, "status": "queued"},
        last_event=event(
            "export.requested",
            f"export/{TRANSACTION}",
            batch=TRANSACTION,
            channel="quickbooks",
            **RECORDED,
        ),
    ),
    ReadForm(
        path="/quickbooks/exports",
        id="list_exports",
        tag="QuickBooks",
        summary="List exports",
        description="The export batches that the exporter has taken up, the newest first.",
        answer_type=Page[ExportBatchView, int],
        capabilities=(Capability.EXPORT_RUN,),
        answer={"data": [_BATCH], **PAGE_END},
    ),
    ReadForm(
        path="/quickbooks/exports/{batch}",
        id="get_export",
        tag="QuickBooks",
        summary="Follow an export",
        description="One export batch; it has ended where its status is `completed` or `needs_attention`.",
        answer_type=ExportBatchView,
        capabilities=(Capability.EXPORT_RUN,),
        codes=(HttpCode.EXPORT_NOT_FOUND,),
        answer=_BATCH,
    ),
)
