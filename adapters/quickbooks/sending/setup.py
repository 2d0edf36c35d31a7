"""What must be in the company before any document: accounts, items, customers. No database here.

QuickBooks takes a name only once, and that makes this safe to repeat: what exists is found by its name or
number first, and only what does not is made.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

import requests

from adapters.quickbooks.api.client import (
    ACTIVE_OR_NOT,
    MAX_BATCH_ITEMS,
    Answered,
    BatchItem,
    Client,
    Created,
    Missing,
    Outcome,
    batch_body,
)
from adapters.quickbooks.api.errors import CallError, Fault, Lost, Refused, pauses
from adapters.quickbooks.mapping.canonical import Json, canonical
from adapters.quickbooks.registry.names import LedgerAccount, MadeName
from adapters.quickbooks.settings import QuickBooksSettings
from projections.views.export_reasons import ExportReason

_MAX_ROUNDS: Final = 5
_RECEIVABLE: Final = "Accounts Receivable"
_TAX_PAYABLE: Final = "GlobalTaxPayable"

_ACCOUNT_TYPES: Final = {
    "asset": "Other Current Asset",
    "liability": "Other Current Liability",
    "equity": "Equity",
    "income": "Income",
    "expense": "Expense",
}
_ROLE_TYPES: Final = {
    "receivables": _RECEIVABLE,
    "till_cash": "Bank",
    "safe": "Bank",
    "bank": "Bank",
    "bank_savings": "Bank",
}
"""Where the ledger's type does not say enough: what receipts are deposited to must be a bank account."""

_INACTIVE: Final = {
    "Account": ExportReason.ACCOUNT_INACTIVE,
    "Item": ExportReason.ITEM_INACTIVE,
    "Customer": ExportReason.CUSTOMER_INACTIVE,
}


Plan = Callable[[], tuple[list[MadeName], dict[str, Json]]]
"""What exists already, and the payloads of what must be made, by key."""


def open_company(settings: QuickBooksSettings, *, realm: str, country: str, name: str, taxed: bool) -> None:
    """Have the emulator make the company if it does not exist, with tax set up if `taxed`. Raises `CallError`."""
    body = {"realm": realm, "country": country, "name": name, "tax": taxed}
    url = f"{settings.url.rstrip('/')}/emulator/companies"
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(url, json=body, timeout=settings.timeout_seconds)
    except requests.RequestException as error:
        raise CallError(Lost(reason=f"{type(error).__name__}: {error}")) from error
    if not answer.ok:
        raise CallError(Lost(reason=f"{url} answered {answer.status_code}: {answer.text[:200]}"))


def ensure_accounts(client: Client, accounts: Mapping[str, LedgerAccount]) -> list[MadeName]:
    """Find each account by its code (`AcctNum`), or make it. Raises `CallError`.

    QuickBooks makes the accounts of receivables and of taxes by itself; they are given our codes.
    """

    def plan() -> tuple[list[MadeName], dict[str, Json]]:
        existing = client.select("Account", where=ACTIVE_OR_NOT)
        existing.sort(key=lambda account: bool(account.get("Active", True)))  # of one number the active one
        by_code = {account["AcctNum"]: account for account in existing if account.get("AcctNum")}
        taken = {account["Name"].lower() for account in existing}
        present, missing = [], dict[str, Json]()
        for code, account in accounts.items():
            quickbooks_account = by_code.get(code) or _numbered_own(client, code, account, existing)
            if quickbooks_account is not None:
                present.append(_found("Account", code, quickbooks_account))
            else:
                missing[code] = _account(code, account, taken)
        return present, missing

    return _ensure(client, "Account", accounts, plan)


def _numbered_own(client: Client, code: str, account: LedgerAccount, existing: Sequence[Json]) -> Json | None:
    """The account that QuickBooks made by itself, with our code from now on; None where there is none."""
    own = next((a for a in existing if not a.get("AcctNum") and _is_own(a, account)), None)
    if own is None:
        return None
    body = {**own, "AcctNum": code}
    return client.update("Account", body, request_id=_request_id(canonical(body), 0))


def _is_own(quickbooks_account: Json, account: LedgerAccount) -> bool:
    if account.role == "receivables":
        return bool(quickbooks_account["AccountType"] == _RECEIVABLE)
    of_tax = quickbooks_account.get("AccountSubType") == _TAX_PAYABLE
    return of_tax and quickbooks_account["Name"].lower() == account.name.lower()


def tax_names(client: Client, kind: str) -> dict[str, str]:
    """The ids of a company's tax codes or rates, by name. Raises `CallError`."""
    return {entity["Name"]: str(entity["Id"]) for entity in client.select(kind)}


def _account(code: str, account: LedgerAccount, taken: set[str]) -> Json:
    name = account.name if account.name.lower() not in taken else f"{account.name} ({code})"
    kind = _ROLE_TYPES.get(account.role) or _ACCOUNT_TYPES[account.type]
    return {"Name": name, "AcctNum": code, "AccountType": kind}


