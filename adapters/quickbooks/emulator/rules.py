"""What QuickBooks checks and works out for each entity before it is written.

Each rule takes the company's books and the entity as the client wants it, and answers the entity as it will
stand, or raises Refusal. Rules read; they write nothing.
"""

from decimal import Decimal
from functools import cache
from typing import Any

from quickbooks import objects

from adapters.quickbooks.emulator import refusals, statements, taxes, values
from adapters.quickbooks.emulator.books import (
    JOURNAL_LINE,
    NAME_LISTS,
    RECEIVABLE,
    SALES_LINE,
    Books,
    Record,
)
from adapters.quickbooks.emulator.refusals import Body

LONGEST_NUMBER = 21
LONGEST_NAME = 100
LONGEST_DISPLAY_NAME = 500
LONGEST_NOTE = 4000
LONGEST_ACCT_NUM = 20

CLASSIFICATION = {
    "Bank": "Asset",
    RECEIVABLE: "Asset",
    "Other Current Asset": "Asset",
    "Fixed Asset": "Asset",
    "Other Asset": "Asset",
    "Accounts Payable": "Liability",
    "Credit Card": "Liability",
    "Other Current Liability": "Liability",
    "Long Term Liability": "Liability",
    "Equity": "Equity",
    "Income": "Revenue",
    "Other Income": "Revenue",
    "Expense": "Expense",
    "Other Expense": "Expense",
    "Cost of Goods Sold": "Expense",
}
DEPOSIT_TYPES = ("Bank", "Other Current Asset")
ITEM_TYPES = ("Service", "NonInventory")

# Properties that the client library does not list on every entity though Intuit documents them there.
_ALSO_KNOWN = frozenset(
    {
        "MetaData",
        "status",
        "CustomField",
        "CurrencyRef",
        "ExchangeRate",
        "ClassRef",
        "DepartmentRef",
        "TxnTaxDetail",
        "GlobalTaxCalculation",
        "TransactionLocationType",
    }
)


@cache
def known_properties(kind: str) -> frozenset[str]:
    """The properties of an entity as Intuit documents them, which python-quickbooks transcribes."""
    return frozenset(vars(getattr(objects, kind)())) | _ALSO_KNOWN


def check_properties(kind: str, body: Body) -> None:
    unknown = sorted(set(body) - known_properties(kind))
    if unknown:
        raise refusals.invalid_property(f"Property Name: {unknown[0]} is not a property of {kind}")


def settled(kind: str, books: Books, body: Body, before: Record | None) -> Body:
    """The entity as it will stand. Raises Refusal."""
    currency = values.reference(body, "CurrencyRef")
    home = books.company.preferences.HomeCurrency
    if currency is not None and currency != home:
        raise refusals.business(f"Multi currency is off: {currency} is not the home currency {home}")
    if not isinstance(body.get("Active", True), bool):
        raise refusals.invalid_property("Active is not true or false")
    body = body | {"CurrencyRef": {"value": home}}
    match kind:
        case "Account":
            body = _account(books, body)
        case "Item":
            body.pop("CurrencyRef")
            body = _item(books, body)
        case "Customer":
            body = _customer(books, body)
        case "JournalEntry":
            body = _journal_entry(books, _document(books, body))
        case "Payment":
            body = _payment(books, _document(books, body))
        case _:
            body = _sales_form(kind, books, _document(books, body), before)
    _check_unique(kind, books, body, before)
    return body


def check_open_period(books: Books, txn_date: str) -> None:
    closed = books.company.preferences.BookCloseDate
    if closed is not None and txn_date <= closed:
        raise refusals.closed_period(
            f"The account period has closed on {closed}; the document is of {txn_date}"
        )


def _name(body: Body, key: str, limit: int) -> str | None:
    name = values.text(body, key, limit)
    if name is not None and any(mark in name for mark in ':\t\n"'):
        raise refusals.business(f"{key} can't contain a colon, a quotation mark, a tab or a new line")
    return name


