"""Imports of files: what is recorded of them."""

from api.operations.form import CommandForm, ReadForm
from api.operations.shared import PAGE_END, RECORDED, TRANSACTION, event
from domain.capability import Capability
from domain.errors import Code
from projections.engine.reading import Page
from projections.views.imports import ImportView

_FACTS = {
    "source": "canteen.csv",
    "name": "canteen.csv",
    "sha256": "6b1d5e4c0f8a2b7c9d3e1f60718293a4b5c6d7e8f90a1b2c3d4e5f6071829304",
    "read": 3,
    "posted": 2,
    "already_there": 0,
    "rejected": 1,
}
_OPTIONS = "--customer Student --date Day --amount Total"
_SKETCH = ["0a1b2c3d4e5f6071", "5e4c0f8a2b7c9d3e"]
_READINGS = ["3d9f1a0b52c6e7485e4c0f8a2b7c9d3e", "8be07c41d2a5936f0a1b2c3d4e5f6071"]

FORMS = (
    CommandForm(
        action="import.record",
        path="/imports",
        id="record_import",
        tag="Imports",
        summary="Record an import",
        codes=(Code.IMPORT_NOT_FOUND, Code.IMPORT_FINISHED),
        request={**_FACTS, "sketch": _SKETCH, "readings": _READINGS, "options": _OPTIONS, "finished": True},
        key="import-canteen-2026-11-22",
        answer={"id": TRANSACTION, "client": "OFFICE", "finished": True},
        last_event=event(
            "import.recorded",
            f"import/{TRANSACTION}",
            id=TRANSACTION,
            **_FACTS,
            sketch=_SKETCH,
            finished=True,
            **RECORDED,
            client="OFFICE",
            options=_OPTIONS,
            readings=_READINGS,
        ),
    ),
    ReadForm(
        path="/imports",
        id="list_imports",
        tag="Imports",
        summary="List imports",
        description="The imports of files that were recorded, the newest first; with their sketches where asked for.",
        answer_type=Page[ImportView, int],
        capabilities=(Capability.STATEMENT_READ,),
        answer={
            "data": [
                {
                    "id": TRANSACTION,
                    **_FACTS,
                    "finished": True,
                    "at": "2026-11-22T09:30:00Z",
                    "position": 1043,
                    "client": "OFFICE",
                    "options": _OPTIONS,
                }
            ],
            **PAGE_END,
        },
    ),
)
