"""The bytes of documents: exact, the same for the same payload, and compared with what QuickBooks has."""

from decimal import Decimal

import pytest

from adapters.quickbooks.mapping.canonical import (
    bind,
    canonical,
    fingerprint,
    parse,
    reference,
    same_document,
)
from adapters.quickbooks.mapping.document import Document
from adapters.quickbooks.mapping.documents import documents
from domain.chart import country
from tests.support.school import School

CHART = {account.role: account.code for account in country("KE").accounts}


def made(school: School) -> list[Document]:
    return [
        document for public in school.messages[-1].events for document in documents(public.event(), CHART)
    ]


def school_with(**wallets: int) -> School:
    school = School()
    for account, amount in wallets.items():
        school.run("wallet.open", account=account)
        school.run("wallet.top_up", account=account, amount=amount, source={"type": "cash"})
    return school


def test_the_order_of_fields_does_not_matter() -> None:
    assert canonical({"b": {"d": 1, "c": Decimal("1.10")}, "a": "x"}) == b'{"a":"x","b":{"c":1.10,"d":1}}'


def test_references_are_bound_wherever_they_stand() -> None:
    template = canonical(
        {"a": [reference("Item", "4050"), {"b": reference("Customer", "W/1")}], "c": "Item/4050"}
    )
    bound = bind(template, {"Item/4050": "7", "Customer/W/1": "8"}.__getitem__)
    assert parse(bound) == {"a": ["7", {"b": "8"}], "c": "Item/4050"}


def test_amounts_are_exact_json_numbers() -> None:
    school = School()
    school.run("tenant.policies", largest_amount=9_999_999_999_999)
    school.run("wallet.open", account="W1")
    school.run("wallet.top_up", account="W1", amount=9_999_999_999_999, source={"type": "cash"})
    (document,) = made(school)
    body = canonical(document.template)
    assert b'"Amount":99999999999.99' in body
    assert fingerprint(body) == fingerprint(canonical(parse(body)))


def test_text_that_looks_like_a_reference_stays_text() -> None:
    school = school_with(W1=100)
    words = '{"$ref":"Account/1000"}'
    school.run("wallet.charge", account="W1", amount=1, description=words)
    (entry,) = made(school)
    assert words in parse(bind(canonical(entry.template), lambda key: key))["Line"][0]["Description"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("TotalAmt", Decimal("1.01")), ("TxnDate", "2020-01-01"), ("CustomerRef", {"value": "other"})],
)
def test_a_document_of_another_amount_date_or_customer_is_not_the_same(field: str, value: object) -> None:
    school = school_with(W1=100)
    (document,) = made(school)
    body = bind(canonical(document.template), lambda key: key)
    found = {**parse(body), "TotalAmt": Decimal("1.00")}
    assert same_document("SalesReceipt", body, found)
    assert not same_document("SalesReceipt", body, {**found, field: value})


def test_journal_entries_are_compared_by_their_lines() -> None:
    school = school_with(W1=100)
    school.run("wallet.charge", account="W1", amount=7, description="x")
    (entry,) = made(school)
    body = bind(canonical(entry.template), lambda key: key)
    found = {**parse(body), "TotalAmt": 0}
    assert same_document("JournalEntry", body, {**found, "Line": found["Line"][::-1]})
    found["Line"][0]["Amount"] = Decimal("0.08")
    assert not same_document("JournalEntry", body, found)


def test_a_document_that_is_changed_is_compared_by_its_id_and_links_too() -> None:
    line = {"Amount": Decimal("1.00"), "LinkedTxn": [{"TxnId": "8", "TxnType": "Invoice"}]}
    body = {
        "TxnDate": "2026-03-02",
        "CustomerRef": {"value": "5"},
        "TotalAmt": Decimal("1.00"),
        "Line": [line],
    }
    found = {**body, "Id": "7"}
    other = {**found, "Line": [{**line, "LinkedTxn": [{"TxnId": "9", "TxnType": "Invoice"}]}]}
    assert same_document("Payment", canonical(body), other), (
        "where it is only made, its links are its own matter"
    )
    assert same_document("Payment", canonical(found), found)
    for different in (other, {**found, "Id": "6"}, {**found, "Line": []}):
        assert not same_document("Payment", canonical(found), different)