def _account(books: Books, body: Body) -> Body:
    name = _name(body, "Name", LONGEST_NAME)
    if name is None:
        raise refusals.missing("Name")
    kind = values.text(body, "AccountType", LONGEST_NAME)
    if kind is None:
        raise refusals.missing("AccountType")
    if kind not in CLASSIFICATION:
        raise refusals.invalid_enumeration("AccountType", kind)
    number = values.text(body, "AcctNum", LONGEST_ACCT_NUM)
    parent = _parent(books, "Account", body)
    computed: Body = {
        "Name": name,
        "Classification": CLASSIFICATION[kind],
        "FullyQualifiedName": parent + name,
    }
    computed |= {"Active": body.get("Active", True), "SubAccount": bool(parent)}
    return body | computed | ({} if number is None else {"AcctNum": number})


def _item(books: Books, body: Body) -> Body:
    name = _name(body, "Name", LONGEST_NAME)
    if name is None:
        raise refusals.missing("Name")
    kind = values.text(body, "Type", LONGEST_NAME) or "Service"
    if kind not in ITEM_TYPES:
        raise refusals.invalid_enumeration("Type", kind)
    account = values.reference(body, "IncomeAccountRef")
    if account is None:
        raise refusals.missing("IncomeAccountRef")
    books.referred("Account", account, "IncomeAccountRef")
    values.text(body, "Description", LONGEST_NOTE)
    parent = _parent(books, "Item", body)
    computed: Body = {"Name": name, "Type": kind, "FullyQualifiedName": parent + name}
    return body | computed | {"Active": body.get("Active", True)}


def _customer(books: Books, body: Body) -> Body:
    parts = (
        values.text(body, key, LONGEST_NAME) for key in ("Title", "GivenName", "MiddleName", "FamilyName")
    )
    composed = " ".join(part for part in parts if part)
    named = body if body.get("DisplayName") else body | {"DisplayName": composed}
    name = _name(named, "DisplayName", LONGEST_DISPLAY_NAME)
    if name is None:
        raise refusals.missing("DisplayName")
    values.text(body, "Notes", LONGEST_NOTE)
    parent = _parent(books, "Customer", body)
    computed: Body = {"DisplayName": name, "FullyQualifiedName": parent + name, "Job": bool(parent)}
    return body | computed | {"Active": body.get("Active", True)}


def _parent(books: Books, kind: str, body: Body) -> str:
    """What stands before the name in its full form: the parent's full name and a colon, or nothing."""
    identifier = values.reference(body, "ParentRef")
    if identifier is None:
        return ""
    parent = books.referred(kind, identifier, "ParentRef")
    return f"{parent.body['FullyQualifiedName']}:"


def _check_unique(kind: str, books: Books, body: Body, before: Record | None) -> None:
    own = 0 if before is None else before.id
    realm, store = books.company.realm, books.store
    if kind in NAME_LISTS:
        name = body.get("DisplayName") or body["Name"]
        taken = store.row(statements.SELECT_BY_NAME, realm, kind, name, own)
        if taken:
            raise refusals.duplicate_name(f"Another {kind.lower()} is already using this name. Id={taken[0]}")
        number = body.get("AcctNum")
        if number and store.row(statements.SELECT_BY_ACCT_NUM, realm, kind, number, own):
            raise refusals.business(f"The account number {number} is already used by another account")
    number = body.get("DocNumber")
    if number and books.company.preferences.CustomTxnNumbers:
        taken = store.row(statements.SELECT_BY_NUMBER, realm, kind, number, own)
        if taken:
            raise refusals.duplicate_number(
                f"DocNumber={number} is assigned to TxnType={kind} with TxnId={taken[0]}"
            )


def _document(books: Books, body: Body) -> Body:
    """What all documents share: number, date, note, customer, deposit account, an open period."""
    for name, limit in (
        ("DocNumber", LONGEST_NUMBER),
        ("PaymentRefNum", LONGEST_NUMBER),
        ("PrivateNote", LONGEST_NOTE),
    ):
        values.text(body, name, limit)
    txn_date = values.day(body, "TxnDate") or values.moment(books.at_ms)[:10]
    check_open_period(books, txn_date)
    customer = values.reference(body, "CustomerRef")
    names: Body = {}
    if customer is not None:
        record = books.referred("Customer", customer, "CustomerRef")
        names["CustomerRef"] = {"value": customer, "name": record.body["DisplayName"]}
    deposit = values.reference(body, "DepositToAccountRef")
    if deposit is not None:
        account = books.referred("Account", deposit, "DepositToAccountRef")
        if account.body["AccountType"] not in DEPOSIT_TYPES:
            raise refusals.business(
                f"Account {account.body['Name']} can't be deposited to: choose a bank account"
            )
        names["DepositToAccountRef"] = {"value": deposit, "name": account.body["Name"]}
    return body | names | {"TxnDate": txn_date}


