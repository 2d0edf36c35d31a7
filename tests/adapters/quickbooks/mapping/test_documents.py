"""Which documents each command becomes, and that they add up to the ledger, account by account."""

from collections import Counter
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.quickbooks.mapping.canonical import bind, canonical, parse
from adapters.quickbooks.mapping.document import Document
from adapters.quickbooks.mapping.documents import documents
from application.feed.message import Message
from domain.chart import INCOME_ROLES, country
from domain.errors import DomainError
from tests.support.school import School

CHART = {account.role: account.code for account in country("KE").accounts}
ROLES = {code: role for role, code in CHART.items()}


def made_of(message: Message) -> list[Document]:
    return [document for public in message.events for document in documents(public.event(), CHART)]


def made(school: School) -> list[Document]:
    return made_of(school.messages[-1])


def resolved(document: Document) -> dict[str, Any]:
    """The payload with each reference as `kind/key`."""
    return parse(bind(canonical(document.template), lambda key: key))


def lines(document: Document) -> list[tuple[str, Decimal]]:
    """The role of each line's item, and its amount."""
    return [
        (ROLES[line["SalesItemLineDetail"]["ItemRef"]["value"].removeprefix("Item/")], line["Amount"])
        for line in resolved(document)["Line"]
    ]


def booked(document: Document) -> Counter[str]:
    """Debits less credits by account code, as QuickBooks books each kind (Intuit's documentation)."""
    body, sums = resolved(document), Counter[str]()
    if document.version > 1:  # what it changes is booked already
        assert document.kind == "Payment"
        return sums
    deposit = (body.get("DepositToAccountRef") or {}).get("value", "").removeprefix("Account/")
    receivables = CHART["receivables"]
    if document.kind == "JournalEntry":
        for line in body["Line"]:
            detail = line["JournalEntryLineDetail"]
            sign = 1 if detail["PostingType"] == "Debit" else -1
            sums[detail["AccountRef"]["value"].removeprefix("Account/")] += sign * int(line["Amount"] * 100)
        return sums
    if document.kind == "Payment":
        total = int(body["TotalAmt"] * 100)
        if total:
            sums[deposit] += total
            sums[receivables] -= total
        return sums
    items = [(CHART[role], int(amount * 100)) for role, amount in lines(document)]
    total = sum(amount for _, amount in items)
    sign = -1 if document.kind in ("CreditMemo", "RefundReceipt") else 1
    sums[receivables if document.kind in ("Invoice", "CreditMemo") else deposit] += sign * total
    for code, amount in items:
        sums[code] -= sign * amount
    return sums


def nonzero(sums: Counter[str]) -> dict[str, int]:
    return {code: amount for code, amount in sums.items() if amount}


def school_with(**wallets: int) -> School:
    school = School()
    for account, amount in wallets.items():
        school.run("wallet.open", account=account, payer="FAM-1")
        school.run("wallet.top_up", account=account, amount=amount, source={"type": "cash"})
    return school


def test_a_top_up_is_a_sales_receipt_of_the_wallet_item() -> None:
    school = School()
    school.run("wallet.open", account="STU-1")
    assert made(school) == []
    school.run(
        "wallet.top_up", account="STU-1", amount=150000, source={"type": "mpesa", "reference": "RKT12"}
    )
    (receipt,) = made(school)
    body = resolved(receipt)
    assert (receipt.kind, receipt.number, receipt.customer) == ("SalesReceipt", body["DocNumber"], "STU-1")
    assert lines(receipt) == [("wallet_liability", Decimal("1500.00"))]
    assert body["DepositToAccountRef"]["value"] == f"Account/{CHART['mpesa_clearing']}"
    assert "mpesa reference RKT12" in body["PrivateNote"]
    assert receipt.source_id == f"{school.events[-1][2]}/0"


