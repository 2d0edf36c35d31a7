"""A school's day as a customer would drive it, and the checks that all books agree afterwards."""

import csv
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from tests.support import books
from tests.support.up import Client, Up
from tests.support.waiting import eventually

RECEIPTED = (
    "wallet.top_up",
    "wallet.charge",
    "invoice.settle",
    "pos.checkout",
    "pos.refund",
    "transaction.reverse",
)
EXPORT_SECONDS = 600.0


# --- a file of sales


@dataclass(frozen=True, kw_only=True)
class SalesFile:
    """A file to import, and what it says: minor units by customer, in the order of the rows."""

    path: Path
    options: Sequence[str]
    sales: Mapping[str, Sequence[int]]
    rejected: int

    @property
    def count(self) -> int:
        return sum(map(len, self.sales.values()))

    @property
    def total_minor(self) -> int:
        return sum(map(sum, self.sales.values()))


def write_sales(path: Path, *, rows: int, customers: int, prefix: str, options: Sequence[str]) -> SalesFile:
    """Write `rows` good rows, some of them equal, and three that cannot be posted."""
    chance = random.Random(prefix)
    sales: dict[str, list[int]] = {}
    good: list[list[str]] = []
    while len(good) < rows:
        customer = f"{prefix}-{chance.randrange(customers):04}"
        minor, quantity = chance.randint(1, 500_000), chance.randint(1, 9)
        day = date(2026, 1, 5) + timedelta(days=chance.randrange(60))
        item = chance.choice(
            ["Lunch", "Exercise book, A4", "Uniform \N{LATIN SMALL LETTER O WITH DIAERESIS}"]
        )
        for _ in range(min(chance.choice([1, 1, 1, 1, 2]), rows - len(good))):  # two equal rows are two sales
            good.append([customer, day.isoformat(), item, str(quantity), f"{minor // 100}.{minor % 100:02}"])
            sales.setdefault(customer, []).append(minor)
    bad = [
        [f"{prefix}-0000", "2026-01-06", "Nothing", "1", "0.00"],
        [f"{prefix}-0000", "2026-13-06", "No such day", "1", "1.00"],
        [f"{prefix}-0000", "2026-01-06", "Half a cent", "1", "1.005"],
    ]
    for row in bad:
        good.insert(chance.randrange(len(good) + 1), row)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["Student", "Day", "Item", "Pieces", "Paid"], *good])
    return SalesFile(path=path, options=options, sales=sales, rejected=len(bad))


def import_sales(up: Up, file: SalesFile) -> dict[str, int]:
    """Run `bursar import sales`; returns the summary that it ends with."""
    columns = {
        "customer": "Student",
        "date": "Day",
        "amount": "Paid",
        "quantity": "Pieces",
        "description": "Item",
    }
    named = [word for option, column in columns.items() for word in (f"--{option}", column)]
    printed = up.cli("import", "sales", str(file.path), *named, *file.options, "--json", code=3)
    with Path(f"{file.path}.rejected.csv").open(encoding="utf-8", newline="") as rejected:
        rejections = list(csv.reader(rejected))
    assert rejections[0][:2] == ["line", "reason"]
    assert len(rejections) == 1 + file.rejected
    summary: dict[str, int] = json.loads(printed.splitlines()[-1])
    return dict(list(summary.items())[:5])


def all_posted(file: SalesFile) -> dict[str, int]:
    """The summary of a first run."""
    return {
        "read": file.count + file.rejected,
        "posted": file.count,
        "already_there": 0,
        "rejected": file.rejected,
        "total_minor": file.total_minor,
    }


def all_there(file: SalesFile) -> dict[str, int]:
    """The summary of a second run."""
    return all_posted(file) | {"posted": 0, "already_there": file.count, "total_minor": 0}


# --- the office


