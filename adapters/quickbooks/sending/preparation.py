"""What comes before any document: the company, its preferences, its accounts and items, the customers."""

import logging
import threading
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from psycopg import Connection

from adapters.quickbooks.api.client import CallError, Client
from adapters.quickbooks.api.outcomes import (
    Answered,
    Barred,
    Lost,
    Refused,
    SignIn,
    Throttled,
    pauses,
    wrong_preference,
)
from adapters.quickbooks.registry import statements
from adapters.quickbooks.sending import setup
from adapters.quickbooks.sending.budget import Budget
from adapters.quickbooks.settings import QuickBooksSettings
from adapters.system.backoff import Backoff

MAX_LOSSES: Final = 3
"""How often the same thing is asked for in vain in one turn, before the tenant is left alone for a while."""

_MAX_REFUSALS: Final = 5
_T = TypeVar("_T")

_log: Final = logging.getLogger(__name__)


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant with open batches; `limit` is the position of the last of them.

    `paused`: until a person has acted, who now has. `away`: QuickBooks did not answer the last time.
    """

    tenant: str
    realm: str
    name: str
    country: str
    currency: str
    limit: int
    paused: bool
    away: bool


class AwayError(Exception):
    """QuickBooks does not answer, or not all of it: leave the tenant alone for a while, then go on by itself."""


class PausedError(Exception):
    """Nothing can be sent for the tenant until a person has acted; the message says what is wrong."""

    def __init__(self, reason: str, *, sign_in: bool = False) -> None:
        super().__init__(reason)
        self.sign_in = sign_in


def make_client(settings: QuickBooksSettings, realm: str) -> Client:
    """Make a client of a company; for one thread alone."""
    return Client(
        url=settings.url,
        realm=realm,
        access_token=settings.access_token,
        timeout_seconds=settings.timeout_seconds,
    )


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """QuickBooks' ids of accounts (by code) and items (by role)."""

    accounts: Mapping[str, str]
    items: Mapping[str, str]


class Preparation:
    """Before any document: the company, its preferences, its accounts and items, the customers needed."""

    def __init__(
        self,
        connection: Connection[Any],
        settings: QuickBooksSettings,
        work: Work,
        stop: threading.Event,
        budget: Budget,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._work = work
        self._stop = stop
        self._budget = budget
        self._client = make_client(settings, work.realm)

    def run(self) -> Names | None:
        """Prepare; None when told to stop. Raises `PausedError`, and `AwayError` after some attempts in vain."""
        with self._client.session:
            return self._run()

    def _run(self) -> Names | None:
        backoff = Backoff(longest=self._settings.longest_wait_seconds)
        refusals = losses = 0
        while not self._stop.is_set():
            try:
                return self._prepare()
            except CallError as error:
                match error.outcome:
                    case Throttled() | Lost():
                        losses += 1
                        self._wait_out(error.outcome, backoff, enough=losses >= MAX_LOSSES)
                    case SignIn(reason=reason):
                        refusals += 1
                        if refusals > 1:
                            raise PausedError(reason, sign_in=True) from None
                    case Refused(fault=fault):
                        refusals += 1
                        if refusals > _MAX_REFUSALS or pauses(fault):
                            raise PausedError(str(fault)) from None
                        backoff.wait(self._stop)
                    case Barred(reason=reason):
                        raise PausedError(reason) from None
                    case Answered():
                        raise AssertionError(error) from error
        return None

    def _wait_out(self, outcome: Throttled | Lost, backoff: Backoff, *, enough: bool) -> None:
        """Wait before the next attempt. Raises `AwayError` where there were enough."""
        match outcome:
            case Throttled(seconds=seconds):
                wait = self._budget.be_quiet(seconds)
                if enough:
                    raise AwayError("QuickBooks is throttling.")
                self._stop.wait(wait)
            case Lost(reason=reason):
                if enough:
                    raise AwayError(reason)
                _log.warning("%s: export waits: %s", self._work.tenant, reason)
                backoff.wait(self._stop)

    def _prepare(self) -> Names | None:
        work = self._work
        if self._settings.emulator:
            setup.open_company(self._settings, realm=work.realm, country=work.country, name=work.name)
        self._check_preferences()
        accounts = self._accounts()
        items = self._items(accounts)
        return Names(accounts=accounts, items=items) if self._customers() else None

    def _check_preferences(self) -> None:
        preferences = self._client.preferences()
        wrong = wrong_preference(preferences, currency=self._work.currency)
        if wrong is not None:
            raise PausedError(wrong)
        bounds: dict[str, object] = {
            "tenant": self._work.tenant,
            "limit": self._work.limit,
            "closed": preferences.closed_until,
            "reason": f"QuickBooks is closed until {preferences.closed_until}.",
        }
        self._connection.execute(statements.RELEASE_HELD, bounds)
        if preferences.closed_until is not None:
            self._connection.execute(statements.HOLD_CLOSED, bounds)

    def _accounts(self) -> dict[str, str]:
        ids, missing = self._known("Account", setup.LedgerAccount)
        if missing:
            ids |= self._made("Account", setup.ensure_accounts(self._client, missing))
        return ids

    def _items(self, accounts: Mapping[str, str]) -> dict[str, str]:
        ids, missing = self._known("Item", setup.ItemOf)
        possible = {role: item for role, item in missing.items() if item.account in accounts}
        if possible:
            ids |= self._made("Item", setup.ensure_items(self._client, possible, accounts))
        return ids

    def _known(self, kind: str, attributes: type[_T]) -> tuple[dict[str, str], dict[str, _T]]:
        ids: dict[str, str] = {}
        missing: dict[str, _T] = {}
        work = self._work
        for key, stored, identifier in self._connection.execute(
            statements.SELECT_NAMES, (work.tenant, work.realm, kind)
        ):
            if identifier is None:
                missing[key] = msgspec.convert(stored, attributes)
            else:
                ids[key] = identifier
        return ids, missing

    def _made(self, kind: str, names: list[setup.Name]) -> dict[str, str]:
        """Note what became of names, and answer the ids."""
        self._connection.execute(
            statements.SET_NAMES,
            (
                [name.key for name in names],
                [name.quickbooks_id for name in names],
                [name.error for name in names],
                self._work.tenant,
                self._work.realm,
                kind,
            ),
        )
        return {name.key: name.quickbooks_id for name in names if name.quickbooks_id is not None}

    def _customers(self) -> bool:
        """Make the customers of the rows to be sent. False when told to stop."""
        work = self._work
        bounds = {"tenant": work.tenant, "realm": work.realm, "limit": work.limit}
        rows = self._connection.execute(statements.SELECT_WANTED_CUSTOMERS, bounds).fetchall()
        wanted = [key for (key,) in rows]
        for start in range(0, len(wanted), setup.BATCH):
            chunk = wanted[start : start + setup.BATCH]
            while (wait := self._budget.wait_seconds(len(chunk))) and not self._stop.is_set():
                self._stop.wait(wait)
            if self._stop.is_set():
                return False
            send = self._budget.spend(None, len(chunk))
            self._made("Customer", setup.ensure_customers(self._client, chunk))
            self._budget.answered(send, "customers")
        self._connection.execute(statements.MARK_UNMAPPED, bounds)
        return True
