"""The form that is filled in for each operation: its route, what the document says of it beyond its types, its example.

A test tries every example against the service.
"""

from typing import Any

import msgspec

from domain.capability import Capability
from domain.errors import ErrorCode

Codes = tuple[ErrorCode, ...]


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What all operations have.

    `path` stands below `/v2/finance`. `id` names the operation in a generated client. `codes` are the refusals that
    are its own, beside those of its class (`api.openapi.refusals`). `answer` is the example of what it answers.
    """

    path: str
    id: str
    tag: str
    summary: str
    codes: Codes = ()
    answer: Any


class CommandForm(Form, frozen=True, kw_only=True):
    """A command's route, whose parameter is the command's `path`.

    `request` and `key` are the example of its body and of its idempotency key, `last_event` that of the last event
    of its dry run. `in_bulk` says whether the command may stand in bulk.
    """

    action: str
    method: str = "POST"
    in_bulk: bool = True
    request: dict[str, Any]
    key: str
    last_event: dict[str, Any]

    def dry_run(self) -> dict[str, Any]:
        """The example of what a dry run answers, its events cut down to the last."""
        answer = dict(self.answer)
        if "receipt" in answer:
            receipt = answer["receipt"]
            answer["receipt"] = {**receipt, "qr": receipt["qr"].replace("/k1.", "/dry-run.")}
        return {"dry_run": True, "answer": answer, "events": [self.last_event]}


class ReadForm(Form, frozen=True, kw_only=True):
    """A read: what it tells, the type of its answer, and the capabilities of which one is enough.

    `query` is the example of the parameters without which it cannot be asked.
    """

    description: str
    query: dict[str, str] = {}
    answer_type: Any
    capabilities: tuple[Capability, ...] = ()


class BulkForm(Form, frozen=True, kw_only=True):
    """Many commands in one request, of which `request` is the example."""

    request: list[dict[str, Any]]
