"""Making a company and flipping its switches: the emulator's own part, which QuickBooks does on its pages."""

from datetime import date

import msgspec

from adapters.quickbooks.emulator import statements, taxes, writes
from adapters.quickbooks.emulator.books import RECEIVABLE, Books
from adapters.quickbooks.emulator.refusals import Body
from adapters.quickbooks.emulator.store import (
    HOME_CURRENCY,
    Company,
    Preferences,
    Store,
    load_company,
    now_ms,
)

SWITCHES = (
    "AutoApplyCredit",
    "CustomTxnNumbers",
    "HomeCurrency",
    "Country",
    "UsingSalesTax",
    "BookCloseDate",
)


class Opening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /emulator/companies."""

    realm: str
    country: str
    name: str
    tax: bool = False


class ConflictError(Exception):
    """The realm is that of a company of another country."""


def open_company(store: Store, opening: Opening) -> Company:
    """The company of that realm, made with its own accounts, and tax set up if wanted, if it is not there.

    Raises ValueError for what cannot be a company, ConflictError for a realm that is another country's.
    """
    if opening.country not in HOME_CURRENCY:
        raise ValueError(f"country must be one of {', '.join(HOME_CURRENCY)}")
    if not opening.realm.isalnum():
        raise ValueError("realm must be letters and digits")
    known = load_company(store, opening.realm)
    if known is not None:
        if known.country != opening.country:
            raise ConflictError(f"company {opening.realm} is there, of country {known.country}")
        return known
    preferences = msgspec.json.encode(Preferences(HomeCurrency=HOME_CURRENCY[opening.country])).decode()
    inserted = (opening.realm, opening.name, opening.country, preferences, now_ms())
    store.run(statements.INSERT_COMPANY, *inserted)
    receivable: Body = {"Name": "Accounts Receivable (A/R)", "AccountType": RECEIVABLE}
    undeposited: Body = {
        "Name": "Undeposited Funds",
        "AccountType": "Other Current Asset",
        "AccountSubType": "UndepositedFunds",
    }
    made = [_own_account(store, opening.realm, account) for account in (receivable, undeposited)]
    store.run(statements.UPDATE_OWN_ACCOUNTS, *made, None, opening.realm)
    company = _loaded(store, opening.realm)
    return change_preferences(store, company, {"UsingSalesTax": True}) if opening.tax else company


def change_preferences(store: Store, company: Company, changes: Body) -> Company:
    """Flips the switches named in `changes`. Raises ValueError for a switch or a value that there is not."""
    unknown = sorted(set(changes) - set(SWITCHES))
    if unknown:
        raise ValueError(f"unknown switch {unknown[0]}; there are {', '.join(SWITCHES)}")
    switches = {**msgspec.to_builtins(company.preferences), **changes}
    country = switches.pop("Country", company.country)
    if not isinstance(country, str):
        raise ValueError("Country must be a text")  # noqa: TRY004 - one kind of error for the caller
    try:
        preferences = msgspec.convert(switches, Preferences)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    if preferences.BookCloseDate is not None:
        date.fromisoformat(preferences.BookCloseDate)
    encoded = msgspec.json.encode(preferences).decode()
    store.run(statements.UPDATE_COMPANY_SETTINGS, encoded, country, company.realm)
    if preferences.UsingSalesTax and company.tax_id is None:
        tax: Body = {"Name": "Sales Tax Payable", "AccountType": "Other Current Liability"}
        own = (company.receivable_id, company.undeposited_id, _own_account(store, company.realm, tax))
        store.run(statements.UPDATE_OWN_ACCOUNTS, *own, company.realm)
        _set_up_tax(store, company)
    return _loaded(store, company.realm)


def _set_up_tax(store: Store, company: Company) -> None:
    accounts = {
        agency: _own_account(store, company.realm, taxes.payable_account(agency))
        for agency in taxes.agencies(company.country)
    }
    taxes.set_up(Books(store, _loaded(store, company.realm), now_ms()), company.country, accounts)


def _own_account(store: Store, realm: str, account: Body) -> int:
    """Writes an account that QuickBooks makes by itself, and answers its id."""
    return int(writes.create(Books(store, _loaded(store, realm), now_ms()), "Account", account)["Id"])


def _loaded(store: Store, realm: str) -> Company:
    company = load_company(store, realm)
    assert company is not None, f"company {realm} was just written"
    return company
