"""What comes before any document: the company, its preferences, its accounts and items, the customers."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from psycopg import Connection
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
)

from adapters.quickbooks.api.client import MAX_BATCH_ITEMS, Client
from adapters.quickbooks.api.errors import (
    Barred,
    CallError,
    Failure,
    Lost,
    Refused,
    SignIn,
    Throttled,
    pauses,
)
from adapters.quickbooks.registry import jobs, names
from adapters.quickbooks.registry.rows import columns, select
from adapters.quickbooks.registry.tenants import Work
from adapters.quickbooks.sending import setup
from adapters.quickbooks.sending.budget import Budget
from adapters.quickbooks.sending.interruptions import MAX_LOSSES, AwayError, PausedError
from adapters.quickbooks.sending.preferences import wrong_preference
from adapters.quickbooks.sending.waits import growing
from adapters.quickbooks.settings import QuickBooksSettings
from projections.views.export_reasons import ExportReason

MIN_WAIT_SECONDS: Final = 0.1
_MAX_REFUSALS: Final = 5
_log = structlog.get_logger(__name__)


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a name could not be made."""

    reason: ExportReason
    error: str


class QuickBooksNames(msgspec.Struct, frozen=True, kw_only=True):
    """QuickBooks' ids of accounts and of items, both by account code, and by kind and code what has none.

    Those of tax codes and of tax rates are by name.
    """

    quickbooks_accounts: Mapping[str, str]
    quickbooks_items: Mapping[str, str]
    tax_codes: Mapping[str, str]
    tax_rates: Mapping[str, str]
    refused: Mapping[tuple[str, str], Refusal]


