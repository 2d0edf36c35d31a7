import pytest

from domain import reversal
from domain.errors import Code
from domain.provider_receipt import PROVIDERS
from domain.reversal import Reversal, TransactionReversed
from tests.support.given import MOVED, TRANSACTION, given

STREAM = "greenhill/transaction/t-1"
REVERSED = TransactionReversed(**MOVED, reverses="t-1", reason="Wrong wallet", receipt="R-2")


def do_reverse(state: Reversal) -> TransactionReversed:
    return reversal.reverse(state, TRANSACTION, reverses="t-1", reason="Wrong wallet", receipt="R-2")


def test_a_transaction_is_reversed_once() -> None:
    given(STREAM).when(do_reverse).then(REVERSED, reversed_by=MOVED["transaction_id"])
    given(STREAM, REVERSED).when(do_reverse).then_refused(
        Code.ALREADY_REVERSED,
        f"Transaction t-1 was reversed by transaction {MOVED['transaction_id']}.",
        transaction_id=MOVED["transaction_id"],
    )


@pytest.mark.parametrize("tender", sorted(PROVIDERS))
def test_what_a_provider_brought_it_alone_takes_back(tender: str) -> None:
    given(STREAM).when(lambda _: reversal.check_tender(tender)).then_refused(
        Code.NOT_REVERSIBLE, f"Money that came by {tender} is taken back by its provider alone."
    )


@pytest.mark.parametrize("tender", ["wallet", "cash", "bank"])
def test_other_money_is_taken_back(tender: str) -> None:
    reversal.check_tender(tender)
