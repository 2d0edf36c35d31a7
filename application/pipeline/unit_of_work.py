"""The unit of work: what one command's handler works in."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from application.pipeline import records
from application.pipeline.ports import LoggedEvent
from domain import ledger_account, provider_receipt, series, tenant
from domain.aggregates import Unreadable, apply, initial
from domain.calendar import EARLIEST_EFFECTIVE_DATE, check_not_before
from domain.capability import Capability
from domain.errors import Code, DomainError
from domain.event import Event, MoneyEvent, Stamp, State, Transaction
from domain.ids import WalletId, account_stream, provider_receipt_stream, series_stream, tenant_stream
from domain.journal import Journal
from domain.receipt import ReceiptSigner

_S = TypeVar("_S", bound=State)

MIDNIGHT_GRACE: Final = timedelta(minutes=10)


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who gives a command: `client` outlives its keys, `actor` is how the audit names it."""

    client: str
    actor: str
    capabilities: AbstractSet[str]


class ReceiptView(msgspec.Struct, frozen=True):
    """A receipt's legal number, and the address that its QR code holds."""

    number: str
    qr: str


def unreadable(state: State, stream: str) -> DomainError:
    """The refusal (`unavailable`) where a stream is not of its kind, since this version cannot read it."""
    assert isinstance(state, Unreadable), (stream, state)
    return DomainError(
        Code.UNAVAILABLE,
        f"{stream} has an event {state.topic} that this version cannot read; a newer one can.",
    )


