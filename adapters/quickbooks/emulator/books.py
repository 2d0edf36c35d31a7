"""One company's entities during one call: found, written, and booked to accounts."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from adapters.quickbooks.emulator import refusals, statements, values
from adapters.quickbooks.emulator.refusals import Body
from adapters.quickbooks.emulator.store import Company, Store, decode, encode

NAME_LISTS = ("Account", "Customer", "Item")
SALES_FORMS = ("Invoice", "SalesReceipt", "CreditMemo", "RefundReceipt")
DOCUMENTS = (*SALES_FORMS, "Payment", "JournalEntry")
ENTITIES = (*NAME_LISTS, *DOCUMENTS)
TAX_LISTS = ("TaxCode", "TaxRate")
READ_ONLY = ("CompanyInfo", "Preferences")
KIND_BY_RESOURCE = {kind.lower(): kind for kind in (*ENTITIES, *TAX_LISTS, *READ_ONLY)}

SALES_LINE = "SalesItemLineDetail"
JOURNAL_LINE = "JournalEntryLineDetail"
TAX_LINE = "TaxLineDetail"
RECEIVABLE = "Accounts Receivable"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A stored entity: `body` is its JSON as it is answered."""

    kind: str
    id: int
    sync_token: int
    deleted: bool
    created_ms: int
    body: Body


