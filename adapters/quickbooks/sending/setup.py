"""What must be in the company before any document: accounts, items, customers. No database here.

QuickBooks takes a name only once, and that makes this safe to repeat: what is there is found by its name or
number first, and only what is not is made.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
import requests

from adapters.quickbooks.api.client import BatchItem, CallError, Client, batch_body
from adapters.quickbooks.api.outcomes import Answered, Created, Fault, Lost, Outcome, Refused, pauses
from adapters.quickbooks.mapping.documents import Json, canonical
from adapters.quickbooks.settings import QuickBooksSettings

BATCH: Final = 30
_ROUNDS: Final = 5
_RECEIVABLE: Final = "Accounts Receivable"

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


class LedgerAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account of the tenant's chart."""

    name: str
    type: str
    role: str


class ItemOf(msgspec.Struct, frozen=True, kw_only=True):
    """The item of a role: its name, and the code of the account that it stands on."""

    name: str
    account: str


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one name: QuickBooks' id, or why there is none."""

    key: str
    quickbooks_id: str | None = None
    error: str | None = None


Plan = Callable[[], tuple[list[Name], dict[str, Json]]]
"""What is there already, and the payloads of what must be made, by key."""


def open_company(settings: QuickBooksSettings, *, realm: str, country: str, name: str) -> None:
    """Have the emulator make the company if it is not there. Raises `CallError`."""
    body = {"realm": realm, "country": country, "name": name}
    url = f"{settings.url.rstrip('/')}/emulator/companies"
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(url, json=body, timeout=settings.timeout_seconds)
    except requests.RequestException as error:
        raise CallError(Lost(reason=f"{type(error).__name__}: {error}")) from error
    if not answer.ok:
        raise CallError(Lost(reason=f"{url} answered {answer.status_code}: {answer.text[:200]}"))


def ensure_accounts(client: Client, accounts: Mapping[str, LedgerAccount]) -> list[Name]:
    """Find each account by its code (`AcctNum`), or make it. Raises `CallError`.

    QuickBooks makes the receivables account by itself; it is given our code.
    """

    def plan() -> tuple[list[Name], dict[str, Json]]:
        existing = client.select("Account")
        by_code = {account["AcctNum"]: account for account in existing if account.get("AcctNum")}
        taken = {account["Name"].lower() for account in existing}
        found, missing = [], dict[str, Json]()
        for code, account in accounts.items():
            own = by_code.get(code) or _numbered_receivable(client, code, account, existing)
            if own is not None:
                found.append(Name(key=code, quickbooks_id=str(own["Id"])))
            else:
                missing[code] = _account(code, account, taken)
        return found, missing

    return _ensure(client, "Account", accounts, plan)


def _numbered_receivable(
    client: Client, code: str, account: LedgerAccount, existing: Sequence[Json]
) -> Json | None:
    if account.role != "receivables":
        return None
    own = next((a for a in existing if a["AccountType"] == _RECEIVABLE and not a.get("AcctNum")), None)
    if own is None:
        return None
    body = {**own, "AcctNum": code}
    return client.update("Account", body, request_id=_request_id(canonical(body), 0))


def _account(code: str, account: LedgerAccount, taken: set[str]) -> Json:
    name = account.name if account.name.lower() not in taken else f"{account.name} ({code})"
    kind = _ROLE_TYPES.get(account.role) or _ACCOUNT_TYPES[account.type]
    return {"Name": name, "AcctNum": code, "AccountType": kind}


def ensure_items(client: Client, items: Mapping[str, ItemOf], account_ids: Mapping[str, str]) -> list[Name]:
    """Find each role's item by its name, or make it. Raises `CallError`."""

    def plan() -> tuple[list[Name], dict[str, Json]]:
        existing = _by_name(client.find("Item", "Name", [item.name for item in items.values()]), "Name")
        found, missing = [], dict[str, Json]()
        for role, item in items.items():
            there, account = existing.get(item.name.upper()), account_ids[item.account]
            if there is None:
                missing[role] = {
                    "Name": item.name,
                    "Type": "Service",
                    "IncomeAccountRef": {"value": account},
                }
            elif (there.get("IncomeAccountRef") or {}).get("value") == account:
                found.append(Name(key=role, quickbooks_id=str(there["Id"])))
            else:
                error = f"Item {item.name} is there on another account than {item.account}."
                found.append(Name(key=role, error=error))
        return found, missing

    return _ensure(client, "Item", items, plan)


def ensure_customers(client: Client, keys: Sequence[str]) -> list[Name]:
    """Find each customer by its name, or make it; at most `BATCH` at a time. Raises `CallError`."""

    def plan() -> tuple[list[Name], dict[str, Json]]:
        existing = _by_name(client.find("Customer", "DisplayName", keys), "DisplayName")
        found = [
            Name(key=key, quickbooks_id=str(existing[key.upper()]["Id"]))
            for key in keys
            if key.upper() in existing
        ]
        missing: dict[str, Json] = {key: {"DisplayName": key} for key in keys if key.upper() not in existing}
        return found, missing

    return _ensure(client, "Customer", keys, plan)


def _by_name(entities: Sequence[Json], field: str) -> dict[str, Json]:
    """QuickBooks ignores the case of names."""
    return {entity[field].upper(): entity for entity in entities}


def _ensure(client: Client, kind: str, keys: Mapping[str, Any] | Sequence[str], plan: Plan) -> list[Name]:
    """Plan and make until all is there, or is refused for good. Raises `CallError`."""
    done: dict[str, Name] = {}
    refused: dict[str, str] = {}
    for round_number in range(_ROUNDS):
        found, missing = plan()
        done |= {name.key: name for name in found}
        left = {key: payload for key, payload in missing.items() if key not in done}
        if not left:
            break
        for key, outcome in _create(client, kind, left, round_number).items():
            if isinstance(outcome, Created):
                done[key] = Name(key=key, quickbooks_id=outcome.id)
            else:  # perhaps somebody made it meanwhile (6240): the next round's plan finds it
                refused[key] = str(outcome)
    return [done.get(key) or Name(key=key, error=refused.get(key, "It is not there.")) for key in keys]


def _create(client: Client, kind: str, payloads: Mapping[str, Json], round_number: int) -> dict[str, Outcome]:
    keys = list(payloads)
    outcomes: dict[str, Outcome] = {}
    for start in range(0, len(keys), BATCH):
        chunk = keys[start : start + BATCH]
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
