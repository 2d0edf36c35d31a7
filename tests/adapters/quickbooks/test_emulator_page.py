"""The emulator's pages: what a bursar sees of the companies, their customers and documents."""

import re
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Iterator
from decimal import Decimal
from hashlib import sha256
from html.parser import HTMLParser
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.quickbooks.emulator import companies, writes
from adapters.quickbooks.emulator.books import Books
from adapters.quickbooks.emulator.pages import accounts, customers, documents, finding, overview
from adapters.quickbooks.emulator.pages.listing import MAX_PAGE_ROWS, Place
from adapters.quickbooks.emulator.pages.markup import tag
from adapters.quickbooks.emulator.store import Company, Store, load_company, now_ms
from tests.support.emulator import Emulator, School, emulator, ref, sales_line

AMOUNT = re.compile(r"-?\d{1,3}(,\d{3})*\.\d\d")
MANY = 2 * MAX_PAGE_ROWS + 20
RECEIVABLE = "Accounts Receivable (A/R)"

_realms = count(7000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("pages") / "books.db") as running:
        yield running


@pytest.fixture
def school(server: Emulator) -> School:
    return School(server, str(next(_realms)))


@pytest.fixture(scope="module")
def large(server: Emulator) -> School:
    """A school of more than two pages of receipts, all of Amina's, and of customers, each with an invoice."""
    school = School(server, str(next(_realms)))
    names = [f"{'student' if number % 2 else 'Student'} {number:03d}" for number in range(MANY)]
    made = batch(school, [("Customer", {"DisplayName": name}) for name in names])
    invoices = [
        school.invoice(f"{10 + number % 3}.00", CustomerRef=ref(customer))
        for number, customer in enumerate(made)
    ]
    batch(school, [("Invoice", invoice) for invoice in invoices])
    receipts = [
        school.sale("5.00", DocNumber=f"R-{number:03d}", CustomerRef=ref(school.amina))
        for number in range(MANY)
    ]
    batch(school, [("SalesReceipt", receipt) for receipt in receipts])
    return school