class Office:
    """Refunds, invoices and charges, each under a key of its own: `run` again changes nothing."""

    def __init__(self, client: Client, *, prefix: str, rounds: int) -> None:
        self._client = client
        self._prefix = prefix
        self._rounds = rounds
        self._keys = 0

    def run(self) -> None:
        self._keys = 0
        for number in range(self._rounds):
            wallet = f"{self._prefix}-{number:04}"
            self._write("POST", "wallets", {"account": wallet, "currency": "KES"})
            source = {"type": "mpesa", "reference": f"TOP{wallet}"}
            body = {"amount": 400_000, "currency": "KES", "source": source}
            self._write("POST", f"wallets/{wallet}/top-up", body)
            self._shop(wallet)
            self._bill(wallet)
            body = {"amount": 1_234, "currency": "KES", "description": "Lost book", "income": "other_income"}
            self._write("POST", f"wallets/{wallet}/charge", body)

    def _shop(self, wallet: str) -> None:
        tenders = [{"type": "wallet", "amount": 50_000}, {"type": "card", "amount": 30_001}, {"type": "cash"}]
        lines = [
            {"sku": "MEAL", "quantity": 3, "unit_amount": 25_000, "income": "meals", "tax_code": "A"},
            {"sku": "BOOK", "quantity": 3, "total": 20_000, "income": "shop", "tax_code": "A"},
        ]
        split = self._sell(wallet, lines, tenders)
        self._refund({"sale": split, "lines": [{"line": 2, "quantity": 1}]})
        self._refund({"sale": split, "amount": 33_333})
        by_wallet = self._sell(wallet, lines[:1], [{"type": "wallet"}])
        self._refund({"sale": by_wallet, "lines": [{"line": 1, "quantity": 2}]})

    def _bill(self, wallet: str) -> None:
        three_at_once = self._invoice(wallet, issue=False)
        self._write("POST", f"invoices/{three_at_once}/issue", {})
        self._settle(
            three_at_once,
            {"type": "wallet", "amount": 100_000, "account": wallet},
            {"type": "card", "amount": 500_000, "reference": f"CARD{wallet}"},
            {"type": "mpesa", "amount": 300_000, "reference": f"PAY{wallet}"},
        )
        with_excess = self._invoice(wallet, issue=True)
        self._settle(
            with_excess,
            {"type": "wallet", "amount": 20_000, "account": wallet},
            {"type": "bank", "amount": 400_000},
            {"type": "cash", "amount": 530_000},
        )
        in_part = self._invoice(wallet, issue=True)
        self._settle(in_part, {"type": "cash", "amount": 12_345})
        self._invoice(wallet, issue=False)  # a draft owes nothing

    def _invoice(self, wallet: str, *, issue: bool) -> str:
        lines = [
            {"description": "Tuition", "quantity": 1, "total": 700_000, "income": "tuition", "tax_code": "A"},
            {"description": "Trips", "quantity": 2, "unit_amount": 100_000, "income": "other_income"},
        ]
        body = {"payer": wallet, "currency": "KES", "due_date": "2026-12-31", "lines": lines, "issue": issue}
        return str(self._write("POST", "invoices", body)["id"])

    def _settle(self, invoice: str, *tenders: Mapping[str, Any]) -> None:
        self._write("PATCH", f"invoices/{invoice}", {"settle": {"tenders": tenders}})

    def _sell(self, wallet: str, lines: Sequence[object], tenders: Sequence[object]) -> str:
        body = {"wallet": wallet, "currency": "KES", "lines": lines, "tenders": tenders}
        return str(self._write("POST", "pos/checkout", body)["sale"]["id"])

    def _refund(self, body: Mapping[str, Any]) -> None:
        self._write("POST", "pos/refund", body)

    def _write(self, method: str, path: str, body: object) -> Any:
        self._keys += 1
        return self._client.done(method, path, body, f"{self._prefix}-{self._keys:06}")


# --- the export


def export(client: Client, key: str | None = None) -> dict[str, Any]:
    """Ask for an export and wait until it has ended well; returns the batch."""
    headers = {} if key is None else {"Idempotency-Key": key}
    asked = client.send("POST", "quickbooks/export", content=b"{}", headers=headers)
    assert asked.status_code == 202, asked.text
    path = f"quickbooks/exports/{asked.json()['batch_id']}"

    def ended() -> dict[str, Any] | None:
        batch: dict[str, Any] = client.get(path)
        if batch["status"] == "needs_attention" and batch["reason"].startswith("QuickBooks does not answer"):
            return None  # a person was told of a long absence; what was told goes away by itself
        return batch if batch["status"] in ("completed", "needs_attention") else None

    batch = eventually(ended, "the export ends", EXPORT_SECONDS)
    assert batch["status"] == "completed", batch
    assert set(batch["documents"]) <= {"confirmed"}, batch
    return batch


def request_log(up: Up, after: int = 0) -> list[dict[str, Any]]:
    """What the emulator was asked after line `after`."""
    found: list[dict[str, Any]] = []
    while True:
        last = found[-1]["n"] if found else after
        answer = httpx.get(
            f"{up.ready['quickbooks']['url']}/emulator/requests", params={"after": last}, timeout=60
        )
        if not answer.json():
            return found
        found += answer.json()