def test_a_sale_deposits_to_the_largest_tender_and_the_others_are_negative_lines() -> None:
    school = school_with(W1=300)
    school.run(
        "pos.checkout",
        customer="STU-9",
        wallet="W1",
        lines=[
            {"sku": "PEN", "quantity": 3, "unit_amount": 100, "tax_code": "A"},
            {
                "sku": "TRIP",
                "description": "to Nakuru",
                "quantity": 3,
                "total": 1000,
                "tax_code": "A",
                "income": "transport",
            },
        ],
        tenders=[
            {"type": "wallet", "amount": 300},
            {"type": "cash", "amount": 400},
            {"type": "card", "amount": 600, "reference": "C1"},
        ],
    )
    (receipt,) = made(school)
    assert receipt.customer == "STU-9"
    assert receipt.amount_minor == 600
    assert lines(receipt) == [
        ("sales", Decimal("3.00")),
        ("transport", Decimal("10.00")),
        ("wallet_liability", Decimal("-3.00")),
        ("till_cash", Decimal("-4.00")),
    ]
    body = resolved(receipt)
    assert body["DepositToAccountRef"]["value"] == f"Account/{CHART['card_clearing']}"
    first, second = (line["SalesItemLineDetail"] for line in body["Line"][:2])
    assert (first["Qty"], first["UnitPrice"]) == (3, Decimal("1.00"))
    assert "Qty" not in second  # 10.00 is no multiple of 3


def test_of_equal_tenders_the_first_is_deposited() -> None:
    school = School()
    school.run(
        "pos.checkout",
        lines=[{"sku": "X", "quantity": 1, "total": 200, "tax_code": "A"}],
        tenders=[{"type": "mpesa", "amount": 100, "reference": "RKT1"}, {"type": "cash", "amount": 100}],
    )
    (receipt,) = made(school)
    assert resolved(receipt)["DepositToAccountRef"]["value"] == f"Account/{CHART['mpesa_clearing']}"
    assert receipt.customer is None
    assert "CustomerRef" not in resolved(receipt)


def test_a_sale_paid_by_wallet_totals_0_and_names_till_cash() -> None:
    school = school_with(W1=500)
    school.run(
        "pos.checkout",
        wallet="W1",
        lines=[{"sku": "X", "quantity": 1, "total": 500, "tax_code": "A"}],
        tenders=[{"type": "wallet"}],
    )
    (receipt,) = made(school)
    assert receipt.amount_minor == 0
    assert sum(amount for _, amount in lines(receipt)) == 0
    assert resolved(receipt)["DepositToAccountRef"]["value"] == f"Account/{CHART['till_cash']}"


def test_a_refund_is_a_refund_receipt_of_the_returns_item() -> None:
    school = school_with(W1=500)
    sale = school.run(
        "pos.checkout",
        wallet="W1",
        lines=[{"sku": "X", "quantity": 4, "total": 1000, "tax_code": "A"}],
        tenders=[{"type": "wallet", "amount": 500}, {"type": "cash", "amount": 500}],
    )
    school.run("pos.refund", sale=sale["sale"]["id"], amount=700)
    (refund,) = made(school)
    assert (refund.kind, refund.amount_minor) == ("RefundReceipt", 500)
    assert lines(refund) == [("sales_returns", Decimal("7.00")), ("wallet_liability", Decimal("-2.00"))]
    assert resolved(refund)["DepositToAccountRef"]["value"] == f"Account/{CHART['till_cash']}"


def test_a_charge_is_a_journal_entry() -> None:
    school = school_with(W1=500)
    school.run("wallet.charge", account="W1", amount=120, description="Library fine", income="other_income")
    (entry,) = made(school)
    sides = [
        (line["JournalEntryLineDetail"]["PostingType"], line["JournalEntryLineDetail"]["AccountRef"]["value"])
        for line in resolved(entry)["Line"]
    ]
    assert sides == [
        ("Debit", f"Account/{CHART['wallet_liability']}"),
        ("Credit", f"Account/{CHART['other_income']}"),
    ]


def test_a_captured_hold_is_a_journal_entry_of_what_was_captured() -> None:
    school = school_with(W1=500)
    hold = school.run("wallet.hold", account="W1", amount=300)["hold"]["id"]
    assert made(school) == []
    captured = school.run("hold.capture", hold=hold, amount=120, income="shop")
    (entry,) = made(school)
    assert (entry.kind, entry.number) == ("JournalEntry", captured["receipt"]["number"])
    assert nonzero(booked(entry)) == {CHART["wallet_liability"]: 120, CHART["shop"]: -120}
    school.run("hold.release", hold=school.run("wallet.hold", account="W1", amount=300)["hold"]["id"])
    assert made(school) == []


