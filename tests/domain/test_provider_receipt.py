from typing import Any

import pytest

from domain import provider_receipt
from domain.errors import Code
from domain.provider_receipt import ProviderReceiptClaimed, check_unnamed
from tests.support.given import MOVED, TRANSACTION, given

STREAM = "greenhill/receipt/mpesa/RKT1"
FIELDS: dict[str, Any] = {"provider": "mpesa", "reference": "RKT1"}
FIRST: dict[str, Any] = {**FIELDS, "transaction_id": MOVED["transaction_id"]}
"""What everybody hears of a second claim."""
CLAIMED = ProviderReceiptClaimed(**FIELDS, **MOVED, amount=5, currency="KES", account="STU-1")


def claim(state: Any) -> ProviderReceiptClaimed:
    return provider_receipt.claim(
        state, TRANSACTION, **FIELDS, amount_minor=5, account="STU-1", may_read=True
    )


def claim_for_an_invoice(state: Any) -> ProviderReceiptClaimed:
    return provider_receipt.claim(state, TRANSACTION, **FIELDS, amount_minor=7, account=None, may_read=False)


def test_money_from_outside_enters_once() -> None:
    given(STREAM).when(claim).then(CLAIMED, claimed_by=MOVED["transaction_id"])


def test_a_second_claim_names_the_first() -> None:
    given(STREAM, CLAIMED).when(claim).then_refused(
        Code.REFERENCE_ALREADY_USED,
        **FIRST,
        amount=5,
        account="STU-1",
    )
    settled = ProviderReceiptClaimed(**FIELDS, **MOVED, amount=7, currency="KES")
    given(STREAM).when(claim_for_an_invoice).then(settled, account=None)
    given(STREAM, settled).when(claim).then_refused(
        Code.REFERENCE_ALREADY_USED,
        **FIRST,
        amount=7,
    )


def test_who_may_not_read_wallets_hears_no_amount() -> None:
    given(STREAM, CLAIMED).when(claim_for_an_invoice).then_refused(
        Code.REFERENCE_ALREADY_USED,
        **FIRST,
    )


@pytest.mark.parametrize("policy", [False, True])
def test_mpesa_money_names_its_reference(policy: bool) -> None:
    given(STREAM).when(lambda _: check_unnamed("mpesa", card_reference=policy)).then_refused(
        Code.REFERENCE_REQUIRED, "A tender of type mpesa names its reference."
    )


def test_money_by_card_names_it_where_the_policy_says_so() -> None:
    check_unnamed("card", card_reference=False)
    given(STREAM).when(lambda _: check_unnamed("card", card_reference=True)).then_refused(
        Code.REFERENCE_REQUIRED, "A tender of type card names its reference."
    )


@pytest.mark.parametrize("provider", ["wallet", "cash", "bank"])
def test_other_money_need_not(provider: str) -> None:
    check_unnamed(provider, card_reference=True)
