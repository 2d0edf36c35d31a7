"""Exports to QuickBooks, and what became of them."""

from api.errors import HttpCode
from api.operations.form import CommandForm, ReadForm
from api.operations.shared import PAGE_END, RECORDED, TRANSACTION, event
from domain.capability import Capability
from projections.engine.reading import Page
from projections.views.export_batches import ExportBatchView
from projections.views.export_documents import DocumentKey, ExportDocument
from projections.views.export_reasons import ExportReason

_BATCH = {
    "batch_id": TRANSACTION,
    "status": "completed",
    "reason": None,
    "position": 1043,
    "requested_at": "2026-11-22T09:30:00Z",
    "finished_at": "2026-11-22T09:30:02Z",
    "documents": {"confirmed": 1},
}
_DOCUMENT = {
    "id": 4711,
    "kind": "SalesReceipt",
    "number": "RCT-2026-000017",
    "source": {"transaction_id": TRANSACTION, "leg": 0},
    "state": "needs_mapping",
    "code": "customer_inactive",
    "reason": "The customer STU-0042 is inactive in QuickBooks.",
    "remedy": ExportReason.CUSTOMER_INACTIVE.remedy,
    "quickbooks_id": None,
    "amount": 150000,
    "attempts": 0,
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
    ReadForm(
        path="/quickbooks/exports/{batch}/documents",
        id="list_export_documents",
        tag="QuickBooks",
        summary="List an export's documents",
        description="The documents that a batch covers, in the order of the log, also those of one `state` alone. "
        "`reason` says why one is not in QuickBooks, and `remedy` what to do about it.",
        answer_type=Page[ExportDocument, DocumentKey],
        capabilities=(Capability.EXPORT_RUN,),
        codes=(HttpCode.EXPORT_NOT_FOUND,),
        answer={"data": [_DOCUMENT], **PAGE_END},
    ),
)