@contextmanager
def nothing_created(up: Up) -> Iterator[None]:
    """The emulator is asked to look and never to write."""
    before = request_log(up)
    yield
    after = request_log(up, before[-1]["n"] if before else 0)
    assert {line["operation"] for line in after} <= {"query", "read"}, Counter(
        (line["entity"], line["operation"]) for line in after
    )


# --- whether all agree


def check_agreement(up: Up, client: Client) -> dict[str, Any]:
    """Every promise about a service at rest whose postings are all exported. Returns the accounts by code."""
    wait_for_projections(client)
    accounts = {row["code"]: row for row in client.get("accounts")["data"]}
    by_role = {row["role"]: row for row in accounts.values()}
    assert sum(row["debits"] for row in accounts.values()) == sum(row["credits"] for row in accounts.values())
    wallets = {row["account"]: row["balance"] for row in client.list("wallets")}
    assert sum(wallets.values()) == by_role["wallet_liability"]["balance"]
    assert all(balance >= 0 for balance in wallets.values())
    invoices = client.list("invoices")
    assert (
        sum(row["open"] for row in invoices if row["status"] != "draft") == by_role["receivables"]["balance"]
    )
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: check_statement(client, *item), wallets.items()))
    _check_quickbooks(up, accounts, invoices)
    return accounts


def wait_for_projections(client: Client) -> None:
    """The lag that ping shows comes to zero."""

    def caught_up() -> bool:
        ping = client.get("ping")
        assert ping["projections"]
        return all(position == ping["position"] for position in ping["projections"].values())

    eventually(caught_up, "every projection is at the head")


def check_statement(client: Client, wallet: str, balance: int) -> list[int]:
    """Each line's balance is the one before it and its amount. Returns the amounts."""
    pages = list(client.pages("statements", account=wallet))
    lines = [line for page in pages for line in page["lines"]]
    assert {(page["opening_balance"], page["closing_balance"]) for page in pages} == {(0, balance)}
    running = 0
    for line in lines:
        running += line["amount"]
        assert line["balance"] == running, (wallet, line)
    assert running == balance, wallet
    order = [(line["effective_date"], line["position"]) for line in lines]
    assert order == sorted(order)
    return [line["amount"] for line in lines]


def _check_quickbooks(up: Up, accounts: Mapping[str, Any], invoices: Sequence[Any]) -> None:
    quickbooks = up.ready["quickbooks"]
    held = books.read(quickbooks["url"], quickbooks["realm"], quickbooks["access_token"])
    ledger = {code: _money(row["debits"] - row["credits"]) for code, row in accounts.items()}
    assert _without_zeros(held.balances) == _without_zeros(ledger)
    assert held.repeated == []
    issued = {row["number"]: _money(row["open"]) for row in invoices if row["status"] != "draft"}
    charge_backs = {number for number in held.open_invoices if number.startswith("RCT-")}
    assert not any(held.open_invoices.pop(number) for number in charge_backs), "payments are linked to them"
    assert held.open_invoices == issued
    # What stands behind the third hyphen is the leg.
    documented = {"-".join(number.split("-")[:3]) for _, number in held.numbers if number.startswith("RCT-")}
    counted = up.rows(
        "SELECT count(*) FROM commands WHERE tenant = %s AND command = ANY(%s)",
        up.ready["tenant"],
        list(RECEIPTED),
    )[0][0]
    assert documented == _series("RCT", documented, counted)
    assert set(issued) == _series("INV", issued, len(issued))


def _series(name: str, seen: Any, count: int) -> set[str]:
    """The first `count` numbers of the years that were seen, which is one but for a run over New Year."""
    years = {number.split("-")[1] for number in seen}
    assert len(years) <= 1, "a run over New Year counts in two series"
    return {f"{name}-{year}-{number:06}" for year in years for number in range(1, count + 1)}


def _money(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-2)


def _without_zeros(balances: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {code: balance for code, balance in balances.items() if balance}


def check_log(up: Up) -> None:
    """`bursar verify` passes, and `bursar rebuild` changes no row."""
    verified = json.loads(up.cli("verify", "--json").splitlines()[-1])
    assert verified["findings"] == []
    assert verified["position"] == up.rows("SELECT position FROM head")[0][0]
    rebuilt = json.loads(up.cli("rebuild", "--json").splitlines()[-1])
    assert rebuilt["tables"]
    for name, table in rebuilt["tables"].items():
        assert (table["rows_live"], table["digest_live"]) == (
            table["rows_rebuilt"],
            table["digest_rebuilt"],
        ), name
        assert table["differing"] == 0, name
    assert not rebuilt["switched"]


def together(work: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do all at once, each in a thread."""
    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result() for future in [pool.submit(one) for one in work]]
