"""Holds on wallets."""

from api.operations.form import CommandForm, ReadForm
from api.operations.shared import (
    PAGE_END,
    RECEIPT,
    RECORDED,
    TAKES_WALLETS,
    TRANSACTION,
    event,
    wallet_event,
    wallet_of,
)
from domain.capability import Capability
from domain.errors import Code
from domain.wallet import HoldView
from projections.engine.reading import Page

HOLD = {
    "id": "01932d6c-91d4-7f02-b6a3-0c7e4d2f8b15",
    "account": "STU-0042",
    "amount": 30000,
    "captured": 0,
    "status": "active",
    "expires_at": "2026-11-29T09:30:00.123456Z",
    "currency": "KES",
    "description": "Uniform, to be fetched",
}
_ENDS = (Code.HOLD_NOT_FOUND, Code.HOLD_NOT_ACTIVE, *TAKES_WALLETS)

FORMS = (
    CommandForm(
        action="wallet.hold",
        path="/wallets/{account}/holds",
        id="place_hold",
        tag="Wallets",
        summary="Place a hold",
        codes=(
            Code.INSUFFICIENT_FUNDS,
            Code.TOO_MANY_HOLDS,
            Code.EXPIRES_AT_OUT_OF_RANGE,
            Code.AMOUNT_TOO_LARGE,
            Code.CURRENCY_MISMATCH,
            *TAKES_WALLETS,
        ),
        request={"amount": 30000, "currency": "KES", "description": "Uniform, to be fetched"},
        key="hold-uniform-0042",
        answer={"hold": HOLD, "wallet": wallet_of(145000, held_minor=30000)},
        last_event=event(
            "wallet.held",
            "wallet/STU-0042",
            account="STU-0042",
            hold=HOLD["id"],
            amount=30000,
            currency="KES",
            description="Uniform, to be fetched",
            expires_at=HOLD["expires_at"],
            **RECORDED,
        ),
    ),
    CommandForm(
        action="hold.capture",
        path="/holds/{hold}/capture",
        id="capture_hold",
        tag="Wallets",
        summary="Capture a hold",
        codes=(
            *_ENDS,
            Code.CAPTURE_EXCEEDS_HOLD,
            Code.INSUFFICIENT_FUNDS,
            Code.UNKNOWN_INCOME_ROLE,
            Code.CURRENCY_MISMATCH,
            Code.AMOUNT_TOO_LARGE,
            Code.ACCOUNT_NOT_OPEN,
            Code.SERIES_EXHAUSTED,
        ),
        request={"amount": 25000, "income": "shop"},
        key="fetched-uniform-0042",
        answer={
            "transaction_id": TRANSACTION,
            "hold": {**HOLD, "captured": 25000, "status": "captured"},
            "wallet": wallet_of(120000),
            "receipt": RECEIPT,
        },
        last_event=wallet_event("charged", 25000, "Uniform, to be fetched", purpose="charge", income="shop"),
    ),
    CommandForm(
        action="hold.release",
        path="/holds/{hold}/release",
        id="release_hold",
        tag="Wallets",
        summary="Release a hold",
        codes=_ENDS,
        request={},
        key="release-uniform-0042",
        answer={"hold": {**HOLD, "status": "released"}, "wallet": wallet_of(145000)},
        last_event=event(
            "wallet.hold_released",
            "wallet/STU-0042",
            account="STU-0042",
            hold=HOLD["id"],
            amount=30000,
            **RECORDED,
        ),
    ),
    ReadForm(
        path="/holds/{hold}",
        id="get_hold",
        tag="Wallets",
        summary="Get a hold",
        description="One hold, with the status that it has now.",
        answer_type=HoldView,
        capabilities=(Capability.WALLET_READ,),
        codes=(Code.HOLD_NOT_FOUND,),
        answer=HOLD,
    ),
    ReadForm(
        path="/wallets/{account}/holds",
        id="list_holds",
        tag="Wallets",
        summary="List a wallet's holds",
        description="The holds on a wallet in the order in which they were placed, with the status that each has now.",
        answer_type=Page[HoldView, str],
        capabilities=(Capability.WALLET_READ,),
        codes=(Code.WALLET_NOT_FOUND,),
        answer={"data": [HOLD], **PAGE_END},
    ),
)