def test_a_role_without_a_code_is_referred_to_as_a_role() -> None:
    school = school_with(W1=500)
    school.run("wallet.charge", account="W1", amount=120, description="Fine", income="other_income")
    (charged,) = [
        event for event in school.messages[-1].events if event.type.startswith("bursar.wallet.charged")
    ]
    (entry,) = documents(charged.event(), {"wallet_liability": "2199"})
    accounts = [line["JournalEntryLineDetail"]["AccountRef"]["value"] for line in resolved(entry)["Line"]]
    assert accounts == ["Account/2199", "AccountOfRole/other_income"]
    assert (entry.amount_minor, entry.currency) == (120, "KES")


def invoice(school: School, total: int = 1000) -> dict[str, Any]:
    return school.run(
        "invoice.create",
        payer="FAM-1",
        due_date="2030-01-31",
        lines=[{"description": "Term 1", "quantity": 1, "total": total, "income": "tuition"}],
        issue=True,
    )


def test_an_invoice_is_an_invoice_when_it_is_issued() -> None:
    school = School()
    draft = school.run(
        "invoice.create",
        payer="FAM-1",
        due_date="2030-01-31",
        lines=[{"description": "Term 1", "quantity": 1, "total": 5, "income": "tuition"}],
        issue=False,
    )
    assert made(school) == []
    school.run("invoice.issue", invoice=draft["id"])
    (document,) = made(school)
    assert (document.kind, document.customer, document.amount_minor) == ("Invoice", "FAM-1", 5)
    assert resolved(document)["DueDate"] == "2030-01-31"
    assert document.source_id.startswith(school.events[-1][2])


def test_a_settlement_is_a_payment_per_tender_and_a_memo_for_the_wallet() -> None:
    school = school_with(**{"FAM-1": 300})
    bill = invoice(school)
    school.run(
        "invoice.settle",
        invoice=bill["id"],
        settle={
            "tenders": [
                {"type": "wallet", "amount": 300, "account": "FAM-1"},
                {"type": "cash", "amount": 200},
                {"type": "mpesa", "amount": 800, "reference": "M1"},
            ]
        },
    )
    settled = made(school)
    receipt = settled[0].number.rpartition("-")[0]
    assert [(d.kind, d.number, d.amount_minor, d.customer) for d in settled] == [
        ("CreditMemo", f"{receipt}-1", 300, "FAM-1"),
        ("Payment", f"{receipt}-1", 0, "FAM-1"),
        ("Payment", f"{receipt}-2", 200, "FAM-1"),
        ("Payment", f"{receipt}-3", 500, "FAM-1"),
        ("SalesReceipt", f"{receipt}-3", 300, "FAM-1"),
    ]
    memo, link, _, mpesa, _ = settled
    assert memo.invoice is None
    assert "wallet payment, not a credit note" in resolved(memo)["PrivateNote"]
    assert (link.invoice, link.credit_memo) == (bill["number"], memo.number)
    assert [line["LinkedTxn"][0] for line in resolved(link)["Line"]] == [
        {"TxnId": f"Invoice/{bill['number']}", "TxnType": "Invoice"},
        {"TxnId": f"CreditMemo/{memo.number}", "TxnType": "CreditMemo"},
    ]
    assert "mpesa reference M1" in resolved(mpesa)["PrivateNote"]
    assert len({(d.kind, d.source_id) for d in settled}) == len(settled)
    assert all(len(d.number) <= 21 for d in settled)


# --- whatever is posted, the documents add up to it

