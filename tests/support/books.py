"""Adds up the books of a QuickBooks company from its documents, as an accountant would by hand.

It knows QuickBooks' published API and nothing of any ledger: it reads documents, items and accounts by
`/v3/company/{realm}/query`, books each document as QuickBooks documents it, and never asks for a balance.

    python books.py URL REALM TOKEN      prints what it found as JSON
"""

import json
import sys
import urllib.parse
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

PAGE = 1000
KINDS = ("SalesReceipt", "RefundReceipt", "Invoice", "Payment", "CreditMemo", "JournalEntry")
Entity = dict[str, Any]
Applied = defaultdict[tuple[str, str], Decimal]
"""What payments have applied, by kind and id of what they link."""


@dataclass(kw_only=True)
class Books:
    """What the documents say. Accounts by their number (AcctNum); amounts are decimals of the home currency."""

    balances: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    """Debits less credits."""
    counts: Counter[str] = field(default_factory=Counter)
    """Documents by kind."""
    numbers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind and number (DocNumber; PaymentRefNum of payments): each should be there once."""
    open_invoices: dict[str, Decimal] = field(default_factory=dict)
    """By number: the total less what payments have applied to it."""

    @property
    def repeated(self) -> list[tuple[str, str]]:
        return [number for number, count in self.numbers.items() if count > 1]


def read(url: str, realm: str, token: str) -> Books:
    """Read and add up everything. Raises ValueError for a document that cannot be booked."""
    return add_up(lambda kind: _query(url, realm, token, kind))


def add_up(entities: Callable[[str], Iterator[Entity]]) -> Books:
    """Book what `entities` lists for each kind."""
    accounts = {account["Id"]: account for account in entities("Account")}
    names = _Names(
        numbers={identifier: str(account.get("AcctNum", "")) for identifier, account in accounts.items()},
        items={item["Id"]: item["IncomeAccountRef"]["value"] for item in entities("Item")},
        taxes=_tax_accounts(accounts, entities("TaxRate")),
        receivable=_only(
            account["Id"] for account in accounts.values() if account["AccountType"] == "Accounts Receivable"
        ),
    )
    books = Books()
    applied: Applied = defaultdict(Decimal)
    invoices: dict[str, Entity] = {}
    credits: dict[str, Decimal] = {}
    for kind in KINDS:
        for document in entities(kind):
            books.counts[kind] += 1
            books.numbers[kind, _number(document)] += 1
            for account, debit in _postings(kind, document, names):
                books.balances[names.numbers[account]] += debit
            if kind == "Invoice":
                invoices[document["Id"]] = document
            elif kind == "CreditMemo":
                credits[document["Id"]] = document["TotalAmt"]
            elif kind == "Payment":
                _apply(document, applied)
    for identifier, invoice in invoices.items():
        books.open_invoices[_number(invoice)] = _left("Invoice", invoice["TotalAmt"], applied, identifier)
    for identifier, total in credits.items():
        _left("CreditMemo", total, applied, identifier)
    return books


@dataclass(kw_only=True)
class _Names:
    numbers: dict[str, str]
    items: dict[str, str]
    taxes: dict[str, str]
    """The account of each tax rate."""
    receivable: str


def _tax_accounts(accounts: dict[str, Entity], rates: Iterator[Entity]) -> dict[str, str]:
    """Each rate's account: the one that setting tax up made for who takes it."""
    payable = {
        account["Name"]: identifier
        for identifier, account in accounts.items()
        if account.get("AccountSubType") == "GlobalTaxPayable"
    }
    return {rate["Id"]: payable[f"{rate['AgencyRef']['name']} Payable"] for rate in rates}


def _only(found: Iterator[str]) -> str:
    [one] = found
    return one


def _number(document: Entity) -> str:
    number = document.get("DocNumber") or document.get("PaymentRefNum")
    if not number:
        raise ValueError(f"a document without a number: {document}")
    return str(number)


def _postings(kind: str, document: Entity, names: _Names) -> list[tuple[str, Decimal]]:
    """By account id, debits positive; they sum to zero."""
    total = document["TotalAmt"]
    if kind == "JournalEntry":
        made = [_journal_line(line) for line in document["Line"]]
    elif kind == "Payment":
        made = [(names.receivable, -total)] + ([(_deposit(document), total)] if total else [])
    else:
        other = names.receivable if kind in ("Invoice", "CreditMemo") else _deposit(document)
        made = [(other, total), *((names.items[item], -amount) for item, amount in _item_lines(document))]
        for line in (document.get("TxnTaxDetail") or {}).get("TaxLine", ()):
            rate = line["TaxLineDetail"]["TaxRateRef"]["value"]
            made.append((names.taxes[rate], -line["Amount"]))
        if kind in ("CreditMemo", "RefundReceipt"):
            made = [(account, -debit) for account, debit in made]
    if sum(debit for _, debit in made) != 0:
        raise ValueError(f"a {kind} that does not balance (tax?): {document}")
    return made


def _deposit(document: Entity) -> str:
    reference = document.get("DepositToAccountRef")
    if not reference:
        raise ValueError(f"money that went to no account: {document}")
    return str(reference["value"])


def _journal_line(line: Entity) -> tuple[str, Decimal]:
    detail = line["JournalEntryLineDetail"]
    sign = {"Debit": 1, "Credit": -1}[detail["PostingType"]]
    return detail["AccountRef"]["value"], sign * line["Amount"]


def _item_lines(document: Entity) -> Iterator[tuple[str, Decimal]]:
    for line in document["Line"]:
        if line["DetailType"] == "SalesItemLineDetail":
            yield line["SalesItemLineDetail"]["ItemRef"]["value"], line["Amount"]
        elif line["DetailType"] != "SubTotalLineDetail":
            raise ValueError(f"a line of an unknown kind: {line}")


def _apply(payment: Entity, applied: Applied) -> None:
    """A payment's own money and the credits that it links pay the invoices that it links."""
    money: Decimal = payment["TotalAmt"]
    for line in payment.get("Line", ()):
        for linked in line["LinkedTxn"]:
            applied[linked["TxnType"], linked["TxnId"]] += line["Amount"]
            money += line["Amount"] if linked["TxnType"] == "CreditMemo" else -line["Amount"]
    if money != 0:
        raise ValueError(f"a payment that is not wholly applied: {payment}")


def _left(kind: str, total: Decimal, applied: Applied, identifier: str) -> Decimal:
    left: Decimal = total - applied[kind, identifier]
    if left < 0 or (kind == "CreditMemo" and left):
        raise ValueError(f"{kind} {identifier} of {total} has {left} left")
    return left


def _query(url: str, realm: str, token: str, kind: str) -> Iterator[Entity]:
    start = 1
    while True:
        text = f"SELECT * FROM {kind} ORDERBY Id STARTPOSITION {start} MAXRESULTS {PAGE}"
        request = urllib.request.Request(
            f"{url}/v3/company/{realm}/query?{urllib.parse.urlencode({'query': text})}",
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            page = json.load(answer, parse_float=Decimal, parse_int=Decimal)["QueryResponse"].get(kind, [])
        yield from page
        if len(page) < PAGE:
            return
        start += PAGE


if __name__ == "__main__":
    found = read(*sys.argv[1:4])
    print(
        json.dumps(
            {
                "balances": {number: str(balance) for number, balance in sorted(found.balances.items())},
                "counts": found.counts,
                "repeated": found.repeated,
                "open_invoices": {number: str(left) for number, left in found.open_invoices.items() if left},
            },
            indent=2,
        )
    )