def _sales_form(kind: str, books: Books, body: Body, before: Record | None) -> Body:
    if kind in ("Invoice", "CreditMemo") and "CustomerRef" not in body:
        raise refusals.missing("CustomerRef")
    if kind == "RefundReceipt" and "DepositToAccountRef" not in body:
        raise refusals.missing("DepositToAccountRef")
    kept = [line for line in values.lines(body) if line.get("DetailType") != "SubTotalLineDetail"]
    if not any(line.get("DetailType") == SALES_LINE for line in kept):
        raise refusals.missing("Line")
    lines = [_numbered(_sales_line(books, line), place) for place, line in enumerate(kept, start=1)]
    subtotal = sum((line["Amount"] for line in lines if "Amount" in line), values.ZERO)
    body, tax = taxes.settled(books, body, lines)
    total = subtotal + tax
    if total < 0:
        raise refusals.business(f"Transaction amount must be 0 or greater. Amount: {total}")
    lines.append({"Amount": subtotal, "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}})
    balance = total - _applied(before) if kind in ("Invoice", "CreditMemo") else values.ZERO
    if balance < 0:
        raise refusals.business(f"{kind} can't be less than what is linked to it")
    computed: Body = {"Line": lines, "TotalAmt": total, "Balance": balance}
    if kind == "CreditMemo":
        computed["RemainingCredit"] = balance
    if kind == "Invoice":
        computed["DueDate"] = values.day(body, "DueDate") or body["TxnDate"]
    if kind in ("Invoice", "CreditMemo"):
        computed["LinkedTxn"] = [] if before is None else before.body.get("LinkedTxn", [])
    return body | computed


def _applied(before: Record | None) -> Decimal:
    """How much of an invoice or a credit memo payments have taken up."""
    return values.ZERO if before is None else before.body["TotalAmt"] - before.body["Balance"]


def _numbered(line: Body, place: int) -> Body:
    return {**line, "Id": str(place), "LineNum": place}


def _sales_line(books: Books, line: Body) -> Body:
    values.text(line, "Description", LONGEST_NOTE)
    kind = values.text(line, "DetailType", LONGEST_NAME)
    if kind == "DescriptionOnly":
        return {key: value for key, value in line.items() if key != "Amount"}
    if not kind:
        raise refusals.missing("Line.DetailType")
    if kind != SALES_LINE:
        raise refusals.unsupported(f"Lines of type {kind} are not emulated")
    money, detail = values.amount(line.get("Amount"), "Line.Amount"), values.detail(line, SALES_LINE)
    _check_product(money, detail)
    item = values.reference(detail, "ItemRef")
    if item is None:
        raise refusals.missing("Line.SalesItemLineDetail.ItemRef")
    record = books.referred("Item", item, "ItemRef")
    taxes.check_code(books, detail)
    named: Body = {"ItemRef": {"value": item, "name": record.body["Name"]}}
    return {**line, "Amount": money, SALES_LINE: _without_blanks(detail) | named}


def _check_product(money: Decimal, detail: Body) -> None:
    """Amount is UnitPrice times Qty to the cent, where both are given; both 0 count as not given."""
    price, quantity = detail.get("UnitPrice"), detail.get("Qty")
    if price in (None, "") or quantity in (None, ""):
        return
    factors = (values.number(price, "UnitPrice"), values.number(quantity, "Qty"))
    if any(factors) and abs(factors[0] * factors[1] - money) >= values.CENT:
        raise refusals.wrong_amount(money)


def _without_blanks(detail: Body) -> Body:
    return {key: value for key, value in detail.items() if value not in (None, "")}


def _journal_entry(books: Books, body: Body) -> Body:
    lines = [
        _numbered(_journal_line(books, line), place) for place, line in enumerate(values.lines(body), start=1)
    ]
    posted = [line for line in lines if line["DetailType"] == JOURNAL_LINE]
    if len(posted) < 2:
        raise refusals.business("You must fill out at least two detail lines")
    sides = dict.fromkeys(("Debit", "Credit"), values.ZERO)
    for line in posted:
        sides[line[JOURNAL_LINE]["PostingType"]] += line["Amount"]
    if sides["Debit"] != sides["Credit"]:
        raise refusals.business(f"Debits {sides['Debit']} and credits {sides['Credit']} are not equal")
    return body | {"Line": lines, "TotalAmt": values.ZERO}


def _journal_line(books: Books, line: Body) -> Body:
    values.text(line, "Description", LONGEST_NOTE)
    kind = values.text(line, "DetailType", LONGEST_NAME)
    if kind == "DescriptionOnly":
        return line
    if kind != JOURNAL_LINE:
        raise (
            refusals.missing("Line.DetailType")
            if not kind
            else refusals.invalid_enumeration("DetailType", kind)
        )
    money, detail = values.amount(line.get("Amount"), "Line.Amount"), values.detail(line, JOURNAL_LINE)
    if money < 0:
        raise refusals.business("The amount of a journal line can't be negative")
    side = values.text(detail, "PostingType", LONGEST_NAME)
    if not side:
        raise refusals.missing("PostingType")
    if side not in ("Debit", "Credit"):
        raise refusals.invalid_enumeration("PostingType", side)
    identifier = values.reference(detail, "AccountRef")
    if identifier is None:
        raise refusals.missing("AccountRef")
    account = books.referred("Account", identifier, "AccountRef").body
    if account["AccountType"] == RECEIVABLE:
        _check_receivable_line(books, detail)
    named: Body = {"AccountRef": {"value": identifier, "name": account["Name"]}}
    return {**line, "Amount": money, JOURNAL_LINE: _without_blanks(detail) | named}


def _check_receivable_line(books: Books, detail: Body) -> None:
    entity: Any = detail.get("Entity")
    customer = values.reference(entity, "EntityRef") if isinstance(entity, dict) else None
    if customer is None or entity.get("Type") != "Customer":
        raise refusals.business(
            "When you use Accounts Receivable, you must choose a customer in the Name field"
        )
    books.referred("Customer", customer, "EntityRef")


def _payment(books: Books, body: Body) -> Body:
    """A payment's links balance: invoices are paid from the amount and from the credits that it links."""
    customer = values.reference(body, "CustomerRef")
    if customer is None:
        raise refusals.missing("CustomerRef")
    total = values.amount(body.get("TotalAmt"), "TotalAmt")
    if total < 0:
        raise refusals.business(f"Transaction amount must be 0 or greater. Amount: {total}")
    lines = [_payment_line(books, line, customer) for line in values.lines(body)]
    sums = dict.fromkeys(LINKABLE, values.ZERO)
    for line in lines:
        sums[line["LinkedTxn"][0]["TxnType"]] += line["Amount"]
    paid, credited = sums["Invoice"], sums["CreditMemo"]
    if credited > paid:
        raise refusals.business(
            f"Credits of {credited} exceed the invoices of {paid} that they are applied to"
        )
    if paid > credited + total:
        raise refusals.business(
            f"Invoices of {paid} exceed the payment of {total} and the credits of {credited}"
        )
    return body | {"Line": lines, "TotalAmt": total, "UnappliedAmt": total + credited - paid}


LINKABLE = ("Invoice", "CreditMemo")


def _payment_line(books: Books, line: Body, customer: str) -> Body:
    money = values.amount(line.get("Amount"), "Line.Amount")
    if money <= 0:
        raise refusals.business("The amount of a payment's line must be greater than 0")
    links = values.lines(line, "LinkedTxn")
    if len(links) != 1 or not links[0].get("TxnId"):
        raise refusals.missing("Line.LinkedTxn")
    kind, identifier = links[0].get("TxnType"), str(links[0]["TxnId"])
    if kind not in LINKABLE:
        raise refusals.invalid_enumeration("LinkedTxn.TxnType", kind)
    target = books.referred(kind, identifier, "LinkedTxn.TxnId")
    if values.reference(target.body, "CustomerRef") != customer:
        raise refusals.cannot_link(f"{kind} {identifier} is not of customer {customer}")
    return {"Amount": money, "LinkedTxn": [{"TxnId": identifier, "TxnType": kind}]}
