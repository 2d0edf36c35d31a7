"""Which documents a reversal becomes."""

from decimal import Decimal
from typing import Any

from tests.adapters.quickbooks.mapping.test_documents import (
    CHART,
    invoice,
    lines,
    made,
    resolved,
    school_with,
)
from tests.support.school import School


def reverse(school: School, transaction_id: str) -> str:
    """The number of the reversal's receipt."""
    found = school.run("transaction.reverse", transaction=transaction_id, reason="Wrong wallet")
    return str(found["receipt"]["number"])


def test_a_top_up_taken_back_is_a_refund_of_the_wallet_item_from_where_it_went() -> None:
    school = school_with(W1=100)
    source = {"type": "bank", "reference": "SLIP-1"}
    topped_up = school.run("wallet.top_up", account="W1", amount=900, source=source)
    number = reverse(school, topped_up["transaction_id"])
    (refund,) = made(school)
    assert (refund.kind, refund.number, refund.customer) == ("RefundReceipt", number, "W1")
    assert lines(refund) == [("wallet_liability", Decimal("9.00"))]
    body = resolved(refund)
    assert body["DepositToAccountRef"]["value"] == f"Account/{CHART['bank']}"
    assert f"reverses {topped_up['transaction_id']}" in body["PrivateNote"]
    assert f"Reversal of {topped_up['receipt']['number']}" in body["Line"][0]["Description"]


def test_a_charge_taken_back_is_its_journal_entry_with_the_sides_changed() -> None:
    school = school_with(W1=500)
    charged = school.run("wallet.charge", account="W1", amount=120, description="Fine", income="meals")
    number = reverse(school, charged["transaction_id"])
    (entry,) = made(school)
    assert (entry.kind, entry.number, entry.amount_minor) == ("JournalEntry", number, 120)
    sides = [
        (line["JournalEntryLineDetail"]["PostingType"], line["JournalEntryLineDetail"]["AccountRef"]["value"])
        for line in resolved(entry)["Line"]
    ]
    assert sides == [
        ("Debit", f"Account/{CHART['meals']}"),
        ("Credit", f"Account/{CHART['wallet_liability']}"),
    ]


def test_a_settlement_taken_back_is_a_charge_back_for_each_tender_which_its_payment_pays() -> None:
    school = school_with(**{"FAM-1": 300})
    bill = invoice(school)
    tenders: list[dict[str, Any]] = [
        {"type": "wallet", "amount": 300, "account": "FAM-1"},
        {"type": "bank", "amount": 800, "reference": "SLIP-2"},
    ]
    settled = school.run(
        "invoice.settle", invoice=bill["id"], settle={"tenders": tenders, "effective_date": None}
    )
    first = settled["receipt"]["number"]
    memo, old_link, old_payment, excess = made(school)
    assert (excess.kind, excess.amount_minor) == ("SalesReceipt", 100)
    number = reverse(school, settled["transaction_id"])
    found = made(school)
    assert [(d.kind, d.version, d.number, d.amount_minor, d.invoice, d.credit_memo) for d in found] == [
        ("Invoice", 1, f"{number}-1", 300, None, None),
        ("Payment", 2, f"{first}-1", 0, f"{number}-1", f"{first}-1"),
        ("Invoice", 1, f"{number}-2", 700, None, None),
        ("Payment", 2, f"{first}-2", 700, f"{number}-2", None),
        ("RefundReceipt", 1, f"{number}-2", 100, None, None),
    ]
    by_wallet, link, by_bank, payment, _ = found
    assert lines(by_wallet) == [("wallet_liability", Decimal("3.00"))]
    assert lines(by_bank) == [("bank", Decimal("7.00"))]
    assert resolved(by_bank)["PrivateNote"].startswith(f"charge-back of receipt {first}; ")
    # The payments stay what they were, but for the invoice that they pay.
    for old, new in ((old_link, link), (old_payment, payment)):
        assert (new.source_id, new.effective_date) == (old.source_id, old.effective_date)
        before, after = resolved(old), resolved(new)
        assert (after.pop("Id"), after.pop("SyncToken")) == (
            f"Payment/{old.number}",
            f"SyncToken/{old.number}",
        )
        for body in (before, after):
            del body["PrivateNote"]
        before["Line"][0]["LinkedTxn"][0]["TxnId"] = f"Invoice/{new.invoice}"
        assert after == before
    assert memo.number == link.credit_memo


def test_numbers_stay_short_enough_for_quickbooks() -> None:
    school = school_with(**{"FAM-1": 300})
    settled = school.run(
        "invoice.settle", invoice=invoice(school)["id"], settle={"tenders": [{"type": "cash", "amount": 9}]}
    )
    reverse(school, settled["transaction_id"])
    assert all(len(document.number) <= 21 for document in made(school))