ACCOUNTS = ("W1", "W2", "FAM-1")
AMOUNT = st.integers(min_value=1, max_value=10_000)
OUTSIDE = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["cash", "bank", "card"])}),
    st.fixed_dictionaries({"type": st.just("mpesa"), "reference": st.uuids().map(str)}),
)
TENDER = st.one_of(
    st.builds(dict[str, Any].__or__, OUTSIDE, st.fixed_dictionaries({}, optional={"amount": AMOUNT})),
    st.fixed_dictionaries(
        {"type": st.just("wallet"), "account": st.sampled_from(ACCOUNTS)}, optional={"amount": AMOUNT}
    ),
)
LINE = st.fixed_dictionaries(
    {
        "sku": st.sampled_from(["PEN", "BOOK"]),
        "quantity": st.integers(min_value=1, max_value=7),
        "total": AMOUNT,
        "income": st.sampled_from(sorted(INCOME_ROLES)),
        "tax_code": st.just("A"),
    }
)
COMMAND = st.one_of(
    st.tuples(
        st.just("wallet.top_up"),
        st.fixed_dictionaries(
            {
                "account": st.sampled_from(ACCOUNTS),
                "amount": AMOUNT,
                "source": OUTSIDE,
            }
        ),
    ),
    st.tuples(
        st.just("wallet.charge"),
        st.fixed_dictionaries(
            {
                "account": st.sampled_from(ACCOUNTS),
                "amount": AMOUNT,
                "description": st.sampled_from(["Fine", "“é”", "{}"]),
            }
        ),
    ),
    st.tuples(
        st.just("wallet.hold"),
        st.fixed_dictionaries({"account": st.sampled_from(ACCOUNTS), "amount": AMOUNT}),
    ),
    st.tuples(
        st.just("wallet.transfer"),
        st.fixed_dictionaries(
            {"from": st.sampled_from(ACCOUNTS), "to": st.sampled_from(ACCOUNTS), "amount": AMOUNT}
        ),
    ),
    st.tuples(st.just("hold.capture"), st.fixed_dictionaries({"hold": st.integers(0, 2), "amount": AMOUNT})),
    st.tuples(
        st.just("pos.checkout"),
        st.fixed_dictionaries(
            {
                "wallet": st.sampled_from(ACCOUNTS),
                "lines": st.lists(LINE, min_size=1, max_size=3),
                "tenders": st.lists(TENDER, min_size=1, max_size=4),
            }
        ),
    ),
    st.tuples(
        st.just("pos.refund"),
        st.fixed_dictionaries({"sale": st.integers(min_value=0, max_value=3), "amount": AMOUNT}),
    ),
    st.tuples(st.just("invoice.create"), st.fixed_dictionaries({"total": AMOUNT})),
    st.tuples(
        st.just("transaction.reverse"),
        st.fixed_dictionaries({"transaction": st.integers(min_value=0, max_value=12)}),
    ),
    st.tuples(
        st.just("invoice.settle"),
        st.fixed_dictionaries(
            {
                "invoice": st.integers(min_value=0, max_value=2),
                "settle": st.fixed_dictionaries({"tenders": st.lists(TENDER, min_size=1, max_size=4)}),
            }
        ),
    ),
)


def run(
    school: School,
    action: str,
    data: dict[str, Any],
    sales: list[str],
    bills: list[str],
    holds: list[str],
) -> None:
    if action == "invoice.create":
        bills.append(invoice(school, data["total"])["id"])
        return
    if action == "transaction.reverse":
        transactions = [command_id for _, _, command_id in school.events]
        data = {"transaction": transactions[-1 - data["transaction"] % len(transactions)], "reason": "Wrong"}
    for field, known in (("sale", sales), ("invoice", bills), ("hold", holds)):
        if field in data and action != "invoice.create":
            if data[field] >= len(known):
                return
            data = {**data, field: known[data[field]]}
    try:
        answer = school.run(action, **data)
    except DomainError:
        return
    if action == "pos.checkout":
        sales.append(answer["sale"]["id"])
    if action == "wallet.hold":
        holds.append(answer["hold"]["id"])


@settings(max_examples=60, deadline=None)
@given(commands=st.lists(COMMAND, min_size=1, max_size=12))
def test_documents_add_up_to_the_postings_of_every_command(
    commands: list[tuple[str, dict[str, Any]]],
) -> None:
    school = school_with(**dict.fromkeys(ACCOUNTS, 5000))
    sales: list[str] = []
    bills: list[str] = []
    holds: list[str] = []
    for action, data in commands:
        run(school, action, data, sales, bills, holds)
    seen: set[tuple[str, str, int]] = set()
    for message in school.messages:
        found = made_of(message)
        sums: Counter[str] = Counter()
        for document in found:
            assert (document.kind, document.number, document.version) not in seen
            seen.add((document.kind, document.number, document.version))
            sums.update(booked(document))
        postings: Counter[str] = Counter()
        for posting in message.transaction.postings if message.transaction else ():
            postings[posting.code] += posting.amount if posting.side == "debit" else -posting.amount
        assert nonzero(sums) == nonzero(postings), message.command
        assert bool(found) == bool(nonzero(postings)), "what moves between wallets is nothing to QuickBooks"
