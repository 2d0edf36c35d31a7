from typing import Any

from domain import provider_receipt
from domain.errors import Code
from domain.provider_receipt import ProviderReceiptClaimed
from tests.support.given import MOVED, TRANSACTION, given

STREAM = "greenhill/receipt/mpesa/RKT1"
FIELDS: dict[str, Any] = {"provider": "mpesa", "reference": "RKT1"}
CLAIMED = ProviderReceiptClaimed(**FIELDS, **MOVED, amount=5, currency="KES")


def claim(state: Any) -> ProviderReceiptClaimed:
    return provider_receipt.claim(state, TRANSACTION, **FIELDS, amount_minor=5)


def test_money_from_outside_enters_once() -> None:
    given(STREAM).when(claim).then(CLAIMED, claimed_by=MOVED["transaction_id"])


def test_a_second_claim_names_the_first() -> None:
    given(STREAM, CLAIMED).when(claim).then_refused(
        Code.REFERENCE_ALREADY_USED,
        provider="mpesa",
        reference="RKT1",
        transaction_id=MOVED["transaction_id"],
    )
