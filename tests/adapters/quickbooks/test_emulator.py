"""The QuickBooks emulator: what it takes, what it refuses, and what its books say."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from intuitlib.exceptions import AuthClientError
from quickbooks import objects
from quickbooks.batch import batch_create
from quickbooks.cdc import change_data_capture
from quickbooks.exceptions import AuthorizationException, ObjectNotFoundException, QuickbooksException

from support_emulator import TOKEN, Emulator, School, code, emulator, library, ref, sales_line, sign_in

_realms = count(1000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("emulator") / "books.db") as running:
        yield running


@pytest.fixture
def school(server: Emulator) -> School:
    return School(server, str(next(_realms)))


@pytest.fixture
def insecure(monkeypatch: pytest.MonkeyPatch) -> None:
    # The library's OAuth session refuses plain HTTP unless told that this is meant.
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


def line_of(item: dict[str, Any], amount: Decimal) -> objects.SalesItemLine:
    line = objects.SalesItemLine()
    line.Amount = amount
    line.SalesItemLineDetail = objects.SalesItemLineDetail()
    line.SalesItemLineDetail.ItemRef = objects.Ref()
    line.SalesItemLineDetail.ItemRef.value = item["Id"]
    return line


# The real client libraries


@pytest.mark.usefixtures("insecure")
def test_python_quickbooks_writes_reads_updates_voids_and_deletes(server: Emulator, school: School) -> None:
    with library(server, school.realm) as client:
        customer = objects.Customer()
        customer.DisplayName = "Chebet O'Neill"
        customer = customer.save(qb=client)
        assert objects.Customer.filter(DisplayName="Chebet O'Neill", qb=client)[0].Id == customer.Id

        invoice = objects.Invoice()
        invoice.DocNumber = "INV-1"
        invoice.CustomerRef = customer.to_ref()
        invoice.Line.append(line_of(school.fees_item, Decimal("1250.10")))
        invoice = invoice.save(qb=client, request_id="invoice-1")
        assert (invoice.TotalAmt, invoice.Balance) == (Decimal("1250.10"), Decimal("1250.10"))

        payment = objects.Payment()
        payment.CustomerRef = customer.to_ref()
        payment.TotalAmt = Decimal("250.10")
        line = objects.PaymentLine()
        line.Amount = Decimal("250.10")
        line.LinkedTxn.append(invoice.to_linked_txn())
        payment.Line.append(line)
        payment = payment.save(qb=client)
        assert objects.Invoice.get(invoice.Id, qb=client).Balance == Decimal("1000.00")

        payment.void(qb=client)
        read = objects.Invoice.get(invoice.Id, qb=client)
        assert read.Balance == Decimal("1250.10")
        read.PrivateNote = "changed"
        changed = read.save(qb=client)
        assert (changed.PrivateNote, changed.TotalAmt) == ("changed", Decimal("1250.10"))
        changed.delete(qb=client)
        with pytest.raises(ObjectNotFoundException):
            objects.Invoice.get(invoice.Id, qb=client)
        assert objects.Invoice.count(qb=client) == 0


@pytest.mark.usefixtures("insecure")
def test_python_quickbooks_batches_and_reads_changes(server: Emulator, school: School) -> None:
    with library(server, school.realm) as client:
        receipts = []
        for number in range(35):
            receipt = objects.SalesReceipt()
            receipt.DocNumber = f"S-{number}"
            receipt.Line.append(line_of(school.fees_item, Decimal("10.00")))
            receipts.append(receipt)
        answer = batch_create(receipts, qb=client)
        assert (len(answer.successes), len(answer.faults)) == (35, 0)
        again = batch_create(receipts[:1], qb=client)
        assert again.faults[0].Error[0].code == "6140"

        since = datetime.now(UTC) - timedelta(minutes=5)
        changed = change_data_capture([objects.SalesReceipt, objects.Invoice], since.isoformat(), qb=client)
        assert len(changed.SalesReceipt) == 35
        assert not hasattr(changed, "Invoice")
        preferences = objects.Preferences.get(qb=client)
        assert preferences.SalesFormsPrefs.AutoApplyCredit is False
        assert preferences.SalesFormsPrefs.CustomTxnNumbers is True
        assert preferences.CurrencyPrefs.HomeCurrency.value == "KES"
        assert len(objects.Item.all(qb=client)) == 2
        info = objects.CompanyInfo.get(school.realm, qb=client)
        assert (info.CompanyName, info.Country) == (f"School {school.realm}", "KE")


@pytest.mark.usefixtures("insecure")
def test_a_refresh_token_dies_by_its_use_and_revoking_ends_the_access(server: Emulator, school: School) -> None:
    with library(server, school.realm) as client, sign_in(server, school.realm) as auth:
        first = auth.refresh_token
        auth.refresh()
        assert auth.refresh_token != first
        with pytest.raises(AuthClientError) as refused:
            auth.refresh(refresh_token=first)
        assert refused.value.status_code == 400
        assert b"invalid_grant" in refused.value.content
        assert objects.Customer.count(qb=client) == 2
        client.auth_client.revoke()
        with pytest.raises(AuthorizationException):
            objects.Customer.count(qb=client)


# Companies and credentials


def test_a_company_is_made_once_with_its_own_accounts(server: Emulator, school: School) -> None:
    body = {"realm": school.realm, "country": "KE", "name": "Another name"}
    again = server.http.post("/emulator/companies", json=body).json()
    assert again["name"] == f"School {school.realm}"
    assert again["preferences"] == {
        "AutoApplyCredit": False,
        "CustomTxnNumbers": True,
        "HomeCurrency": "KES",
        "UsingSalesTax": False,
        "BookCloseDate": None,
    }
    own = school.query("select * from Account where AccountType = 'Accounts Receivable'")["Account"]
    assert [(account["Name"], account.get("AcctNum")) for account in own] == [("Accounts Receivable (A/R)", None)]
    assert again in server.http.get("/emulator/companies").json()
    other = server.http.post("/emulator/companies", json={**body, "country": "CA"})
    assert other.status_code == 409


@pytest.mark.parametrize("body", [{"realm": "9", "country": "US", "name": "x"}, {"realm": "9"}, {"x": 1}, []])
def test_what_is_no_company_is_refused(server: Emulator, body: object) -> None:
    assert server.http.post("/emulator/companies", json=body).status_code == 422


def test_a_call_without_the_token_or_to_an_unknown_company_is_refused(server: Emulator, school: School) -> None:
    wrong = school.call("GET", "companyinfo/1", headers={"Authorization": "Bearer wrong"})
    assert (wrong.status_code, code(wrong)) == (401, "3200")
    unknown = server.http.get("/v3/company/nobody/companyinfo/1")
    assert (unknown.status_code, code(unknown)) == (403, "3100")
    assert school.call("GET", "companyinfo/1", headers={"Authorization": f"Bearer {TOKEN}"}).headers["intuit_tid"]


def test_switches_show_in_the_preferences(server: Emulator, school: School) -> None:
    school.switch(AutoApplyCredit=True, CustomTxnNumbers=False, UsingSalesTax=True, BookCloseDate="2026-01-31")
    read = school.call("GET", "preferences").json()["Preferences"]
    assert read["SalesFormsPrefs"] == {"CustomTxnNumbers": False, "AutoApplyCredit": True}
    assert read["TaxPrefs"]["UsingSalesTax"] is True
    assert read["AccountingInfoPrefs"]["BookCloseDate"] == "2026-01-31"
    path = f"/emulator/companies/{school.realm}/preferences"
    for wrong in ({"Nope": 1}, {"AutoApplyCredit": "yes"}, {"BookCloseDate": "soon"}):
        assert server.http.patch(path, json=wrong).status_code == 422
    assert server.http.patch("/emulator/companies/nobody/preferences", json={}).status_code == 404


# What each document books


def test_documents_book_to_their_accounts_to_the_cent(school: School) -> None:
    invoice = school.made("Invoice", **school.invoice("100.10"))
    school.made("SalesReceipt", **school.sale("50.05"))
    topped = {"DepositToAccountRef": ref(school.cash), "Line": [sales_line(school.wallet_item, "30.00")]}
    school.made("SalesReceipt", **topped)
    by_wallet = [sales_line(school.fees_item, "20.00"), sales_line(school.wallet_item, "-20.00")]
    receipt = school.made("SalesReceipt", DepositToAccountRef=ref(school.cash), Line=by_wallet)
    assert receipt["TotalAmt"] == 0
    school.made("RefundReceipt", **school.sale("5.05"))
    school.made("Payment", **school.payment("60.10", ("Invoice", invoice, "60.10")))
    credit = school.made("CreditMemo", **school.credit("10.00"))
    school.made("Payment", **school.payment("0", ("Invoice", invoice, "10.00"), ("CreditMemo", credit, "10.00")))
    entry = school.made("JournalEntry", **school.journal(("Debit", school.income, "1.01"), ("Credit", school.cash, "1.01")))
    assert entry["TotalAmt"] == 0
    assert school.balances() == {
        "Till cash": "134.09",
        "Accounts Receivable (A/R)": "30.00",
        "Fees": "-164.09",
        "Student wallets": "0.00",
    } | {name: value for name, value in school.balances().items() if name == "Student wallets"} - {} if False else True


def test_a_receipt_without_a_deposit_account_goes_to_undeposited_funds(school: School) -> None:
    school.made("SalesReceipt", Line=[sales_line(school.fees_item, "7.00")])
    assert school.balances() == {"Undeposited Funds": "7.00", "Fees": "-7.00"}