def ensure_items(
    client: Client, items: Mapping[str, LedgerAccount], quickbooks_accounts: Mapping[str, str]
) -> list[MadeName]:
    """Find the item of each account, by its name, or make it. Raises `CallError`.

    Both maps are by account code; an item is named after its account, with the code behind it.
    """
    names = {code: f"{account.name} ({code})" for code, account in items.items()}

    def plan() -> tuple[list[MadeName], dict[str, Json]]:
        found = client.find("Item", "Name", [*names.values()], also=ACTIVE_OR_NOT)
        existing = _by_name(found, "Name")
        present, missing = [], dict[str, Json]()
        for code, name in names.items():
            item, account = existing.get(name.upper()), quickbooks_accounts[code]
            if item is None:
                missing[code] = {"Name": name, "Type": "Service", "IncomeAccountRef": {"value": account}}
            elif (item.get("IncomeAccountRef") or {}).get("value") == account:
                present.append(_found("Item", code, item))
            else:
                error = f"QuickBooks has an item {name} on another account than {code}."
                reason = ExportReason.ITEM_ON_OTHER_ACCOUNT
                present.append(MadeName(key=code, reason=reason, error=error))
        return present, missing

    return _ensure(client, "Item", items, plan)


def ensure_customers(client: Client, keys: Sequence[str]) -> list[MadeName]:
    """Find each customer by its name, or make it; at most `MAX_BATCH_ITEMS` at a time. Raises `CallError`."""

    def plan() -> tuple[list[MadeName], dict[str, Json]]:
        found = client.find("Customer", "DisplayName", keys, also=ACTIVE_OR_NOT)
        existing = _by_name(found, "DisplayName")
        present = [_found("Customer", key, existing[key.upper()]) for key in keys if key.upper() in existing]
        missing: dict[str, Json] = {key: {"DisplayName": key} for key in keys if key.upper() not in existing}
        return present, missing

    return _ensure(client, "Customer", keys, plan)


def _found(kind: str, key: str, entity: Json) -> MadeName:
    """What there is under a name. An inactive one keeps its name, but nothing can be posted to it."""
    if entity.get("Active", True):
        return MadeName(key=key, quickbooks_id=str(entity["Id"]))
    error = f"The {kind.lower()} {key} is inactive in QuickBooks."
    return MadeName(key=key, reason=_INACTIVE[kind], error=error)


def _by_name(entities: Sequence[Json], field: str) -> dict[str, Json]:
    """QuickBooks ignores the case of names."""
    return {entity[field].upper(): entity for entity in entities}


def _ensure(client: Client, kind: str, keys: Iterable[str], plan: Plan) -> list[MadeName]:
    """Plan and make until all is there, or is refused for good. Raises `CallError`."""
    done: dict[str, MadeName] = {}
    refused: dict[str, MadeName] = {}
    for round_number in range(_MAX_ROUNDS):
        present, missing = plan()
        done |= {name.key: name for name in present}
        payloads = {key: payload for key, payload in missing.items() if key not in done}
        if not payloads:
            break
        for key, outcome in _create(client, kind, payloads, round_number).items():
            if isinstance(outcome, Created):
                done[key] = MadeName(key=key, quickbooks_id=outcome.id)
            else:  # perhaps somebody made it meanwhile (6240): the next round's plan finds it
                refused[key] = _refused(key, outcome)
    return [done.get(key) or refused[key] for key in keys]


def _refused(key: str, outcome: Fault | Missing) -> MadeName:
    if isinstance(outcome, Missing):
        error = "The answer does not name it."
        return MadeName(key=key, reason=ExportReason.NAME_REFUSED, error=error)
    taken = outcome.code == "6240"
    reason = ExportReason.NAME_TAKEN if taken else ExportReason.NAME_REFUSED
    return MadeName(key=key, reason=reason, error=str(outcome))


def _create(client: Client, kind: str, payloads: Mapping[str, Json], round_number: int) -> dict[str, Outcome]:
    keys = list(payloads)
    outcomes: dict[str, Outcome] = {}
    for start in range(0, len(keys), MAX_BATCH_ITEMS):
        chunk = keys[start : start + MAX_BATCH_ITEMS]
        body = batch_body([BatchItem(kind=kind, body=canonical(payloads[key])) for key in chunk])
        outcome = client.send_batch(body, request_id=_request_id(body, round_number), count=len(chunk))
        if not isinstance(outcome, Answered):
            raise CallError(outcome)
        pausing = next((o for o in outcome.outcomes if isinstance(o, Fault) and pauses(o)), None)
        if pausing is not None:
            raise CallError(Refused(fault=pausing))
        outcomes |= dict(zip(chunk, outcome.outcomes, strict=True))
    return outcomes


def _request_id(body: bytes, round_number: int) -> str:
    """The same bytes in the same round have the same id, so that a repeat after a lost answer is a replay."""
    return sha256(b"%d" % round_number + body).hexdigest()[:32]
