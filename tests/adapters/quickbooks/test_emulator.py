"""The QuickBooks emulator: what it takes, what it refuses, and what its books say."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from intuitlib.exceptions import AuthClientError
from quickbooks import objects
from quickbooks.batch import batch_create
from quickbooks.cdc import change_data_capture
from quickbooks.exceptions import AuthorizationException, ObjectNotFoundException

from tests.support.emulator import TOKEN, Emulator, School, code, emulator, library, ref, sales_line, sign_in

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
def test_a_refresh_token_dies_by_its_use_and_revoking_ends_the_access(
    server: Emulator, school: School
) -> None:
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
    assert [(account["Name"], account.get("AcctNum")) for account in own] == [
        ("Accounts Receivable (A/R)", None)
    ]
    assert again in server.http.get("/emulator/companies").json()
    other = server.http.post("/emulator/companies", json={**body, "country": "CA"})
    assert other.status_code == 409


@pytest.mark.parametrize("body", [{"realm": "9", "country": "US", "name": "x"}, {"realm": "9"}, {"x": 1}, []])
def test_what_is_no_company_is_refused(server: Emulator, body: object) -> None:
    assert server.http.post("/emulator/companies", json=body).status_code == 422


def test_a_call_without_the_token_or_to_an_unknown_company_is_refused(
    server: Emulator, school: School
) -> None:
    wrong = school.call("GET", "companyinfo/1", headers={"Authorization": "Bearer wrong"})
    assert (wrong.status_code, code(wrong)) == (401, "3200")
    unknown = server.http.get("/v3/company/nobody/companyinfo/1")
    assert (unknown.status_code, code(unknown)) == (403, "3100")
    assert school.call("GET", "companyinfo/1", headers={"Authorization": f"Bearer {TOKEN}"}).headers[
        "intuit_tid"
    ]


def test_switches_show_in_the_preferences(server: Emulator, school: School) -> None:
    school.switch(
        AutoApplyCredit=True, CustomTxnNumbers=False, UsingSalesTax=True, BookCloseDate="2026-01-31"
    )
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
    school.made(
        "Payment", **school.payment("0", ("Invoice", invoice, "10.00"), ("CreditMemo", credit, "10.00"))
    )
    entry = school.made(
        "JournalEntry", **school.journal(("Debit", school.income, "1.01"), ("Credit", school.cash, "1.01"))
    )
    assert entry["TotalAmt"] == 0
    expected = {"Till cash": "134.09", "Accounts Receivable (A/R)": "30.00", "Fees": "-164.09"}
    assert school.balances() == expected
    school.call("GET", "query", params={"query": "select * from Invoice"})
    page = school.server.http.get("/").text
    assert "134.09" in page
    assert f"Company {school.realm}" in page


def test_a_receipt_without_a_deposit_account_goes_to_undeposited_funds(school: School) -> None:
    school.made("SalesReceipt", Line=[sales_line(school.fees_item, "7.00")])
    assert school.balances() == {"Undeposited Funds": "7.00", "Fees": "-7.00"}


def test_an_amount_is_exact_however_it_is_written(school: School) -> None:
    for body in (
        b'{"Line":[%s]}' % line
        for line in (_raw(school, b"0.1"), _raw(school, b"0.2"), _raw(school, b'"0.30"'))
    ):
        assert school.call("POST", "salesreceipt", content=body).status_code == 200
    assert school.balances()["Fees"] == "-0.60"
    assert (
        code(school.call("POST", "salesreceipt", content=b'{"Line":[%s]}' % _raw(school, b"0.001"))) == "2090"
    )


def _raw(school: School, amount: bytes) -> bytes:
    item = school.fees_item["Id"].encode()
    detail = b'{"ItemRef":{"value":"%s"}}' % item
    return b'{"Amount":%s,"DetailType":"SalesItemLineDetail","SalesItemLineDetail":%s}' % (amount, detail)


def test_voiding_keeps_the_document_and_takes_its_amounts(school: School) -> None:
    receipt = school.made("SalesReceipt", **school.sale("9.00", DocNumber="R-9"))
    body = {"Id": receipt["Id"], "SyncToken": "0", "sparse": True}
    voided = school.post("SalesReceipt", body, operation="update", include="void").json()["SalesReceipt"]
    assert (voided["TotalAmt"], voided["DocNumber"], voided["PrivateNote"]) == (0, "R-9", "Voided")
    assert voided["SyncToken"] == "1"
    assert school.balances() == {}
    memo = school.made("CreditMemo", **school.credit("1.00"))
    assert code(school.post("CreditMemo", {"Id": memo["Id"], "SyncToken": "0"}, operation="void")) == "500"


# Payments and credits


def test_a_payment_lowers_the_balance_and_gives_it_back_when_deleted(school: School) -> None:
    invoice = school.made("Invoice", **school.invoice("100.00"))
    payment = school.made("Payment", **school.payment("120.00", ("Invoice", invoice, "100.00")))
    assert payment["UnappliedAmt"] == 20
    paid = school.read("Invoice", invoice["Id"])
    assert (paid["Balance"], paid["SyncToken"]) == (0, "1")
    assert paid["LinkedTxn"] == [{"TxnId": payment["Id"], "TxnType": "Payment"}]
    gone = school.post("Payment", {"Id": payment["Id"], "SyncToken": "0"}, operation="delete")
    assert gone.json()["Payment"] == {"domain": "QBO", "status": "Deleted", "Id": payment["Id"]}
    free = school.read("Invoice", invoice["Id"])
    assert (free["Balance"], free["LinkedTxn"]) == (100, [])
    assert school.balances() == {"Accounts Receivable (A/R)": "100.00", "Fees": "-100.00"}


def test_a_payment_of_0_applies_a_credit(school: School) -> None:
    invoice = school.made("Invoice", **school.invoice("100.00"))
    credit = school.made("CreditMemo", **school.credit("40.00"))
    links = (("Invoice", invoice, "40.00"), ("CreditMemo", credit, "40.00"))
    payment = school.made("Payment", **school.payment("0", *links))
    assert (payment["TotalAmt"], payment["UnappliedAmt"]) == (0, 0)
    assert school.read("Invoice", invoice["Id"])["Balance"] == 60
    used = school.read("CreditMemo", credit["Id"])
    assert (used["Balance"], used["RemainingCredit"]) == (0, 0)
    assert school.balances() == {
        "Accounts Receivable (A/R)": "60.00",
        "Fees": "-100.00",
        "Student wallets": "40.00",
    }


def test_voiding_an_invoice_frees_the_payments_and_credits_on_it(school: School) -> None:
    invoice = school.made("Invoice", **school.invoice("100.00"))
    other = school.made("Invoice", **school.invoice("10.00"))
    credit = school.made("CreditMemo", **school.credit("40.00"))
    cash = school.made(
        "Payment", **school.payment("60.00", ("Invoice", invoice, "50.00"), ("Invoice", other, "10.00"))
    )
    links = (("Invoice", invoice, "40.00"), ("CreditMemo", credit, "40.00"))
    applied = school.made("Payment", **school.payment("0", *links))
    token = school.read("Invoice", invoice["Id"])["SyncToken"]
    voided = school.post("Invoice", {"Id": invoice["Id"], "SyncToken": token}, operation="void").json()[
        "Invoice"
    ]
    assert (voided["TotalAmt"], voided["Balance"], voided["LinkedTxn"]) == (0, 0, [])
    assert school.read("CreditMemo", credit["Id"])["Balance"] == 40
    assert school.read("Payment", applied["Id"])["Line"] == []
    kept = school.read("Payment", cash["Id"])
    assert (kept["UnappliedAmt"], len(kept["Line"])) == (50, 1)
    assert school.read("Invoice", other["Id"])["Balance"] == 0


def test_changing_a_payment_moves_its_links(school: School) -> None:
    first = school.made("Invoice", **school.invoice("10.00"))
    second = school.made("Invoice", **school.invoice("10.00"))
    payment = school.made("Payment", **school.payment("10.00", ("Invoice", first, "10.00")))
    lines = school.payment("10.00", ("Invoice", second, "4.00"))["Line"]
    changed = school.made("Payment", Id=payment["Id"], SyncToken="0", sparse=True, Line=lines)
    assert (changed["UnappliedAmt"], changed["TotalAmt"]) == (6, 10)
    assert [school.read("Invoice", one["Id"])["Balance"] for one in (first, second)] == [10, 6]
    noted = school.made("Payment", Id=payment["Id"], SyncToken="1", sparse=True, PrivateNote="kept")
    assert noted["Line"] == changed["Line"]
    assert school.read("Invoice", second["Id"])["Balance"] == 6


def test_payments_that_do_not_add_up_are_refused_and_change_nothing(school: School) -> None:
    invoice = school.made("Invoice", **school.invoice("100.00"))
    credit = school.made("CreditMemo", **school.credit("40.00"))
    missing = {"Id": "999999"}
    refusals = [
        ("620", school.payment("200", ("Invoice", invoice, "100.01"))),
        ("620", school.payment("200", ("Invoice", invoice, "60"), ("Invoice", invoice, "60"))),
        ("620", school.payment("100", ("Invoice", invoice, "100"), CustomerRef=ref(school.brian))),
        ("620", school.payment("0", ("Invoice", invoice, "50"), ("CreditMemo", credit, "50"))),
        ("6000", school.payment("10", ("Invoice", invoice, "20"))),
        ("6000", school.payment("0", ("CreditMemo", credit, "40"))),
        ("6000", school.payment("-1")),
        ("6000", school.payment("5", ("Invoice", invoice, "0"))),
        ("2500", school.payment("10", ("Invoice", missing, "10"))),
        ("2170", school.payment("10", ("JournalEntry", invoice, "10"))),
        ("2020", {"CustomerRef": ref(school.amina)}),
        ("2020", {"TotalAmt": 1}),
        ("2050", school.payment("10", PaymentRefNum="x" * 22)),
    ]
    for expected, body in refusals:
        assert code(school.post("Payment", body)) == expected, body
    assert school.count("Payment") == 0
    assert school.read("Invoice", invoice["Id"]) == invoice
    assert school.read("CreditMemo", credit["Id"]) == credit


def test_automatic_application_uses_up_a_credit_before_anyone_links_it(school: School) -> None:
    school.switch(AutoApplyCredit=True)
    invoice = school.made("Invoice", **school.invoice("30.00"))
    credit = school.made("CreditMemo", **school.credit("40.00"))
    assert credit["Balance"] == 10
    assert school.read("Invoice", invoice["Id"])["Balance"] == 0
    links = (("Invoice", invoice, "30.00"), ("CreditMemo", credit, "30.00"))
    assert code(school.post("Payment", school.payment("0", *links))) == "620"


# What is refused


def test_sales_forms_are_checked(school: School) -> None:
    item, dead = school.fees_item, school.made("Customer", DisplayName="Gone", Active=False)
    school.made("Invoice", **school.invoice("1.00", DocNumber="INV-1"))
    half = sales_line(item, "10.00", UnitPrice="3.33", Qty=3)
    refusals = [
        ("Invoice", "6140", school.invoice("1.00", DocNumber="INV-1")),
        ("Invoice", "2050", school.invoice("1.00", DocNumber="x" * 22)),
        ("Invoice", "2020", {"Line": [sales_line(item, "1.00")]}),
        ("Invoice", "2020", {"CustomerRef": ref(school.amina), "Line": []}),
        ("Invoice", "2500", school.invoice("1.00", CustomerRef={"value": "999999"})),
        ("Invoice", "610", school.invoice("1.00", CustomerRef=ref(dead))),
        ("Invoice", "6070", school.invoice("1.00", Line=[half])),
        ("Invoice", "6000", school.invoice("-1.00")),
        ("Invoice", "6000", school.invoice("1.00", CurrencyRef={"value": "USD"})),
        ("Invoice", "6000", school.invoice("1.00", TxnTaxDetail={"TotalTax": "0.16"})),
        ("Invoice", "2010", school.invoice("1.00", PrivateNotes="a wrong name")),
        ("Invoice", "2010", school.invoice("1.00", TxnDate="yesterday")),
        ("Invoice", "2090", school.invoice("1,00")),
        ("SalesReceipt", "2500", school.sale("1.00", Line=[sales_line({"Id": "999999"}, "1.00")])),
        ("SalesReceipt", "6000", school.sale("1.00", DepositToAccountRef=ref(school.income))),
        ("SalesReceipt", "6000", school.sale("-0.01")),
        ("CreditMemo", "6000", school.credit("-0.01")),
        ("RefundReceipt", "2020", {"Line": [sales_line(item, "1.00")]}),
    ]
    for kind, expected, body in refusals:
        assert code(school.post(kind, body)) == expected, body
    school.made("SalesReceipt", **school.sale("1.00", DocNumber="INV-1"))
    right = school.made(
        "Invoice", **school.invoice("1.00", Line=[sales_line(item, "9.99", UnitPrice="3.33", Qty=3)])
    )
    assert (right["TotalAmt"], school.count("Invoice")) == (9.99, 2)


def test_journals_are_checked(school: School) -> None:
    receivable = school.query("select * from Account where AccountType = 'Accounts Receivable'")["Account"][0]
    debit, credit = ("Debit", school.cash, "10.00"), ("Credit", school.income, "10.00")
    refusals = [
        ("6000", school.journal(debit, ("Credit", school.income, "9.99"))),
        ("6000", school.journal(debit)),
        ("6000", school.journal(("Debit", receivable, "10.00"), credit)),
        ("6000", school.journal(("Debit", school.cash, "-1"), ("Credit", school.income, "-1"))),
        ("2170", school.journal(("Left", school.cash, "10.00"), credit)),
        ("2020", school.journal(("", school.cash, "10.00"), credit)),
        ("2500", school.journal(("Debit", {"Id": "999999"}, "10.00"), credit)),
    ]
    for expected, body in refusals:
        assert code(school.post("JournalEntry", body)) == expected, body
    named = school.journal(("Debit", receivable, "10.00"), credit, DocNumber="J-1")
    entity = {"Type": "Customer", "EntityRef": ref(school.amina)}
    named["Line"][0]["JournalEntryLineDetail"]["Entity"] = entity
    school.made("JournalEntry", **named)
    assert code(school.post("JournalEntry", named)) == "6140"
    assert school.balances() == {"Accounts Receivable (A/R)": "10.00", "Fees": "-10.00"}


def test_name_lists_are_checked(school: School) -> None:
    refusals = [
        ("Customer", "6240", {"DisplayName": "amina"}),
        ("Customer", "2020", {"Notes": "nameless"}),
        ("Customer", "6000", {"DisplayName": "a:b"}),
        ("Customer", "2500", {"DisplayName": "x", "ParentRef": {"value": "999999"}}),
        ("Account", "6240", {"Name": "Fees", "AccountType": "Income"}),
        ("Account", "2020", {"Name": "Bare"}),
        ("Account", "2170", {"Name": "Odd", "AccountType": "Odd"}),
        ("Account", "6000", {"Name": "Second till", "AccountType": "Bank", "AcctNum": "1000"}),
        ("Item", "2020", {"Name": "No account", "Type": "Service"}),
        ("Item", "2170", {"Name": "Stock", "Type": "Inventory", "IncomeAccountRef": ref(school.income)}),
    ]
    for kind, expected, body in refusals:
        assert code(school.post(kind, body)) == expected, body
    child = school.made("Customer", DisplayName="Amina's child", ParentRef=ref(school.amina))
    assert (child["Job"], child["FullyQualifiedName"]) == (True, "Amina:Amina's child")
    school.made("Item", Name="Bank item", Type="Service", IncomeAccountRef=ref(school.cash))
    assert code(school.post("Customer", {"Id": child["Id"], "SyncToken": "0"}, operation="delete")) == "500"


def test_a_stale_token_is_refused_and_a_full_update_clears_what_it_leaves_out(school: School) -> None:
    invoice = school.made("Invoice", **school.invoice("1.00", PrivateNote="note"))
    body = {"Id": invoice["Id"], "SyncToken": "0", **school.invoice("2.00")}
    full = school.made("Invoice", **body)
    assert (full["SyncToken"], full["TotalAmt"], "PrivateNote" in full) == ("1", 2, False)
    assert code(school.post("Invoice", body)) == "5010"
    assert code(school.post("Invoice", {"Id": invoice["Id"], "sparse": True})) == "2020"
    assert code(school.post("Invoice", {"Id": "999999", "SyncToken": "0"})) == "610"
    sparse = school.made("Invoice", Id=invoice["Id"], SyncToken="1", sparse=True, PrivateNote="new")
    assert (sparse["TotalAmt"], sparse["PrivateNote"], sparse["SyncToken"]) == (2, "new", "2")
    assert school.balances() == {"Accounts Receivable (A/R)": "2.00", "Fees": "-2.00"}


def test_a_closed_period_takes_nothing(school: School) -> None:
    old = school.made("SalesReceipt", **school.sale("1.00", TxnDate="2026-01-31"))
    school.switch(BookCloseDate="2026-01-31")
    assert code(school.post("SalesReceipt", school.sale("1.00", TxnDate="2026-01-31"))) == "6210"
    body = {"Id": old["Id"], "SyncToken": "0", "sparse": True}
    assert code(school.post("SalesReceipt", {**body, "TxnDate": "2026-02-01"})) == "6210"
    assert code(school.post("SalesReceipt", body, operation="delete")) == "6210"
    assert code(school.post("SalesReceipt", body, operation="update", include="void")) == "6210"
    school.made("SalesReceipt", **school.sale("1.00", TxnDate="2026-02-01"))


def test_with_tax_set_up_every_line_needs_its_code(school: School) -> None:
    school.switch(UsingSalesTax=True)
    assert code(school.post("Invoice", school.invoice("100.00"))) == "6000"
    unknown = sales_line(school.fees_item, "100.00", TaxCodeRef={"value": "999999"})
    assert code(school.post("Invoice", school.invoice("0", Line=[unknown]))) == "2500"
    line = sales_line(school.fees_item, "100.00", TaxCodeRef={"value": named(school, "TaxCode", "VAT 16%")})
    taxed = school.made("Invoice", **school.invoice("0", Line=[line], TxnTaxDetail={"TotalTax": "16.00"}))
    assert (taxed["TotalAmt"], taxed["Balance"]) == (116, 116)
    expected = {"Accounts Receivable (A/R)": "116.00", "Fees": "-100.00", "Sales Tax Payable": "-16.00"}
    assert school.balances() == expected


def named(school: School, kind: str, name: str) -> str:
    (found,) = school.query(f"select * from {kind} where Name = '{name}'")[kind]
    return str(found["Id"])


def taxed_sale(school: School, *told: tuple[str, str, str], total: str, **fields: Any) -> dict[str, Any]:
    """A sale of 100.00 at 16 % and 50.00 exempt, that tells (rate, net, amount) of its taxes."""
    sold = {"100.00": "VAT 16%", "50.00": "Exempt"}
    return school.sale(
        "0",
        Line=[
            sales_line(school.fees_item, amount, TaxCodeRef={"value": named(school, "TaxCode", name)})
            for amount, name in sold.items()
        ],
        GlobalTaxCalculation="TaxExcluded",
        TxnTaxDetail={
            "TotalTax": total,
            "TaxLine": [
                {
                    "Amount": amount,
                    "DetailType": "TaxLineDetail",
                    "TaxLineDetail": {
                        "TaxRateRef": {"value": named(school, "TaxRate", rate)},
                        "NetAmountTaxable": net,
                    },
                }
                for rate, net, amount in told
            ],
        },
        **fields,
    )


def test_taxes_that_a_document_tells_are_booked_to_their_agencies(school: School) -> None:
    school.switch(UsingSalesTax=True)
    made = school.made("SalesReceipt", **taxed_sale(school, ("VAT 16%", "100.00", "16.01"), total="16.01"))
    assert str(made["TotalAmt"]) == "166.01"
    (line,) = made["TxnTaxDetail"]["TaxLine"]
    assert line["TaxLineDetail"]["TaxPercent"] == 16
    assert school.balances()["VAT Payable"] == "-16.01"
    school.post("SalesReceipt", made, operation="delete").raise_for_status()
    assert "VAT Payable" not in school.balances()


def test_taxes_that_do_not_belong_to_the_lines_are_refused(school: School) -> None:
    school.switch(UsingSalesTax=True)
    for told, total in (
        ((("VAT 16%", "100.00", "16.00"),), "16.01"),  # not the sum
        ((("VAT 16%", "150.00", "16.00"),), "16.00"),  # not the lines' net
        ((("VAT 16%", "100.00", "16.00"), ("VAT 8%", "0.00", "0.00")), "16.00"),  # a rate of no line
        ((("VAT 16%", "50.00", "8.00"), ("VAT 16%", "50.00", "8.00")), "16.00"),  # twice
    ):
        assert code(school.post("SalesReceipt", taxed_sale(school, *told, total=total))) == "6000"
    assert code(school.post("SalesReceipt", taxed_sale(school, total="0.00"))) == "500"
    right = taxed_sale(school, ("VAT 16%", "100.00", "16.00"), total="16.00")
    for calculation, refusal in (("NotApplicable", "6000"), ("TaxInclusive", "500"), ("Mine", "2170")):
        assert code(school.post("SalesReceipt", {**right, "GlobalTaxCalculation": calculation})) == refusal
    assert code(school.post("TaxCode", {"Name": "VAT 99%"})) == "500"


def test_the_codes_of_a_company_are_those_of_its_country(server: Emulator) -> None:
    school = School(server, str(next(_realms)), "CA")
    assert school.query("select * from TaxCode") == {}
    school.switch(UsingSalesTax=True)
    codes = {code["Name"]: code for code in school.query("select * from TaxCode")["TaxCode"]}
    assert codes.keys() == {
        "Exempt", "Zero-rated", "Out of scope", "GST 5%", "HST 13%", "HST 14%", "HST 15%",
        "GST 5% + PST 6%", "GST 5% + PST 7%", "GST 5% + RST 7%", "GST 5% + QST 9.975%",
    }  # fmt: skip
    quebec = codes["GST 5% + QST 9.975%"]["SalesTaxRateList"]["TaxRateDetail"]
    assert [rate["TaxRateRef"]["name"] for rate in quebec] == ["GST 5%", "QST 9.975%"]
    (rate,) = school.query("select * from TaxRate where Name = 'QST 9.975%'")["TaxRate"]
    assert str(rate["RateValue"]) == "9.975"


def test_without_custom_numbers_the_company_numbers_and_duplicates_pass(school: School) -> None:
    school.switch(CustomTxnNumbers=False)
    assert school.made("Invoice", **school.invoice("1.00"))["DocNumber"].isdecimal()
    for _ in range(2):
        school.made("Invoice", **school.invoice("1.00", DocNumber="SAME"))
    assert len(school.query("select * from Invoice where DocNumber = 'SAME'")["Invoice"]) == 2


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
def test_a_body_that_is_no_object_is_refused(school: School, content: bytes) -> None:
    assert code(school.call("POST", "invoice", content=content)) == "2010"


def test_what_is_not_emulated_says_so(school: School) -> None:
    assert code(school.call("GET", "vendor/1")) == "500"
    assert code(school.post("Preferences", {})) == "500"
    lines = [sales_line(school.fees_item, "1.00"), {"Amount": 1, "DetailType": "DiscountLineDetail"}]
    assert code(school.post("Invoice", school.invoice("1.00", Line=lines))) == "500"


# Queries, changes, batches


def test_queries_filter_order_and_page(school: School) -> None:
    for number in range(1, 6):
        school.made(
            "SalesReceipt",
            **school.sale(f"{number}.00", DocNumber=f"Q-{number}", TxnDate=f"2026-03-0{number}"),
        )
    school.made("Customer", DisplayName="O'Neill_1")

    def numbers(text: str) -> list[str]:
        return [found["DocNumber"] for found in school.query(text).get("SalesReceipt", [])]

    everything = "select * from SalesReceipt"
    assert numbers(f"{everything} where DocNumber = 'Q-2'") == ["Q-2"]
    assert numbers(f"{everything} WHERE DocNumber IN ('Q-4', 'Q-1') ORDERBY DocNumber DESC") == ["Q-4", "Q-1"]
    assert numbers(f"{everything} where TxnDate > '2026-03-02' and TxnDate <= '2026-03-04'") == ["Q-3", "Q-4"]
    assert numbers(f"{everything} where TotalAmt >= '4.00' order by TotalAmt desc") == ["Q-5", "Q-4"]
    assert numbers(f"{everything} where TotalAmt < '2'") == ["Q-1"]
    assert numbers(f"{everything} where DocNumber like 'Q-%' startposition 2 maxresults 2") == ["Q-2", "Q-3"]
    assert numbers(f"{everything} where DocNumber = 'none'") == []
    assert numbers(f"{everything} where MetaData.LastUpdatedTime > '2020-01-01T00:00:00-08:00'") == [
        f"Q-{n}" for n in range(1, 6)
    ]
    assert school.count("SalesReceipt where DocNumber like 'Q-%'") == 5
    assert school.query(r"select * from Customer where DisplayName = 'O\'Neill_1'")["Customer"][0]["Id"]
    assert school.query(r"select * from Customer where DisplayName like 'O\'Neill__'") == {}
    found = school.query("select Id, DocNumber from SalesReceipt where DocNumber = 'Q-1'")["SalesReceipt"]
    assert set(found[0]) == {"Id", "DocNumber"}


def test_an_inactive_customer_keeps_its_name_and_takes_no_sale(school: School) -> None:
    school.made("Customer", Id=school.brian["Id"], SyncToken="0", sparse=True, Active=False)
    assert code(school.post("Customer", {"DisplayName": "Brian"})) == "6240"
    refused = school.post("SalesReceipt", school.sale("1.00", CustomerRef=ref(school.brian)))
    assert code(refused) == "610"
    assert "made inactive" in refused.json()["Fault"]["Error"][0]["Detail"]
    assert "Customer" not in school.query("select * from Customer where DisplayName = 'Brian'")
    found = school.query("select * from Customer where DisplayName in ('Brian') and Active in (true, false)")
    assert [customer["Active"] for customer in found["Customer"]] == [False]


def test_inactive_names_are_found_only_when_asked_for(school: School) -> None:
    school.made("Customer", Id=school.brian["Id"], SyncToken="0", sparse=True, Active=False)
    assert [found["DisplayName"] for found in school.query("select * from Customer")["Customer"]] == ["Amina"]
    assert school.count("Customer where Active in (true, false)") == 2


@pytest.mark.parametrize(
    "text",
    [
        "select * from Invoice where Id = '1' or Id = '2'",
        "select * from Invoice join Customer",
        "select * from Invoice where DocNumber",
        "select * from Nothing",
        "select * from Invoice where DocNumber != 'x'",
        "select * from Invoice where DocNumber = 'x",
        "select * from Invoice maxresults x",
        "delete from Invoice",
        "select * from Invoice where Id = 'x'",
        "",
    ],
)
def test_what_the_query_language_lacks_is_refused(school: School, text: str) -> None:
    assert code(school.call("GET", "query", params={"query": text})) == "4000"


def test_an_unknown_property_in_a_query_is_refused(school: School) -> None:
    assert (
        code(school.call("GET", "query", params={"query": "select * from Invoice where Nope = '1'"}))
        == "4001"
    )


def test_change_data_gives_what_was_written_and_what_was_deleted(school: School) -> None:
    invoice = school.made("Invoice", **school.invoice("1.00"))
    gone = school.made("Invoice", **school.invoice("1.00"))
    school.post("Invoice", {"Id": gone["Id"], "SyncToken": "0"}, operation="delete")
    since = invoice["MetaData"]["LastUpdatedTime"]
    params = {"entities": "Invoice,Payment", "changedSince": since}
    found = school.call("GET", "cdc", params=params).json()["CDCResponse"][0]["QueryResponse"]
    assert [(one["Id"], one.get("status")) for one in found[0]["Invoice"]] == [
        (invoice["Id"], None),
        (gone["Id"], "Deleted"),
    ]
    assert found[1] == {}
    old = (datetime.now(UTC) - timedelta(days=31)).isoformat()
    assert code(school.call("GET", "cdc", params={"entities": "Invoice", "changedSince": old})) == "6000"
    assert code(school.call("GET", "cdc", params={"entities": "Nope", "changedSince": since})) == "2170"
    assert code(school.call("GET", "cdc", params={"entities": "Invoice"})) == "2020"


def test_items_of_a_batch_stand_alone_and_cannot_see_each_other(school: School) -> None:
    before = school.made("Invoice", **school.invoice("10.00"))
    next_id = str(int(before["Id"]) + 1)
    answers = school.batch(
        [
            {"bId": "1", "operation": "create", "Customer": {"DisplayName": "New"}},
            {
                "bId": "2",
                "operation": "create",
                "Invoice": school.invoice("1.00", CustomerRef={"value": next_id}),
            },
            {"bId": "3", "operation": "create", "SalesReceipt": school.sale("1.00", DocNumber="D")},
            {"bId": "4", "operation": "create", "SalesReceipt": school.sale("1.00", DocNumber="D")},
            {"bId": "5", "Query": "select * from SalesReceipt"},
            {"bId": "6", "operation": "create", "Payment": school.payment("6", ("Invoice", before, "6"))},
            {"bId": "7", "operation": "create", "Payment": school.payment("6", ("Invoice", before, "6"))},
            {
                "bId": "8",
                "operation": "update",
                "Invoice": {"Id": before["Id"], "SyncToken": "1", "sparse": True, "PrivateNote": "x"},
            },
            {"bId": "9", "operation": "delete", "Invoice": {"Id": "999999", "SyncToken": "0"}},
        ]
    )
    assert [answer["bId"] for answer in answers] == [str(number) for number in range(1, 10)]
    codes = [answer.get("Fault", {"Error": [{"code": ""}]})["Error"][0]["code"] for answer in answers]
    assert codes == ["", "2500", "", "6140", "", "", "620", "", "610"]
    assert answers[0]["Customer"]["Id"] == next_id
    assert answers[4]["QueryResponse"] == {}
    assert school.count("SalesReceipt") == 1
    assert school.read("Invoice", before["Id"])["Balance"] == 4


def test_a_payment_is_voided_in_a_batch(school: School) -> None:
    payment = school.made("Payment", **school.payment("5.00"))
    item = {"Id": payment["Id"], "SyncToken": "0", "sparse": True}
    answers = school.batch([{"bId": "1", "operation": "update", "optionsData": "void", "Payment": item}])
    assert answers[0]["Payment"]["TotalAmt"] == 0
    assert school.balances() == {}


def test_batches_are_limited(school: School) -> None:
    item = {"bId": "1", "operation": "create", "SalesReceipt": school.sale("1.00")}
    refusals: list[tuple[str, list[Any], dict[str, str]]] = [
        ("6000", [{**item, "bId": str(number)} for number in range(31)], {}),
        ("2020", [], {}),
        ("2010", [item, item], {}),
        ("2170", [{**item, "operation": "void it"}], {}),
        ("2010", [{"bId": "1", "operation": "create", "Vendor": {}}], {}),
        ("2050", [item], {"requestid": "x" * 37}),
        ("2050", [{**item, "bId": "x" * 11}], {"requestid": "x" * 36}),
    ]
    for expected, items, params in refusals:
        body = {"BatchItemRequest": items}
        assert code(school.call("POST", "batch", json=body, params=params)) == expected
    assert school.count("SalesReceipt") == 0
    assert code(school.post("SalesReceipt", school.sale("1.00"), requestid="x" * 51)) == "2050"