def batch(school: School, bodies: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for start in range(0, len(bodies), 30):
        part = bodies[start : start + 30]
        items = [
            {"bId": str(place), "operation": "create", kind: body} for place, (kind, body) in enumerate(part)
        ]
        made += [answer[kind] for answer, (kind, _) in zip(school.batch(items), part, strict=True)]
    return made


# What a page says


class Cell(msgspec.Struct):
    text: str
    css: list[str]
    links: list[str]


class Table(msgspec.Struct):
    caption: str
    heads: list[Cell]
    rows: list[list[Cell]]
    foot: list[Cell]

    def column(self, head: str) -> list[Cell]:
        place = [cell.text for cell in self.heads].index(head)
        return [row[place] for row in self.rows]

    def texts(self, head: str) -> list[str]:
        return [cell.text for cell in self.column(head)]

    def row(self, first: str) -> list[str]:
        """The texts of the row that begins with that one."""
        return next([cell.text for cell in row] for row in self.rows if row[0].text == first)


class Page(HTMLParser):
    """A page read strictly: each element ends in its place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tables: list[Table] = []
        self.links: list[tuple[str, str]] = []
        self.titles: list[str] = []
        self.facts: dict[str, str] = {}
        self.style = ""
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        self.attributes |= set(given)
        if tag in ("meta", "input"):
            return
        self._open.append((tag, given))
        self._texts.append("")
        if tag == "table":
            self.tables.append(Table("", [], [], []))
        if tag == "tr" and self._inside("tbody"):
            self.tables[-1].rows.append([])
        if tag in ("th", "td"):
            self._row().append(Cell("", (given.get("class") or "").split(), []))
        if tag == "a" and self._inside("td"):
            self._row()[-1].links.append(str(given["href"]))

    def handle_data(self, data: str) -> None:
        self._texts = [text + data for text in self._texts]

    def handle_endtag(self, tag: str) -> None:
        (opened, given), text = self._open.pop(), self._texts.pop()
        assert opened == tag, (tag, opened)
        match tag:
            case "a":
                self.links.append((text, str(given["href"])))
            case "th" | "td":
                self._row()[-1].text = text
            case "caption":
                self.tables[-1].caption = text
            case "h1" | "h2":
                self.titles.append(text)
            case "dt":
                self._name = text
            case "dd":
                self.facts[self._name] = text
            case "style":
                self.style = text
            case _:
                pass

    def _inside(self, name: str) -> bool:
        return any(tag == name for tag, _ in self._open)

    def _row(self) -> list[Cell]:
        table = self.tables[-1]
        if self._inside("thead"):
            return table.heads
        return table.foot if self._inside("tfoot") else table.rows[-1]

    def table(self, *heads: str) -> Table:
        """The first table with these heads."""
        return next(table for table in self.tables if set(heads) <= {cell.text for cell in table.heads})

    def link(self, text: str) -> str | None:
        """The address behind the first link of that text."""
        return next((address for name, address in self.links if name == text), None)


def read(server: Emulator, address: str) -> Page:
    answer = server.http.get(address)
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def at(school: School, *parts: str) -> str:
    return "/".join((f"/companies/{school.realm}", *parts))


def shown(school: School, *parts: str) -> Page:
    return read(school.server, at(school, *parts))


def walk(server: Emulator, address: str, onward: str) -> list[Page]:
    """The page there and all to which the links of that name lead."""
    pages = [read(server, address)]
    while (following := pages[-1].link(onward)) is not None:
        pages.append(read(server, following))
    return pages


def every_kind(school: School) -> dict[str, dict[str, Any]]:
    """A document of each kind: an invoice of 1,234,567.50 paid by a payment and by a credit memo."""
    invoice = school.made("Invoice", **school.invoice("1234567.50", DocNumber="INV-1"))
    link = ("Invoice", invoice, "1000000.00")
    payment = school.made("Payment", **school.payment("1000000.00", link, PaymentRefNum="RCT-1-1"))
    memo = school.made("CreditMemo", **school.credit("2500.00", DocNumber="RCT-2-1"))
    links = (("Invoice", invoice, "2500.00"), ("CreditMemo", memo, "2500.00"))
    applied = school.made("Payment", **school.payment("0", *links, PaymentRefNum="RCT-2-1"))
    detail = {"Qty": 1500, "UnitPrice": "2.50"}
    sale = school.sale("0", DocNumber="RCT-3", Line=[sales_line(school.fees_item, "3750.00", **detail)])
    lines = (("Debit", school.wallets, "1500.00"), ("Credit", school.income, "1500.00"))
    return {
        "invoice": invoice,
        "payment": payment,
        "memo": memo,
        "applied": applied,
        "receipt": school.made("SalesReceipt", **sale),
        "refund": school.made("RefundReceipt", **school.sale("1000.00", DocNumber="RCT-4")),
        "journal": school.made("JournalEntry", **school.journal(*lines, DocNumber="RCT-5")),
    }


def every_page(school: School) -> list[str]:
    """The address of a page of each sort, on a school with documents of each kind."""
    made = every_kind(school)
    plain = ["customers", "customers?order=debt", "documents", "documents?kind=Invoice", "find?text=R"]
    customer, account = f"customers/{school.amina['Id']}", f"accounts/{school.cash['Id']}"
    each = [f"documents/{document['Id']}" for document in made.values()]
    return ["/", at(school), *(at(school, part) for part in (*plain, customer, account, *each))]


# Customers


def test_customers_are_listed_with_what_they_owe_and_lead_to_their_documents(school: School) -> None:
    invoice = school.made("Invoice", **school.invoice("1250.10", DocNumber="INV-7"))
    school.made("Payment", **school.payment("250.10", ("Invoice", invoice, "250.10"), PaymentRefNum="RCT-8"))
    of_brian = {"CustomerRef": ref(school.brian)}
    other = school.made("Invoice", **school.invoice("100.00", **of_brian))
    school.made("Payment", **school.payment("130.00", ("Invoice", other, "100.00"), **of_brian))
    school.made("SalesReceipt", **school.sale("60.00", DocNumber="RCT-9", CustomerRef=ref(school.amina)))

    page = shown(school, "customers")
    listed = page.table("Customer", "Owes")
    assert listed.texts("Customer") == ["Amina", "Brian"]
    assert listed.texts("Owes") == ["1,000.00", "-30.00"]
    assert page.facts == {"All together owe, KES": "970.00"}
    assert "Sales receipt RCT-9" in listed.texts("Last document")[0]

    [address] = listed.column("Customer")[0].links
    page = read(school.server, address)
    assert (page.titles[0], page.facts["Owes, KES"]) == ("Amina", "1,000.00")
    lines = page.table("Document", "Debit", "Credit")
    assert lines.texts("Document") == ["Sales receipt RCT-9", "Payment RCT-8", "Invoice INV-7"]
    assert lines.texts("Debit") == ["", "", "1,250.10"]
    assert lines.texts("Credit") == ["", "250.10", ""]
    assert lines.texts("Open") == ["", "", "1,000.00"]
    [to_invoice] = lines.column("Document")[2].links
    page = read(school.server, to_invoice)
    assert page.titles[0] == "Invoice INV-7"
    assert page.link("Amina") == address


def test_an_inactive_customer_is_marked(school: School) -> None:
    school.made("Customer", **school.brian | {"Active": False})
    assert shown(school, "customers").table("Customer").texts("Customer") == ["Amina", "Brian (inactive)"]
    assert shown(school, "customers", school.brian["Id"]).facts["State"] == "inactive"


def test_what_customers_owe_stays_what_stands_on_receivables(school: School) -> None:
    """Whatever is done to documents: made, changed, linked, voided, deleted, refused."""
    receivable = school.query("select * from Account where AccountType = 'Accounts Receivable'")["Account"][0]

    def journal(customer: dict[str, Any], side: str, amount: str) -> dict[str, Any]:
        entity = {"Type": "Customer", "EntityRef": ref(customer)}
        detail = {"PostingType": side, "AccountRef": ref(receivable), "Entity": entity}
        line = {"Amount": amount, "DetailType": "JournalEntryLineDetail", "JournalEntryLineDetail": detail}
        other = school.journal(("Credit" if side == "Debit" else "Debit", school.income, amount))["Line"]
        return {"Line": [line, *other]}

    def current(kind: str, document: dict[str, Any]) -> dict[str, Any]:
        return school.read(kind, document["Id"])

    def check(amina: str, brian: str) -> None:
        page = shown(school, "customers")
        assert page.table("Owes").texts("Owes") == [amina, brian]
        assert Decimal(page.facts["All together owe, KES"]) == Decimal(amina) + Decimal(brian)
        assert Decimal(school.balances().get(RECEIVABLE, "0")) == Decimal(amina) + Decimal(brian)

    check("0.00", "0.00")
    first = school.made("Invoice", **school.invoice("300.00"))
    second = school.made("Invoice", **school.invoice("200.00"))
    check("500.00", "0.00")
    payment = school.made("Payment", **school.payment("150.00", ("Invoice", first, "100.00")))
    check("350.00", "0.00")
    memo = school.made("CreditMemo", **school.credit("40.00"))
    links = (("Invoice", first, "40.00"), ("CreditMemo", memo, "40.00"))
    school.made("Payment", **school.payment("0", *links))
    check("310.00", "0.00")
    school.made("Invoice", **current("Invoice", second) | {"CustomerRef": ref(school.brian)})
    check("110.00", "200.00")
    larger = [sales_line(school.fees_item, "350.00")]
    school.made("Invoice", **current("Invoice", first) | {"Line": larger})
    check("160.00", "200.00")
    entry = school.made("JournalEntry", **journal(school.amina, "Debit", "7.77"))
    check("167.77", "200.00")
    changed = current("JournalEntry", entry) | journal(school.brian, "Credit", "8.88")
    school.made("JournalEntry", **changed)
    check("160.00", "191.12")
    assert school.post("Payment", school.payment("1.00", ("Invoice", first, "1000.00"))).status_code == 400
    check("160.00", "191.12")
    school.post("Payment", current("Payment", payment), operation="void").raise_for_status()
    check("310.00", "191.12")
    school.post("JournalEntry", current("JournalEntry", entry), operation="delete").raise_for_status()
    school.post("Invoice", current("Invoice", second), operation="delete").raise_for_status()
    check("310.00", "0.00")
    brians = shown(school, "customers", school.brian["Id"])
    assert not brians.tables


def test_a_journal_on_receivables_is_among_the_documents_of_its_customer(school: School) -> None:
    receivable = school.query("select * from Account where AccountType = 'Accounts Receivable'")["Account"][0]
    entry = school.journal(("Debit", receivable, "9.00"), ("Credit", school.income, "9.00"), DocNumber="J-1")
    entity = {"Type": "Customer", "EntityRef": school.brian["Id"]}
    entry["Line"][0]["JournalEntryLineDetail"]["Entity"] = entity
    made = school.made("JournalEntry", **entry)
    page = shown(school, "customers", school.brian["Id"])
    assert page.table("Debit").texts("Document") == ["Journal entry J-1"]
    assert page.table("Debit").texts("Debit") == ["9.00"]
    assert shown(school, "documents", made["Id"]).facts["Customer"] == "Brian"


# Numbers


def test_numbers_stand_to_the_right_under_heads_that_do(school: School) -> None:
    seen: set[str] = set()
    for address in every_page(school):
        page = read(school.server, address)
        assert re.search(r"\.n \{ text-align: right", page.style)
        for table in page.tables:
            for place, head in enumerate(table.heads):
                cells = [row[place] for row in (*table.rows, *([table.foot] if table.foot else []))]
                assert all(("n" in cell.css) == ("n" in head.css) for cell in cells), (address, head.text)
                if any(AMOUNT.fullmatch(cell.text) for cell in cells):
                    assert "n" in head.css, (address, head.text)
                    seen.add(head.text)
    assert seen >= {
        "Balance",
        "Debits",
        "Credits",
        "Total",
        "Open",
        "Owes",
        "Debit",
        "Credit",
        "Amount",
        "Price",
    }
    assert seen >= {"Applied", "Pays", "Uses credit"}


def test_amounts_have_separators_and_two_places_everywhere(school: School) -> None:
    for address in every_page(school):
        page = read(school.server, address)
        cells = [cell.text for table in page.tables for row in (*table.rows, table.foot) for cell in row]
        for text in (*cells, *page.facts.values()):
            if re.fullmatch(r"-?[\d,]+\.\d+", text):
                assert AMOUNT.fullmatch(text), (address, text)
    assert "1,234,567.50" in shown(school).text


def test_accounts_have_debits_and_credits_that_are_equal_together(school: School) -> None:
    every_kind(school)
    table = shown(school).table("Account", "Debits", "Credits", "Balance")
    assert table.row("1000 Till cash") == [
        "1000 Till cash",
        "Bank",
        "1,003,750.00",
        "1,000.00",
        "1,002,750.00",
    ]
    assert table.row(RECEIVABLE)[2:] == ["1,234,567.50", "1,002,500.00", "232,067.50"]
    debits, credits_, balance = (cell.text for cell in table.foot[2:])
    assert debits == credits_ != "0.00"
    assert balance == "0.00"

    [address] = next(row[0].links for row in table.rows if row[0].text == "1000 Till cash")
    page = read(school.server, address)
    assert (page.facts["Debits, KES"], page.facts["Credits, KES"]) == ("1,003,750.00", "1,000.00")
    lines = page.table("Document", "Debit", "Credit")
    assert lines.texts("Document") == ["Refund receipt RCT-4", "Sales receipt RCT-3", "Payment RCT-1-1"]
    assert lines.texts("Debit") == ["", "3,750.00", "1,000,000.00"]
    assert lines.texts("Credit") == ["1,000.00", "", ""]


# Lists


def ids(pages: list[Page], head: str) -> list[int]:
    """The ids of what the cells below that head lead to."""
    links = [cell.links[-1] for page in pages for cell in page.table(head).column(head)]
    return [int(link.rsplit("/", 1)[1]) for link in links]


def test_all_documents_are_shown_page_by_page_and_back(large: School) -> None:
    onward = walk(large.server, at(large, "documents"), "Older →")
    assert [len(page.table("Document").rows) for page in onward] == [50, 50, 50, 50, 40]
    numbers = ids(onward, "Document")
    assert numbers == sorted(set(numbers), reverse=True)
    assert len(numbers) == 2 * MANY
    last = read(large.server, str(onward[0].link("Oldest »")))
    assert ids([last], "Document") == numbers[-MAX_PAGE_ROWS:]
    assert last.link("Older →") is None
    back = walk(large.server, str(onward[-1].link("← Newer")), "← Newer")
    assert [page.tables for page in back[::-1]] == [page.tables for page in onward[:-1]]
    assert back[-1].link("« Newest") is None
    assert read(large.server, str(onward[2].link("« Newest"))).tables == onward[0].tables


def test_a_kind_a_customer_and_an_account_page_their_documents(large: School) -> None:
    first = at(large, "documents?kind=SalesReceipt")
    receipts = ids(walk(large.server, first, "Older →"), "Document")
    assert len(receipts) == MANY
    of_customer = walk(large.server, at(large, "customers", large.amina["Id"]), "Older →")
    of_account = walk(large.server, at(large, "accounts", large.cash["Id"]), "Older →")
    for pages in (of_customer, of_account):
        assert len(pages) == 3
        assert ids(pages, "Document") == receipts
        back = walk(large.server, str(pages[0].link("Oldest »")), "← Newer")
        assert ids(back[::-1], "Document")[-MANY:] == receipts


def test_customers_are_paged_by_name_and_by_what_they_owe(large: School) -> None:
    by_name = walk(large.server, at(large, "customers"), "Next →")
    names = [name for page in by_name for name in page.table("Customer").texts("Customer")]
    assert names[:3] == ["Amina", "Brian", "Student 000"]
    assert names == sorted(names, key=str.lower)
    assert len(set(names)) == MANY + 2
    back = walk(large.server, str(by_name[-1].link("← Previous")), "← Previous")
    assert [page.tables for page in back[::-1]] == [page.tables for page in by_name[:-1]]

    by_debt = walk(large.server, at(large, "customers?order=debt"), "Next →")
    debts = [Decimal(debt) for page in by_debt for debt in page.table("Owes").texts("Owes")]
    assert debts == sorted(debts, reverse=True)
    assert len(set(ids(by_debt, "Customer"))) == len(debts) == MANY
    last = read(large.server, str(by_debt[0].link("Last »")))
    assert ids([last], "Customer") == ids(by_debt, "Customer")[-MAX_PAGE_ROWS:]


def test_a_list_of_one_page_has_no_pager(school: School) -> None:
    school.made("SalesReceipt", **school.sale("1.00"))
    texts = {text for text, _ in shown(school, "documents").links}
    assert not texts & {"« Newest", "← Newer", "Older →", "Oldest »"}


def test_companies_are_paged_on_the_first_page(server: Emulator) -> None:
    for _ in range(overview.MAX_COMPANIES + 2):
        body = {"realm": str(next(_realms)), "country": "CA", "name": "A school"}
        server.http.post("/emulator/companies", json=body).raise_for_status()
    pages = walk(server, "/", "Older companies →")
    realms = [realm for page in pages for realm in re.findall(r"Company (\d+), ", page.text)]
    assert realms == [company["realm"] for company in server.http.get("/emulator/companies").json()][::-1]


def test_a_deleted_document_is_in_no_list(school: School) -> None:
    kept = school.made("SalesReceipt", **school.sale("1.00", DocNumber="K"))
    gone = school.made("SalesReceipt", **school.sale("2.00", DocNumber="D", CustomerRef=ref(school.amina)))
    school.post("SalesReceipt", gone, operation="delete").raise_for_status()
    assert ids([shown(school, "documents")], "Document") == [int(kept["Id"])]
    assert not shown(school, "customers", school.amina["Id"]).tables
    answer = school.server.http.get(at(school, "documents", gone["Id"]))
    assert answer.status_code == 404
    assert f"Document {gone['Id']} does not exist or was deleted." in answer.text


def test_what_a_page_costs_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Counted in steps of SQLite's machine, so that no clock decides."""
    few, many = (steps(tmp_path / f"{size}.db", size) for size in (300, 3000))
    assert few.keys() == many.keys()
    grown = {name: (few[name], many[name]) for name in few if many[name] > 1.3 * few[name]}
    assert not grown


def steps(path: Path, size: int) -> dict[str, int]:
    store = Store(path)
    realm = "1"
    with store.transaction():
        companies.open_company(store, companies.Opening(realm=realm, country="KE", name="School"))

    def make(kind: str, **body: Any) -> dict[str, Any]:
        books = Books(store, company(), now_ms())
        return writes.create(books, kind, body)

    def company() -> Company:
        found = load_company(store, realm)
        assert found is not None
        return found

    with store.transaction():
        account = make("Account", Name="Fees", AccountType="Income", AcctNum="4000")
        item = make("Item", Name="Fees", IncomeAccountRef=ref(account))
        seldom = make("Account", Name="Trips", AccountType="Income", AcctNum="4010")
        trip = make("Item", Name="Trips", IncomeAccountRef=ref(seldom))
        payers = [make("Customer", DisplayName=f"Student {number:05d}") for number in range(size)]
        for number in range(size):
            lines = [sales_line(trip if number < MANY else item, f"{10 + number}.00")]
            # Every second document is the first payer's.
            payer = payers[number if number % 2 else 0]
            invoice = make("Invoice", DocNumber=f"INV-{number:06d}", CustomerRef=ref(payer), Line=lines)

    middle = Place(after=int(invoice["Id"]) - size // 3)
    end = Place(last=True)
    own, first, fees = company(), int(payers[0]["Id"]), int(account["Id"])
    pages: dict[str, Callable[[], object]] = {
        "front": lambda: overview.front(store, Place()),
        "documents": lambda: documents.documents(store, own, middle, None),
        "the oldest documents": lambda: documents.documents(store, own, end, None),
        "invoices": lambda: documents.documents(store, own, middle, "Invoice"),
        "a document": lambda: documents.document(store, own, int(invoice["Id"])),
        "customers": lambda: customers.customers(store, own, Place(after=first + size // 3), None),
        "debtors": lambda: customers.customers(store, own, Place(after=first + size // 2 | 1), "debt"),
        "a customer": lambda: customers.customer(store, own, middle, first),
        "an account": lambda: accounts.account(store, own, middle, fees),
        "an account long not used": lambda: accounts.account(store, own, Place(), int(seldom["Id"])),
        "a search": lambda: finding.find(store, own, "INV-0000"),
        "a search that finds nothing": lambda: finding.find(store, own, "INV-9"),
    }
    counted: dict[str, int] = {}

    def step() -> int:
        counted[name] += 1
        return 0

    for name, show in pages.items():
        counted[name] = 0
        store.db.set_progress_handler(step, 10)
        show()
        store.db.set_progress_handler(None, 0)
    store.close()
    return counted


# Links


def test_an_invoice_leads_to_its_payments_and_they_lead_back(school: School) -> None:
    made = every_kind(school)
    page = shown(school, "documents", made["invoice"]["Id"])
    assert (page.facts["Total, KES"], page.facts["Open"]) == ("1,234,567.50", "232,067.50")
    applied = page.table("Document", "Applied")
    assert applied.texts("Document") == ["Payment RCT-1-1", "Payment RCT-2-1"]
    assert applied.texts("Applied") == ["1,000,000.00", "2,500.00"]
    assert applied.texts("Together with") == ["", "Credit memo RCT-2-1"]
    assert applied.foot[-1].text == "1,002,500.00"

    for place, (number, pays, uses) in enumerate(
        [("RCT-1-1", ["1,000,000.00"], [""]), ("RCT-2-1", ["2,500.00", ""], ["", "2,500.00"])]
    ):
        [address] = applied.column("Document")[place].links
        payment = read(school.server, address)
        assert payment.titles[0] == f"Payment {number}"
        paid = payment.table("Document", "Pays", "Uses credit")
        assert (paid.texts("Pays"), paid.texts("Uses credit")) == (pays, uses)
        assert read(school.server, str(payment.link("Invoice INV-1"))).text == page.text


def test_a_credit_memo_leads_to_the_payment_that_applies_it_and_back(school: School) -> None:
    made = every_kind(school)
    memo = shown(school, "documents", made["memo"]["Id"])
    applied = memo.table("Document", "Applied")
    assert applied.texts("Document") == ["Payment RCT-2-1"]
    assert applied.texts("Together with") == ["Invoice INV-1"]
    payment = read(school.server, str(memo.link("Payment RCT-2-1")))
    assert payment.facts["Total, KES"] == "0.00"
    assert read(school.server, str(payment.link("Credit memo RCT-2-1"))).text == memo.text


def test_each_kind_shows_its_lines_and_what_it_books(school: School) -> None:
    made = every_kind(school)
    receipt = shown(school, "documents", made["receipt"]["Id"])
    sold = receipt.table("Item", "Quantity", "Price", "Amount")
    assert [[cell.text for cell in row] for row in sold.rows] == [["Fees", "", "1,500", "2.50", "3,750.00"]]
    booked = receipt.table("Account", "Debit", "Credit")
    assert booked.row("1000 Till cash") == ["1000 Till cash", "3,750.00", ""]
    assert booked.row("4000 Fees") == ["4000 Fees", "", "3,750.00"]
    assert [cell.text for cell in booked.foot] == ["Total", "3,750.00", "3,750.00"]
    journal = shown(school, "documents", made["journal"]["Id"]).table("Account", "Debit", "Credit")
    assert journal.texts("Debit") == ["1,500.00", ""]
    assert journal.texts("Credit") == ["", "1,500.00"]
    assert [cell.text for cell in journal.foot] == ["Total", "", "1,500.00", "1,500.00"]
    # A journal's own total always reads 0, so the list tells its debits.
    assert shown(school, "documents?kind=JournalEntry").table("Total").texts("Total") == ["1,500.00"]
    assert "Nothing: its amounts are 0." in shown(school, "documents", made["applied"]["Id"]).text


def test_tax_and_what_is_not_applied_are_told(server: Emulator) -> None:
    school = School(server, str(next(_realms)), "CA")
    school.switch(UsingSalesTax=True, BookCloseDate="2020-01-31")
    code = school.query("select * from TaxCode where Name = 'GST 5%'")["TaxCode"][0]["Id"]
    line = sales_line(school.fees_item, "1000.00", TaxCodeRef={"value": code})
    body = {"CustomerRef": ref(school.amina), "Line": [line], "TxnTaxDetail": {"TotalTax": "50.00"}}
    invoice = school.made("Invoice", **body)
    page = shown(school, "documents", invoice["Id"])
    assert page.facts["Total, CAD"] == "1,050.00"
    assert page.table("Item").row("Sales tax")[-1] == "50.00"
    payment = school.made("Payment", **school.payment("2000.00", ("Invoice", invoice, "1050.00")))
    assert shown(school, "documents", payment["Id"]).facts["Not applied to an invoice"] == "950.00"
    assert f"Company {school.realm}, CA, CAD, books closed up to 2020-01-31" in shown(school).text


def test_a_voided_document_says_so_and_an_unnumbered_one_is_named_by_its_id(school: School) -> None:
    receipt = school.made("SalesReceipt", **school.sale("10.00"))
    school.post("SalesReceipt", receipt, operation="void").raise_for_status()
    name = f"Sales receipt (id {receipt['Id']})"
    page = read(school.server, str(shown(school, "documents").link(name)))
    assert page.titles[0] == name
    assert (page.facts["Note"], page.facts["Total, KES"]) == ("Voided", "0.00")


def test_an_invoice_with_more_payments_than_are_shown_says_how_many(school: School) -> None:
    invoice = school.made("Invoice", **school.invoice("1000.00"))
    payments = documents.MAX_LINKS + 2
    body = school.payment("1.00", ("Invoice", invoice, "1.00"))
    batch(school, [("Payment", body)] * payments)
    applied = shown(school, "documents", invoice["Id"]).table("Document", "Applied")
    assert applied.caption == f"What paid it: the first {documents.MAX_LINKS} of {payments}"
    assert len(applied.rows) == documents.MAX_LINKS
    assert applied.foot[-1].text == f"{payments}.00"


# Finding


def find(school: School, text: str) -> tuple[str, Page]:
    """Where the search leads, and what is there."""
    answer = school.server.http.get(at(school, "find"), params={"text": text}, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return answer.url.path, Page(answer.text)


def test_a_number_that_is_one_document_s_leads_to_it(school: School) -> None:
    made = every_kind(school)
    for text, document in (("INV-1", "invoice"), (" rct-1-1 ", "payment"), ("Rct-5", "journal")):
        path, page = find(school, text)
        assert path == at(school, "documents", made[document]["Id"])
        assert page.titles[0].lower().endswith(text.strip().lower())


def test_a_number_of_several_or_its_beginning_lists_them(school: School) -> None:
    every_kind(school)
    _, page = find(school, "RCT-2")
    assert page.table("Document").texts("Document") == ["Credit memo RCT-2-1", "Payment RCT-2-1"]
    _, page = find(school, "rct-")
    assert len(page.table("Document").rows) == 6
    assert page.titles[0] == "Found for “rct-”"


def test_a_customer_is_found_by_name(school: School) -> None:
    assert find(school, "amina")[0] == at(school, "customers", school.amina["Id"])
    school.made("Customer", DisplayName="Aminata")
    assert find(school, "AMI")[1].table("Customer").texts("Customer") == ["Amina", "Aminata"]


@pytest.mark.parametrize("text", ["%", "_MINA", "INV_1", "mina", "1' OR '1'='1", "\U0010ffff", "\x00"])
def test_nothing_is_found_for_what_no_name_or_number_begins_with(school: School, text: str) -> None:
    every_kind(school)
    path, page = find(school, text)
    assert (path, page.tables) == (at(school, "find"), [])


def test_more_than_a_page_is_cut_and_says_so(large: School) -> None:
    _, page = find(large, "R-")
    assert page.table("Document").texts("Document") == [
        f"Sales receipt R-{number:03d}" for number in range(50)
    ]
    assert "These are the first 50" in page.text
    assert "These are the first 50" not in find(large, "R-00")[1].text


# What is hostile or wrong

HOSTILE = "<img src=x onerror=alert(1)>&lt;'</title></style><script>alert(2)</script>"


def test_names_numbers_and_notes_are_escaped_wherever_they_stand(server: Emulator) -> None:
    realm = str(next(_realms))
    company = {"realm": realm, "country": "KE", "name": f'"{HOSTILE}'}
    server.http.post("/emulator/companies", json=company).raise_for_status()
    school = School(server, realm)
    customer = school.made("Customer", DisplayName=HOSTILE)
    account = school.made("Account", Name=HOSTILE, AccountType="Income", AcctNum="<b>'&\"")
    item = school.made("Item", Name=HOSTILE, IncomeAccountRef=ref(account))
    line = {**sales_line(item, "1.00"), "Description": f'"{HOSTILE}'}
    note = {"PrivateNote": f'"{HOSTILE}'}
    invoice = school.made("Invoice", CustomerRef=ref(customer), DocNumber="<i>'\"&amp;", Line=[line], **note)
    path = f"/v3/company/{realm}/<script>"
    server.http.get(path)
    pages = {
        name: read(server, address)
        for name, address in {
            "front": "/",
            "overview": at(school),
            "customers": at(school, "customers"),
            "customer": at(school, "customers", customer["Id"]),
            "documents": at(school, "documents"),
            "document": at(school, "documents", invoice["Id"]),
            "account": at(school, "accounts", account["Id"]),
            "search": at(school, "find?text=%3Cscript%3E%22"),
        }.items()
    }
    for name, page in pages.items():
        assert not page.tags & {"script", "img", "b", "i"}, name
        assert not {attribute for attribute in page.attributes if attribute.startswith("on")}, name
    assert f'"{HOSTILE}' in pages["front"].titles
    assert f"GET {path}" in pages["front"].table("Call").texts("Call")
    assert HOSTILE in pages["customers"].table("Customer").texts("Customer")
    assert pages["customer"].titles[0] == HOSTILE
    assert "Invoice <i>'\"&amp;" in pages["documents"].table("Document").texts("Document")
    assert pages["document"].facts["Note"] == f'"{HOSTILE}'
    assert f'"{HOSTILE}' in pages["document"].table("Item").texts("Description")
    assert pages["account"].titles[0] == f"<b>'&\" {HOSTILE}"
    assert pages["search"].titles[0] == 'Found for “<script>"”'


def test_what_is_not_markup_is_escaped_also_in_attributes() -> None:
    made = tag("a", "<b>", tag("i", "&"), None, href='"><script>', title=None, aria_label="'")
    assert made == '<a href="&quot;&gt;&lt;script&gt;" aria-label="&#x27;">&lt;b&gt;<i>&amp;</i></a>'


def test_the_policy_allows_the_one_sheet_of_styles_and_nothing_else(school: School) -> None:
    redirect, missing = at(school, "find?text=amina"), at(school, "documents", "999999")
    for address in (*every_page(school), redirect, missing):
        answer = school.server.http.get(address)
        page = Page(answer.text)
        digest = b64encode(sha256(read(school.server, "/").style.encode()).digest()).decode()
        assert answer.headers["content-security-policy"] == (
            f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "style" not in page.attributes
        assert "script" not in page.tags
        assert page.style == (read(school.server, "/").style if page.tags else "")


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("documents?after=x", 400, "“x” is not the id of anything: an id is a whole number."),
        ("documents?before=-1", 400, "“-1” is not the id of anything"),
        (f"customers?after={'9' * 19}", 400, "an id is a whole number"),
        ("documents?kind=Bill", 404, "There are no documents of the kind “Bill”."),
        ("customers?order=luck", 404, "Customers have no order “luck”."),
        ("documents/1", 404, "Document 1 does not exist or was deleted."),
        ("documents/٣", 400, "“٣” is not the id of anything"),
        (f"documents/{'9' * 18}", 404, "does not exist"),
        ("customers/1", 404, "Customer 1 does not exist."),
        ("accounts/999", 404, "Account 999 does not exist."),
        ("find", 400, "Write a document&#x27;s number or a customer&#x27;s name"),
        ("find?text=+", 400, "Write a document&#x27;s number or a customer&#x27;s name"),
    ],
)
def test_what_cannot_be_shown_is_said(school: School, path: str, status: int, says: str) -> None:
    answer = school.server.http.get(at(school, path))
    assert answer.status_code == status
    assert says in answer.text
    assert Page(answer.text).link("To the companies") == "/"


def test_an_unknown_company_is_said(server: Emulator) -> None:
    answer = server.http.get("/companies/nobody/customers")
    assert (answer.status_code, "Company nobody does not exist." in answer.text) == (404, True)


# The first page


def test_the_first_page_shows_calls_and_armed_faults_below_the_company(school: School) -> None:
    every_kind(school)
    school.post("Customer", {"DisplayName": "Zuri"}, requestid="once").raise_for_status()
    school.post("Customer", {"DisplayName": "Zuri"}, requestid="once").raise_for_status()
    assert school.post("Customer", {"DisplayName": "Zuri"}, requestid="twice").status_code == 400
    school.server.arm("503", 1200, "Invoice")
    try:
        page = read(school.server, "/")
    finally:
        school.server.disarm()
    assert page.titles[:4] == [f"School {school.realm}", "Accounts", "Newest documents", "Who owes most"]
    assert page.titles[-2:] == ["Requests", "Faults"]
    newest = page.table("Document", "Open")
    assert newest.texts("Document")[0] == "Journal entry RCT-5"
    assert page.table("Owes").texts("Customer") == ["Amina"]
    calls = page.table("Call", "Status")
    assert calls.texts("Operation")[:3] == ["create Customer", "create Customer, replayed", "create Customer"]
    assert calls.texts("Request id")[:3] == ["twice", "once", "once"]
    assert calls.texts("Status")[:3] == ["400", "200", "200"]
    lines = [int(number) for number in calls.texts("No.")]
    assert all(newer == older + 1 for newer, older in pairwise(lines))
    faults = page.table("Fault", "Left")
    assert [[cell.text for cell in row] for row in faults.rows] == [["503", "Invoice", "1,200"]]
    assert page.link("/emulator/requests") == "/emulator/requests"


def test_an_empty_emulator_says_so(tmp_path: Path) -> None:
    with emulator(tmp_path / "empty.db") as empty:
        page = read(empty, "/")
    assert "No company yet." in page.text
    assert page.titles == ["Requests", "Faults"]


# Files of before


def test_a_file_without_the_sums_shows_the_same_once_they_are_worked_out(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    with emulator(path) as before:
        school = School(before, "1")
        every_kind(school)
        receivable = school.query("select * from Account where AccountType = 'Accounts Receivable'")[
            "Account"
        ]
        for entity_ref in (ref(school.brian), school.brian["Id"]):
            lines = (("Debit", receivable[0], "77.01"), ("Credit", school.income, "77.01"))
            entry = school.journal(*lines)
            entity = {"Type": "Customer", "EntityRef": entity_ref}
            entry["Line"][0]["JournalEntryLineDetail"]["Entity"] = entity
            school.made("JournalEntry", **entry)
        gone = school.made("Invoice", **school.invoice("5.00"))
        school.post("Invoice", gone, operation="delete").raise_for_status()
        customers = [f"customers/{customer['Id']}" for customer in (school.amina, school.brian)]
        addresses = [at(school, part) for part in ("customers", "customers?order=debt", *customers)] + [
            at(school)
        ]
        texts = [read(before, address).text for address in addresses]
        assert "154.02" in texts[0]
    with sqlite3.connect(path) as db:
        db.executescript(
            """
            DROP TRIGGER posting_inserted; DROP TRIGGER posting_deleted; DROP INDEX posting_account;
            DROP TABLE customer_line; DROP TABLE customer_total; DROP TABLE account_total;
            DROP INDEX entity_document; DROP INDEX entity_number;
            PRAGMA user_version = 0;
            """
        )
    db.close()
    for _ in range(2):  # the second time nothing is left to work out
        with emulator(path) as after:
            assert [read(after, address).text for address in addresses] == texts
