"""A client made of the document by a stock generator does a school's morning, typed from end to end."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.service import fresh_key, fresh_name

PACKAGE = "bursar_client"


@pytest.fixture(scope="module", autouse=True)
def generated(service, tmp_path_factory) -> Iterator[None]:
    """The client as a package that can be imported, made without a warning."""
    folder = tmp_path_factory.mktemp("generated")
    document = folder / "openapi.json"
    document.write_bytes(httpx.get(f"{service.url}/openapi.json").content)
    config = folder / "config.yaml"
    config.write_text("post_hooks: []\n")  # they would only format what nobody reads
    made = subprocess.run(
        [
            Path(sys.executable).with_name("openapi-python-client"),
            "generate",
            "--fail-on-warning",
            "--meta=none",
            f"--path={document}",
            f"--config={config}",
            f"--output-path={folder / PACKAGE}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "warning" not in (made.stdout + made.stderr).lower()
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def client(service) -> Iterator[Any]:
    kind = import_module(f"{PACKAGE}.client").AuthenticatedClient
    with kind(base_url=service.url, token=service.keys["admin"]) as made:
        yield made


def call(operation: str, *path: str, **arguments: Any) -> Any:
    """What an operation, as `tag.name`, gives back, parsed."""
    return import_module(f"{PACKAGE}.api.{operation}").sync(*path, **arguments)


def test_a_school_morning(client):
    m = import_module(f"{PACKAGE}.models")
    account, payer = fresh_name(), fresh_name("P")

    wallet = call(
        "wallets.open_wallet", client=client, body=m.OpenWallet(account=account, currency="KES", payer=payer)
    )
    assert isinstance(wallet, m.WalletView)
    assert (wallet.account, wallet.payer, wallet.balance) == (account, payer, 0)

    source = m.Source(type_=m.SourceType.MPESA, reference=fresh_name("RKT"))
    top_up = m.TopUp(amount=150000, currency="KES", source=source)
    arguments = {"client": client, "body": top_up, "idempotency_key": fresh_key()}
    shown = call("wallets.top_up_wallet", account, **arguments, dry_run=True)
    assert isinstance(shown, m.WalletMovedDryRun)
    assert shown.answer.wallet.balance == 150000
    assert shown.events[-1].type_ == "bursar.wallet.topped_up.v1"
    moved = call("wallets.top_up_wallet", account, **arguments)
    assert isinstance(moved, m.WalletMoved)
    assert moved.wallet.available == 150000
    assert call("wallets.top_up_wallet", account, **arguments) == moved

    line = m.SaleLineInput(sku="MEAL", quantity=1, unit_amount=25000, income=m.IncomeRole.MEALS, tax_code="A")
    checkout = m.Checkout(
        wallet=account, currency="KES", lines=[line], tenders=[m.Tender(type_=m.TenderType.WALLET)]
    )
    sold = call("point_of_sale.check_out", client=client, body=checkout, idempotency_key=fresh_key())
    assert isinstance(sold, m.SaleCompletedAnswer)
    assert sold.wallet.balance == 125000
    returned = m.Refund(sale=sold.sale.id, lines=[m.RefundLineInput(line=1, quantity=1)])
    refunded = call("point_of_sale.refund_sale", client=client, body=returned, idempotency_key=fresh_key())
    assert isinstance(refunded, m.SaleRefundedAnswer)
    assert (refunded.refund.total, refunded.wallet.balance) == (25000, 150000)

    billed = m.InvoiceLineInput(description="Tuition", quantity=1, total=100000, income=m.IncomeRole.TUITION)
    invoice = call(
        "invoices.create_invoice",
        client=client,
        idempotency_key=fresh_key(),
        body=m.CreateInvoice(
            payer=payer, currency="KES", due_date=date(2030, 1, 31), lines=[billed], issue=True
        ),
    )
    assert isinstance(invoice, m.InvoiceView)
    assert (invoice.status, invoice.open_) == (m.InvoiceStatus.ISSUED, 100000)
    tender = m.Tender(type_=m.TenderType.WALLET, account=account, amount=60000)
    settle = {
        "client": client,
        "idempotency_key": fresh_key(),
        "body": m.SettleInvoice(settle=m.Settlement(tenders=[tender])),
    }
    shown = call("invoices.settle_invoice", invoice.id, **settle, dry_run=True)
    assert isinstance(shown, m.InvoiceSettledDryRun)
    assert shown.answer.invoice.open_ == 40000
    settled = call("invoices.settle_invoice", invoice.id, **settle)
    assert isinstance(settled, m.InvoiceSettled)
    assert settled.invoice.status == m.InvoiceStatus.PARTIALLY_PAID

    queued = call("quick_books.request_export", client=client, body=m.RequestExport())
    assert isinstance(queued, m.ExportQueued)
    batch = call("quick_books.get_export", queued.batch_id, client=client)
    assert isinstance(batch, m.ExportBatchView)
    assert batch.finished_at is None

    # --- what it left

    assert call("wallets.get_wallet", account, client=client).balance == 90000
    call("wallets.open_wallet", client=client, body=m.OpenWallet(account=fresh_name(), currency="KES"))
    page = call("wallets.list_wallets", client=client, limit=1)
    assert isinstance(page, m.WalletViewPage)
    assert page.has_more
    following = call("wallets.list_wallets", client=client, limit=1, cursor=page.next_)
    assert following.data[0].account > page.data[0].account
    found = call("invoices.list_invoices", client=client, payer=payer, status=m.InvoiceStatus.PARTIALLY_PAID)
    assert [one.id for one in found.data] == [invoice.id]
    assert call("invoices.get_invoice", invoice.id, client=client) == settled.invoice
    statement = call("statements.get_statement", client=client, account=account)
    assert isinstance(statement, m.Statement)
    assert [one.amount for one in statement.lines] == [150000, -25000, 25000, -60000]
    assert isinstance(statement.lines[0].recorded_at, datetime)
    accounts = call("ledger.list_accounts", client=client)
    assert sum(one.debits for one in accounts.data) == sum(one.credits_ for one in accounts.data)
    entries = call("ledger.list_account_entries", accounts.data[0].code, client=client)
    assert isinstance(entries, m.EntryPage)
    token = settled.receipt.qr.rpartition("/")[2]
    with import_module(f"{PACKAGE}.client").Client(base_url=client._base_url) as public:
        checked = call("receipts.check_receipt", token, client=public)
    assert (checked.number, checked.status) == (settled.receipt.number, m.CheckedReceiptStatus.VALID)
    assert call("service.ping", client=client).tenant == "greenhill"


def test_a_refusal_is_typed(client):
    m = import_module(f"{PACKAGE}.models")
    account = fresh_name()
    call("wallets.open_wallet", client=client, body=m.OpenWallet(account=account, currency="KES"))
    charge = m.Charge(amount=1, currency="KES", description="Fine")
    refused = call("wallets.charge_wallet", account, client=client, body=charge, idempotency_key=fresh_key())
    assert isinstance(refused, m.Problem)
    assert (refused.code, refused.available, refused.required) == ("insufficient_funds", 0, 1)
    assert call("wallets.get_wallet", fresh_name(), client=client).code == "wallet_not_found"


def test_bulk_is_typed(client):
    m = import_module(f"{PACKAGE}.models")
    account = fresh_name()
    cash = m.Source(type_=m.SourceType.CASH)
    line = m.SaleLineInput(sku="MEAL", quantity=1, total=400, tax_code="A")
    tender = m.Tender(type_=m.TenderType.WALLET)
    elements = [
        m.BulkOpenWallet(
            action="wallet.open",
            idempotency_key=fresh_key(),
            data=m.OpenWallet(account=account, currency="KES"),
        ),
        m.BulkTopUp(
            action="wallet.top_up",
            idempotency_key=fresh_key(),
            data=m.TopUpInBulk(account=account, amount=1000, currency="KES", source=cash),
        ),
        m.BulkCheckout(
            action="pos.checkout",
            idempotency_key=fresh_key(),
            data=m.Checkout(wallet=account, currency="KES", lines=[line], tenders=[tender]),
        ),
        m.BulkCharge(
            action="wallet.charge",
            idempotency_key=fresh_key(),
            data=m.ChargeInBulk(account=account, amount=9999, currency="KES", description="Fine"),
        ),
    ]
    answer = call("bulk.run_bulk", client=client, body=elements)
    assert isinstance(answer, m.BulkAnswer)
    *done, refused = answer.data
    assert [type(one.data) for one in done] == [m.WalletView, m.WalletMoved, m.SaleCompletedAnswer]
    assert all(isinstance(one, m.BulkDone) for one in done)
    assert [one.status for one in done] == [201, 201, 201]
    assert isinstance(refused, m.BulkRefused)
    assert (refused.status, refused.code) == (409, "insufficient_funds")
    again = call("bulk.run_bulk", client=client, body=elements)
    assert [one.replayed for one in again.data] == [True, True, True, False]
    assert [one.data for one in again.data[:3]] == [one.data for one in done]
