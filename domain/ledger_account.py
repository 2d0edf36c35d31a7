"""The ledger account: debits and credits, in one currency."""

from datetime import datetime
from typing import ClassVar, Literal, assert_never

from domain.chart import DEBIT_NORMAL, AccountType
from domain.errors import Code, DomainError
from domain.event import Event, MoneyEvent, State, Transaction, stored
from domain.ids import AccountCode
from domain.journal import Side
from domain.money import MAX_BALANCE_MINOR

# --- events


@stored
class AccountOpened(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.account.opened.v1"
    code: AccountCode
    name: str
    type: AccountType
    role: str
    currency: str
    recorded_at: datetime


class _Posted(MoneyEvent, frozen=True, kw_only=True):
    """Role and type stand on every posting, so that a consumer of the message asks nobody."""

    code: AccountCode
    role: str
    type: AccountType
    amount: int
    currency: str


@stored
class AccountDebited(_Posted, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.account.debited.v1"


@stored
class AccountCredited(_Posted, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.account.credited.v1"


LedgerAccountEvent = AccountOpened | AccountDebited | AccountCredited

# --- state


class LedgerAccount(State, kw_only=True):
    """`net_minor` is debits less credits. Gross totals would only grow, until nothing could be posted any more."""

    account_code: AccountCode = AccountCode("")
    role: str = ""
    type: AccountType = "asset"
    currency: str = ""
    status: Literal["open", "frozen", "closed"] = "open"
    net_minor: int = 0

    @property
    def balance_minor(self) -> int:
        """Positive on the account's normal side."""
        return self.net_minor if self.type in DEBIT_NORMAL else -self.net_minor


def evolve(state: LedgerAccount, event: LedgerAccountEvent) -> None:
    match event:
        case AccountDebited():
            state.net_minor += event.amount
        case AccountCredited():
            state.net_minor -= event.amount
        case AccountOpened():
            state.account_code = event.code
            state.role = event.role
            state.type = event.type
            state.currency = event.currency
        case _:
            assert_never(event)


# --- decisions


def open_account(
    state: LedgerAccount,
    *,
    account_code: AccountCode,
    name: str,
    type: AccountType,  # noqa: A002  the field's name in the chart
    role: str,
    currency: str,
    recorded_at: datetime,
) -> AccountOpened:
    assert not state.version, account_code
    return AccountOpened(
        code=account_code, name=name, type=type, role=role, currency=currency, recorded_at=recorded_at
    )


def post(
    state: LedgerAccount, transaction: Transaction, *, side: Side, amount_minor: int
) -> AccountDebited | AccountCredited:
    if not state.version:
        raise DomainError(Code.ACCOUNT_NOT_FOUND, "The chart maps a role to an account that is not there.")
    if state.status != "open":
        raise DomainError(
            Code.ACCOUNT_NOT_OPEN,
            f"Account {state.account_code} is {state.status}.",
            account=state.account_code,
        )
    if state.currency != transaction.currency:
        raise DomainError(
            Code.CURRENCY_MISMATCH,
            f"Account {state.account_code} is in {state.currency}, not {transaction.currency}.",
        )
    if (state.net_minor if side == "debit" else -state.net_minor) + amount_minor > MAX_BALANCE_MINOR:
        raise DomainError(
            Code.AMOUNT_TOO_LARGE,
            f"The balance of account {state.account_code} would pass {MAX_BALANCE_MINOR} minor units.",
        )
    event_type = AccountDebited if side == "debit" else AccountCredited
    return event_type(
        code=state.account_code,
        role=state.role,
        type=state.type,
        amount=amount_minor,
        currency=transaction.currency,
        **transaction.stamp,
    )
