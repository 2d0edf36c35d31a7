"""What the emulator tells of its books and of its calls, over its own endpoints and on its pages."""

import msgspec

from adapters.quickbooks.emulator import statements, values
from adapters.quickbooks.emulator.refusals import Body
from adapters.quickbooks.emulator.store import Store


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account with all that documents have booked to it so far."""

    id: int
    number: str | None
    name: str
    type: str
    debit_minor: int
    credit_minor: int

    @property
    def balance_minor(self) -> int:
        """Debits less credits."""
        return self.debit_minor - self.credit_minor


def accounts(store: Store, realm: str) -> list[Account]:
    """The company's accounts by their numbers, those without one last."""
    return [
        Account(id=own, number=number, name=name, type=kind, debit_minor=debit, credit_minor=credit)
        for own, number, name, kind, debit, credit in store.rows(statements.SELECT_ACCOUNTS, realm)
    ]


def balances(store: Store, realm: str) -> list[Body]:
    """Each account with what the documents leave on it: debits less credits, as a decimal text."""
    return [
        {
            "AcctNum": account.number,
            "Name": account.name,
            "AccountType": account.type,
            "balance": str(values.from_minor(account.balance_minor)),
        }
        for account in accounts(store, realm)
    ]


def requests(store: Store, after: int, limit: int) -> list[Body]:
    """The request log from the line after `after` on, oldest first."""
    return [_request(row) for row in store.rows(statements.SELECT_REQUESTS, after, limit)]


def recent_requests(store: Store, limit: int) -> list[Body]:
    """The last lines of the request log, newest first."""
    return [_request(row) for row in store.rows(statements.SELECT_RECENT_REQUESTS, limit)]


def _request(row: tuple[object, ...]) -> Body:
    names = ("n", "at", "method", "path", "entity", "operation", "request_id", "replayed", "status")
    line = dict(zip(names, row, strict=True))
    return {**line, "replayed": bool(line["replayed"])}