class Books:
    """The entities of `company` as they stand at `at_ms`, inside the caller's transaction."""

    def __init__(self, store: Store, company: Company, at_ms: int) -> None:
        self.store = store
        self.company = company
        self.at_ms = at_ms
        self._names: dict[tuple[str, int], Record] = {}

    def load(self, kind: str, number: int) -> Record | None:
        """The entity of that id, made by this call or before it, deleted or not."""
        if (kind, number) in self._names:
            return self._names[kind, number]
        row = self.store.row(statements.SELECT_ENTITY, self.company.realm, kind, number)
        if row is None:
            return None
        number, sync_token, deleted, created_ms, text = row
        record = Record(
            kind=kind,
            id=number,
            sync_token=sync_token,
            deleted=bool(deleted),
            created_ms=created_ms,
            body=decode(text),
        )
        if kind in NAME_LISTS:
            self._names[kind, number] = record
        return record

    def find(self, kind: str, identifier: str) -> Record | None:
        """What `load` gives, among what existed before this call: items of a batch cannot see each other."""
        if not identifier.isdecimal() or int(identifier) >= self.company.next_id:
            return None
        return self.load(kind, int(identifier))

    def referred(self, kind: str, identifier: str, name: str) -> Record:
        """The entity that the reference `name` names. Refuses what is missing (2500), deleted or inactive (610)."""
        record = self.find(kind, identifier)
        if record is None:
            raise refusals.invalid_reference(name, identifier)
        if record.deleted:
            raise refusals.not_found(f"Something you're trying to use has been deleted. {name} {identifier}")
        if not record.body.get("Active", True):
            raise refusals.not_found(
                f"Something you're trying to use has been made inactive. {name} {identifier}"
            )
        return record

    def take_id(self) -> int:
        return int(self.store.row(statements.TAKE_ID, self.company.realm)[0])

    def put(self, record: Record) -> Record:
        """Writes the entity with the values that only the server sets, and answers it."""
        head: Body = {} if record.deleted else {"domain": "QBO", "sparse": False}
        stamp = {
            "CreateTime": values.moment(record.created_ms),
            "LastUpdatedTime": values.moment(self.at_ms),
        }
        identity = {"Id": str(record.id), "SyncToken": str(record.sync_token), "MetaData": stamp}
        body = record.body | head | identity
        self._write(record, body)
        written = msgspec.structs.replace(record, body=body)
        if record.kind in NAME_LISTS:
            self._names[record.kind, record.id] = written
        return written

    def _write(self, record: Record, body: Body) -> None:
        money = body if record.kind in DOCUMENTS else {}
        total, balance = money.get("TotalAmt"), money.get("Balance")
        self.store.run(
            statements.PUT_ENTITY,
            self.company.realm,
            record.kind,
            record.id,
            record.sync_token,
            body.get("Active", True),
            record.deleted,
            record.created_ms,
            self.at_ms,
            body.get("DocNumber"),
            body.get("PaymentRefNum"),
            body.get("DisplayName") or body.get("Name"),
            body.get("AcctNum"),
            body.get("AccountType") or body.get("Type"),
            body.get("TxnDate"),
            values.reference(body, "CustomerRef"),
            None if total is None else values.minor(total),
            None if balance is None else values.minor(balance),
            encode(body).decode(),
        )

    def book(self, record: Record) -> None:
        """Replaces what the document books to accounts and to customers; a deleted one books nothing."""
        realm = self.company.realm
        self.store.run(statements.DELETE_POSTINGS, realm, record.id)
        self.store.run(statements.DELETE_CUSTOMER_LINES, realm, record.id)
        if record.deleted:
            return
        debits = self.debits(record)
        assert sum(debits.values()) == 0, f"{record.kind} {record.id} does not balance"
        for account, debit in debits.items():
            if debit:
                self.store.run(statements.INSERT_POSTING, realm, record.id, int(account), values.minor(debit))
        for customer, owed in self.owed(record, debits).items():
            line = (realm, int(customer), record.id, values.minor(owed))
            self.store.run(statements.INSERT_CUSTOMER_LINE, *line)

    def debits(self, record: Record) -> Mapping[str, Decimal]:
        """What the document books, by account id: debits positive, credits negative.

        How each kind books is QuickBooks' own: an invoice debits receivables and credits the accounts of its
        items, a sales receipt debits its deposit account instead, a credit memo and a refund receipt do the
        reverse, a payment debits its deposit account and credits receivables, a journal books its lines.
        """
        if record.kind == "JournalEntry":
            return _journal_debits(record.body)
        body, total = record.body, record.body["TotalAmt"]
        debits: dict[str, Decimal] = {}
        match record.kind:
            case "Payment":
                _add(debits, self._deposit_account(body), total)
                _add(debits, str(self.company.receivable_id), -total)
            case "Invoice" | "CreditMemo":
                _add(debits, str(self.company.receivable_id), total)
                self._credit_items(debits, body)
            case _:
                _add(debits, self._deposit_account(body), total)
                self._credit_items(debits, body)
        if record.kind in ("CreditMemo", "RefundReceipt"):
            return {account: -debit for account, debit in debits.items()}
        return debits

    def owed(self, record: Record, debits: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
        """What the document, which books `debits`, adds to what each customer that it names owes.

        Over all customers that is what it books to receivables: QuickBooks wants a customer there.
        """
        if record.kind == "JournalEntry":
            return self._journal_owed(record.body)
        customer = values.reference(record.body, "CustomerRef")
        return (
            {} if customer is None else {customer: debits.get(str(self.company.receivable_id), values.ZERO)}
        )

    def _journal_owed(self, body: Body) -> Mapping[str, Decimal]:
        owed: dict[str, Decimal] = {}
        for line in values.lines(body):
            if line.get("DetailType") == JOURNAL_LINE:
                account_id, debit = _journal_debit(line)
                account = self.load("Account", int(account_id))
                assert account is not None, "a stored line names an account that exists"
                if account.body["AccountType"] == RECEIVABLE:
                    _add(owed, str(values.reference(line[JOURNAL_LINE]["Entity"], "EntityRef")), debit)
        return owed

    def _deposit_account(self, body: Body) -> str:
        return values.reference(body, "DepositToAccountRef") or str(self.company.undeposited_id)

    def _credit_items(self, debits: dict[str, Decimal], body: Body) -> None:
        for line in values.lines(body):
            if line.get("DetailType") == SALES_LINE:
                item_id = values.reference(line[SALES_LINE], "ItemRef")
                item = self.load("Item", int(item_id or 0))
                assert item is not None, "a stored line names an item that exists"
                _add(debits, str(values.reference(item.body, "IncomeAccountRef")), -line["Amount"])
        untold = total_tax(body)
        for line in tax_lines(body):
            _add(debits, self._tax_account(line), -line["Amount"])
            untold -= line["Amount"]
        if untold:
            _add(debits, str(self.company.tax_id), -untold)

    def _tax_account(self, line: Body) -> str:
        """The account of the agency that the rate is owed to: the two have the same id here."""
        rate = self.load("TaxRate", int(values.reference(line[TAX_LINE], "TaxRateRef") or 0))
        assert rate is not None, "a stored line names a rate that exists"
        return str(values.reference(rate.body, "AgencyRef"))


def tax_lines(body: Body) -> list[Body]:
    """The lines of TxnTaxDetail: each says what is owed at a rate."""
    tax = body.get("TxnTaxDetail") or {}
    if not isinstance(tax, dict):
        raise refusals.invalid_property("TxnTaxDetail is not an object")
    return values.lines(tax, "TaxLine")


def total_tax(body: Body) -> Decimal:
    tax = body.get("TxnTaxDetail") or {}
    if not isinstance(tax, dict):
        raise refusals.invalid_property("TxnTaxDetail is not an object")
    given = tax.get("TotalTax")
    return values.ZERO if given is None else values.amount(given, "TxnTaxDetail.TotalTax")


def _add(debits: dict[str, Decimal], account: str, debit: Decimal) -> None:
    debits[account] = debits.get(account, values.ZERO) + debit


def _journal_debits(body: Body) -> Mapping[str, Decimal]:
    debits: dict[str, Decimal] = {}
    for line in values.lines(body):
        if line.get("DetailType") == JOURNAL_LINE:
            _add(debits, *_journal_debit(line))
    return debits


def _journal_debit(line: Body) -> tuple[str, Decimal]:
    """The account of a journal's line and what the line debits, or with a minus credits, to it."""
    detail = line[JOURNAL_LINE]
    sign = 1 if detail["PostingType"] == "Debit" else -1
    return str(values.reference(detail, "AccountRef")), sign * line["Amount"]
