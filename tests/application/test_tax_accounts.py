"""Schools that are older than their country's template: the accounts of taxes that their charts lack."""

import pytest

from domain.errors import Code, DomainError
from domain.ids import AccountCode
from domain.ledger_account import AccountOpened, LedgerAccount
from domain.tenant import ChartMapped, Tenant
from tests.support.school import School


def older_school() -> School:
    """A Canadian school whose chart has no account for HST."""
    school = School(country="CA", tax_registered_from="2020-01-01")
    tenant = school._state("greenhill/tenant")
    assert isinstance(tenant, Tenant)
    tenant.roles = {role: code for role, code in tenant.roles.items() if role != "hst_payable"}
    del school._states["greenhill/account/2505"]
    return school


def sell(school: School) -> None:
    line = {"sku": "X", "quantity": 1, "total": 1000, "tax_code": "HST_ON"}
    school.run("pos.checkout", lines=[line], tenders=[{"type": "card"}])


def test_an_account_is_opened_when_it_is_first_needed() -> None:
    school = older_school()
    sell(school)
    events = [event for _, _, event in school.events[-1][1]]
    opened, mapped = events[:2]
    assert isinstance(opened, AccountOpened)
    assert (opened.code, opened.name, opened.role) == ("2505", "HST payable", "hst_payable")
    assert isinstance(mapped, ChartMapped)
    assert mapped.roles["hst_payable"] == "2505"
    assert school.balances()["2505"] == -130
    sell(school)
    assert not any(isinstance(event, AccountOpened) for _, _, event in school.events[-1][1])


def test_an_account_of_another_role_is_not_taken() -> None:
    school = older_school()
    school._states["greenhill/account/2505"] = LedgerAccount(version=1, account_code=AccountCode("2505"))
    with pytest.raises(DomainError) as refusal:
        sell(school)
    assert refusal.value.code == Code.ROLE_WITHOUT_ACCOUNT


def test_a_school_that_is_not_registered_charges_no_tax() -> None:
    school = School(country="KE")
    line = {"sku": "X", "quantity": 1, "total": 1000, "tax_code": "B"}
    with pytest.raises(DomainError) as refusal:
        school.run("pos.checkout", lines=[line], tenders=[{"type": "cash"}])
    assert refusal.value.code == Code.NOT_TAX_REGISTERED


def test_a_sale_without_tax_and_discount_is_stored_as_ever() -> None:
    school = School(country="KE")
    line = {"sku": "X", "quantity": 1, "total": 1000, "tax_code": "A"}
    school.run("pos.checkout", lines=[line], tenders=[{"type": "cash"}])
    (stored,) = (one for one in school.messages[-1].events if one.type == "bursar.sale.completed.v1")
    assert b"taxes" not in bytes(stored.data)
    assert b"discount_tax" not in bytes(stored.data)