class UnitOfWork:
    """One command's view of the states, in which its events take effect as they are emitted.

    Nothing outside changes: `events` and `changed` are what the writer takes over once the whole
    command has been accepted. Time, ids and keys come from outside.
    """

    __slots__ = (
        "_lookup", "_recorded", "_tenant", "_today", "assumed_empty", "caller", "changed", "command_id", "events", "receipts", "recorded_at", "tenant_name",
    )  # fmt: skip

    def __init__(
        self,
        *,
        tenant_name: str,
        caller: Caller,
        command_id: str,
        recorded_at: datetime,
        receipts: ReceiptSigner,
        lookup: Callable[[str], State],
        recorded: Callable[[str], Sequence[LoggedEvent]] = lambda _: (),
        assumed_empty: AbstractSet[str] = frozenset(),
    ) -> None:
        self.tenant_name = tenant_name
        self.caller = caller
        self.command_id = command_id
        self.recorded_at = recorded_at
        self.receipts = receipts
        self.assumed_empty = assumed_empty
        """What was not loaded: where there is something, it will be decided once more."""
        self.events: list[tuple[str, int, Event]] = []
        self.changed: dict[str, State] = {}
        self._lookup = lookup
        self._recorded = recorded
        self._tenant: tenant.Tenant | None = None
        self._today: date | None = None

    def part(self, command_id: str) -> "UnitOfWork":
        """The unit of work of one of the commands that this one is: it goes on with the same states and events."""
        self._tenant = None  # the part before may have changed it
        part = copy(self)
        part.command_id = command_id
        return part

    def state(self, kind: type[_S], stream: str) -> _S:
        """The state of a stream as this command sees it. It is only to be read."""
        found = self.changed.get(stream)
        if found is None:
            found = self._lookup(stream)
        if not isinstance(found, kind):
            raise unreadable(found, stream)
        return found

    def events_of(self, transaction_id: str) -> list[MoneyEvent]:
        """The events of an earlier transaction of this tenant, in order; none where there is no such transaction."""
        record = self._recorded(transaction_id)
        for (
            logged
        ) in record:  # whoever takes it back asks for each of these: what is missing is loaded at once
            self._lookup(logged.stream)
        return records.events_of(record, transaction_id)

    def emit(self, stream: str, event: Event) -> None:
        """Add an event to a stream, and let it take effect for the rest of this command."""
        state = self.changed.get(stream)
        if state is None:
            state = self.changed[stream] = msgspec.structs.replace(self._lookup(stream))
            if isinstance(state, tenant.Tenant):
                self._tenant = state
        apply(state, event)
        self.events.append((stream, state.version, event))

    def create(self, stream: str, event: Event) -> None:
        """Begin a stream that is named by this command's own id, so that it cannot be there yet."""
        assert stream.endswith(self.command_id)
        self.changed[stream] = initial(stream)
        self.emit(stream, event)

    def require(self, capability: Capability) -> None:
        """Refuse a caller that may not do this part of the command (`capability_missing`)."""
        if capability not in self.caller.capabilities:
            raise DomainError(
                Code.CAPABILITY_MISSING, f"This needs the capability {capability}.", capability=capability
            )

    def tenant(self) -> tenant.Tenant:
        if self._tenant is None:
            self._tenant = self.state(tenant.Tenant, tenant_stream(self.tenant_name))
        return self._tenant

    def today(self) -> date:
        """The date in the tenant's time zone at which the command is recorded."""
        if self._today is None:
            self._today = _local_date(self.tenant().time_zone, self.recorded_at)
        return self._today

    def transaction(
        self, currency: str, effective_date: date | None, *, not_before: date = EARLIEST_EFFECTIVE_DATE
    ) -> Transaction:
        """Begin the command's transaction, today unless it is given another date.

        It cannot predate what it settles or takes back (`not_before`), and to lie before today it needs a capability.
        """
        school = self.tenant()
        if currency != school.currency:
            raise DomainError(
                Code.CURRENCY_MISMATCH, f"The tenant's currency is {school.currency}, not {currency}."
            )
        today = self.today()
        effective_date = effective_date or today
        if effective_date > today:
            raise DomainError(
                Code.EFFECTIVE_DATE_IN_FUTURE,
                f"{effective_date} lies after today, {today} in {school.time_zone}.",
            )
        check_not_before(effective_date, not_before)
        if effective_date < today:
            self._require_to_date_back(effective_date, today)
        stamp: Stamp = {
            "transaction_id": self.command_id,
            "effective_date": effective_date,
            "recorded_at": self.recorded_at,
        }
        return Transaction(stamp=stamp, currency=currency)

    def _require_to_date_back(self, effective_date: date, today: date) -> None:
        # A day that has only just ended is not the past yet: a till's request may have been on its way.
        present = effective_date >= _local_date(self.tenant().time_zone, self.recorded_at - MIDNIGHT_GRACE)
        if not present and Capability.TRANSACTION_BACKDATE_ANY not in self.caller.capabilities:
            near = (today - effective_date).days <= self.tenant().policies.backdate_days
            self.require(Capability.TRANSACTION_BACKDATE if near else Capability.TRANSACTION_BACKDATE_ANY)

    def post(self, journal: Journal, transaction: Transaction) -> None:
        """Post a balanced journal to the accounts that the tenant's chart maps its roles to.

        Refused is more than the tenant's largest amount (`amount_too_large`).
        """
        school = self.tenant()
        roles = school.roles
        debits_minor = 0
        for posting in journal.postings():
            if posting.side == "debit":
                debits_minor += posting.amount
            stream = account_stream(self.tenant_name, roles[posting.role])
            state = self.state(ledger_account.LedgerAccount, stream)
            self.emit(
                stream,
                ledger_account.post(state, transaction, side=posting.side, amount_minor=posting.amount),
            )
        tenant.check_amount(school, debits_minor)

    def allocate_number(
        self, name: str, *, kind: series.DocumentKind, document: str, amount_minor: int, currency: str
    ) -> str:
        """Allocate the next number of a series to a document."""
        stream = series_stream(self.tenant_name, name)
        event = series.allocate(
            self.state(series.Series, stream),
            year=self.today().year,
            document=document,
            kind=kind,
            amount_minor=amount_minor,
            currency=currency,
            recorded_at=self.recorded_at,
        )
        self.emit(stream, event)
        return event.number

    def allocate_receipt(self, kind: series.DocumentKind, *, amount_minor: int, currency: str) -> str:
        """Allocate the number of this transaction's receipt."""
        return self.allocate_number(
            "receipt", kind=kind, document=self.command_id, amount_minor=amount_minor, currency=currency
        )

    def claim(
        self,
        transaction: Transaction,
        *,
        provider: str,
        reference: str | None,
        amount_minor: int,
        account: WalletId | None = None,
    ) -> None:
        """Claim a provider's reference, where the tender has one that can be claimed, for the wallet that is credited."""
        if reference is None:
            provider_receipt.check_unnamed(provider, card_reference=self.tenant().policies.card_reference)
            return
        if provider not in provider_receipt.PROVIDERS:
            return
        stream = provider_receipt_stream(self.tenant_name, provider, reference)
        state = self.state(provider_receipt.ProviderReceipt, stream)
        self.emit(
            stream,
            provider_receipt.claim(
                state,
                transaction,
                provider=provider,
                reference=reference,
                amount_minor=amount_minor,
                account=account,
                may_read=Capability.WALLET_READ in self.caller.capabilities,
            ),
        )

    def receipt(self, number: str) -> ReceiptView:
        """The receipt as answers show it."""
        return ReceiptView(number, self.receipts.qr(self.tenant_name, number))


@lru_cache(maxsize=64)
def _local_date(time_zone: str, at: datetime) -> date:
    return at.astimezone(ZoneInfo(time_zone)).date()
