"""The service itself, and many commands in one request."""

from api.operations.form import BulkForm, ReadForm
from api.operations.wallets import TOP_UP
from api.reads.service import Ping
from domain.capability import Capability

BULK = BulkForm(
    path="/bulk",
    id="run_bulk",
    tag="Bulk",
    summary="Run many commands",
    request=[
        {
            "action": TOP_UP.action,
            "idempotency_key": TOP_UP.key,
            "data": {"account": "STU-0042", **TOP_UP.request},
        }
    ],
    answer={
        "data": [{"status": 201, "code": None, "position": 1042, "replayed": False, "data": TOP_UP.answer}]
    },
)

FORMS = (
    ReadForm(
        path="/ping",
        id="ping",
        tag="Service",
        summary="Ping the service",
        description="Whose key this is, the service's version, and how far the log and each projection are.",
        answer_type=Ping,
        capabilities=(Capability.WALLET_READ, Capability.ACCOUNT_READ),
        answer={
            "tenant": "greenhill",
            "version": "0.1.0",
            "position": 1042,
            "projections": {"wallets": 1042, "ledger": 1042},
            "currency": "KES",
            "time_zone": "Africa/Nairobi",
        },
    ),
)