class Preparation:
    """Before any document: the company, its preferences, its accounts and items, the customers needed."""

    def __init__(
        self,
        connection: Connection[Any],
        settings: QuickBooksSettings,
        work: Work,
        stop: threading.Event,
        budget: Budget,
        client: Client,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._work = work
        self._stop = stop
        self._budget = budget
        self._client = client
        self._growing = growing(first_seconds=MIN_WAIT_SECONDS, max_seconds=settings.max_wait_seconds)
        self._losses = 0
        self._refusals = 0

    def run(self) -> QuickBooksNames | None:
        """Prepare; None when told to stop. Raises `PausedError`, and `AwayError` after some attempts in vain."""
        attempts = Retrying(
            retry=retry_if_exception_type(CallError),
            wait=self._wait_seconds,
            stop=stop_when_event_set(self._stop),
            sleep=sleep_using_event(self._stop),
            retry_error_callback=lambda _: None,  # told to stop
        )
        return attempts(self._attempt)

    def _attempt(self) -> QuickBooksNames | None:
        """Raises `CallError` where another attempt may help."""
        if self._stop.is_set():
            return None
        try:
            return self._prepare()
        except CallError as error:
            self._check(error.failure)
            raise

    def _check(self, failure: Failure) -> None:
        """Tell whether there is to be another attempt: raises `PausedError` or `AwayError` if not."""
        match failure:
            case Throttled(seconds=seconds):
                self._losses += 1
                self._budget.be_quiet(seconds)
                if self._losses >= MAX_LOSSES:
                    raise AwayError("QuickBooks is throttling.")
            case Lost(reason=reason):
                self._losses += 1
                if self._losses >= MAX_LOSSES:
                    raise AwayError(reason)
                _log.warning("the export waits", tenant=self._work.tenant, error=reason)
            case SignIn(reason=reason):
                self._refusals += 1
                if self._refusals > 1:
                    raise PausedError(reason, sign_in=True)
            case Refused(fault=fault):
                self._refusals += 1
                if self._refusals > _MAX_REFUSALS or pauses(fault):
                    raise PausedError(str(fault))
            case Barred(reason=reason):
                raise PausedError(reason)

    def _wait_seconds(self, state: RetryCallState) -> float:
        assert state.outcome is not None
        error = state.outcome.exception()
        assert isinstance(error, CallError)
        match error.failure:
            case Throttled():
                return self._budget.wait_seconds(1)
            case SignIn():  # a gateway may say so once
                return 0.0
            case _:
                return self._growing(state)

    def _prepare(self) -> QuickBooksNames | None:
        work = self._work
        if self._settings.emulator:
            setup.open_company(
                self._settings, realm=work.realm, country=work.country, name=work.name, taxed=work.taxed
            )
        self._check_preferences()
        quickbooks_names = self._accounts_and_items()
        return quickbooks_names if self._make_customers() else None

    def _check_preferences(self) -> None:
        preferences = self._client.preferences()
        wrong = wrong_preference(preferences, currency=self._work.currency, taxed=self._work.taxed)
        if wrong is not None:
            raise PausedError(wrong)
        bounds = {
            "tenant": self._work.tenant,
            "last_position": self._work.last_position,
            "closed_until": preferences.closed_until,
        }
        self._connection.execute(jobs.RELEASE_HELD, bounds)
        if preferences.closed_until is not None:
            error = f"QuickBooks is closed until {preferences.closed_until}."
            self._connection.execute(jobs.HOLD_CLOSED, {**bounds, "error": error})

    def _accounts_and_items(self) -> QuickBooksNames:
        """Find every account and every item; what is missing is made."""
        accounts = self._names("Account")
        attributes = {name.key: name.attributes for name in accounts}
        missing = {
            name.key: msgspec.convert(name.attributes, names.LedgerAccount)
            for name in accounts
            if name.quickbooks_id is None
        }
        refused: dict[tuple[str, str], Refusal] = {}
        quickbooks_accounts = _ids(accounts)
        if missing:
            made = setup.ensure_accounts(self._client, missing)
            quickbooks_accounts |= self._keep("Account", made)
            refused |= _refusals("Account", made)
        items = self._names("Item")
        missing = {
            name.key: msgspec.convert(attributes[name.key], names.LedgerAccount)
            for name in items
            if name.quickbooks_id is None and name.key in quickbooks_accounts
        }
        quickbooks_items = _ids(items)
        if missing:
            made = setup.ensure_items(self._client, missing, quickbooks_accounts)
            quickbooks_items |= self._keep("Item", made)
            refused |= _refusals("Item", made)
        taxed = self._work.taxed
        return QuickBooksNames(
            quickbooks_accounts=quickbooks_accounts,
            quickbooks_items=quickbooks_items,
            tax_codes=setup.tax_names(self._client, "TaxCode") if taxed else {},
            tax_rates=setup.tax_names(self._client, "TaxRate") if taxed else {},
            refused=refused,
        )

    def _names(self, kind: str) -> list[names.MappedName]:
        work = self._work
        return select(
            self._connection, names.MappedName, names.SELECT, tenant=work.tenant, realm=work.realm, kind=kind
        )

    def _keep(self, kind: str, made: Sequence[names.MadeName]) -> dict[str, str]:
        """Note what became of names, and answer the ids."""
        of_kind = {"tenant": self._work.tenant, "realm": self._work.realm, "kind": kind}
        self._connection.execute(names.SET, {**of_kind, **columns(names.MadeName, made)})
        return _ids(made)

    def _make_customers(self) -> bool:
        """Make the customers of the documents to be sent. False when told to stop."""
        work = self._work
        bounds = {"tenant": work.tenant, "realm": work.realm, "last_position": work.last_position}
        wanted = select(self._connection, names.WantedCustomer, names.SELECT_WANTED_CUSTOMERS, **bounds)
        for start in range(0, len(wanted), MAX_BATCH_ITEMS):
            chunk = [row.customer for row in wanted[start : start + MAX_BATCH_ITEMS]]
            while (wait := self._budget.wait_seconds(len(chunk))) and not self._stop.is_set():
                self._stop.wait(wait)
            if self._stop.is_set():
                return False
            send = self._budget.spend(None, len(chunk))
            self._keep("Customer", setup.ensure_customers(self._client, chunk))
            self._budget.answered(send, "customers")
        self._connection.execute(jobs.MARK_UNMAPPED_CUSTOMERS, bounds)
        return True


def _ids(rows: Sequence[names.MappedName | names.MadeName]) -> dict[str, str]:
    return {row.key: row.quickbooks_id for row in rows if row.quickbooks_id is not None}


def _refusals(kind: str, made: Sequence[names.MadeName]) -> dict[tuple[str, str], Refusal]:
    return {
        (kind, name.key): Refusal(reason=name.reason, error=name.error)
        for name in made
        if name.reason is not None and name.error is not None
    }
