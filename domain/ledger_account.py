"""The ledger account: debits and credits, in one currency."""

from datetime import datetime
from typing import ClassVar, Literal, assert_never

from domain.chart import DEBIT_NORMAL, AccountType
from domain.errors import Code, DomainError
from domain.event import Event, MoneyEvent, State, Transaction, stored
from domain.journal import Side
from domain.money import MAX_TOTAL_MINOR

# --- events


@stored
class AccountOpened(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.account.opened.v1"
    code: str
    name: str
    type: AccountType
    role: str
    currency: str
    recorded_at: datetime


class _Posted(MoneyEvent, frozen=True, kw_only=True):
    """Role and type stand on every posting, so that a consumer of the message asks nobody."""

    code: str
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
    """`debits` and `credits` are totals in minor units."""

    code: str = ""
    role: str = ""
    type: AccountType = "asset"
    currency: str = ""
    status: Literal["open", "frozen", "closed"] = "open"
    debits: int = 0
    credits: int = 0

    @property
    def balance(self) -> int:
        """Positive on the account's normal side."""
        net = self.debits - self.credits
        return net if self.type in DEBIT_NORMAL else -net


def evolve(state: LedgerAccount, event: LedgerAccountEvent) -> None:
    match event:
        case AccountDebited():
            state.debits += event.amount
        case AccountCredited():
            state.credits += event.amount
        case AccountOpened():
            state.code = event.code
            state.role = event.role
            state.type = event.type
            state.currency = event.currency
        case _:
            assert_never(event)


# --- decisions


def open_account(
    state: LedgerAccount,
    *,
    code: str,
    name: str,
    type: AccountType,  # noqa: A002  the field's name in the chart
    role: str,
    currency: str,
    recorded_at: datetime,
) -> AccountOpened:
    assert not state.version, code
    return AccountOpened(
        code=code, name=name, type=type, role=role, currency=currency, recorded_at=recorded_at
    )


def post(
    state: LedgerAccount, transaction: Transaction, *, side: Side, amount: int
) -> AccountDebited | AccountCredited:
    if not state.version:
        raise DomainError(Code.ACCOUNT_NOT_FOUND, "The chart maps a role to an account that is not there.")
    if state.status != "open":
        raise DomainError(
            Code.ACCOUNT_NOT_OPEN, f"Account {state.code} is {state.status}.", account=state.code
        )
    if state.currency != transaction.currency:
        raise DomainError(
            Code.CURRENCY_MISMATCH,
            f"Account {state.code} is in {state.currency}, not {transaction.currency}.",
        )
    if (state.debits if side == "debit" else state.credits) + amount > MAX_TOTAL_MINOR:
        raise DomainError(
            Code.AMOUNT_TOO_LARGE, f"Account {state.code} would pass {MAX_TOTAL_MINOR} minor units in all."
        )
    event_type = AccountDebited if side == "debit" else AccountCredited
    return event_type(
        code=state.code,
        role=state.role,
        type=state.type,
        amount=amount,
        currency=transaction.currency,
        **transaction.stamp(),
    )
