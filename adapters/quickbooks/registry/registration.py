"""The feed's side of the exporter: each message's documents are put into the registry, nothing is sent."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from psycopg import Connection

from adapters.quickbooks.mapping.documents import ITEM_ROLES, Document, canonical, documents
from adapters.quickbooks.registry import statements
from adapters.quickbooks.sending.setup import ItemOf, LedgerAccount
from adapters.quickbooks.settings import QuickBooksSettings
from application.feed.message import Message
from application.feed.port import PoisonError
from domain.event import Event
from domain.export_batch import ExportRequested
from domain.ledger_account import AccountOpened
from domain.tenant import ChartMapped, TenantRegistered

_E = TypeVar("_E", bound=Event)

Handler = Callable[[Connection[Any], Sequence[Message]], None]


class _Tenant(msgspec.Struct, kw_only=True):
    realm: str
    chart: dict[str, str]


def handler(settings: QuickBooksSettings) -> Handler:
    """Make the feed's handler: it registers what messages bring, in the caller's transaction."""

    def handle(connection: Connection[Any], messages: Sequence[Message]) -> None:
        _Registration(connection, settings, messages).run()

    return handle


class _Registration:
    """One run of messages. Rows are collected and inserted together; all inserts bear repetition."""

    def __init__(
        self, connection: Connection[Any], settings: QuickBooksSettings, messages: Sequence[Message]
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._messages = messages
        self._tenants: dict[str, _Tenant] = {}
        self._names: dict[tuple[str, str, str, str], bytes] = {}
        self._jobs: list[tuple[object, ...]] = []

    def run(self) -> None:
        names = sorted({message.tenant for message in self._messages})
        for tenant, realm, chart in self._connection.execute(statements.SELECT_TENANTS, (names,)):
            self._tenants[tenant] = _Tenant(realm=realm, chart=chart)
        requests: list[tuple[Message, ExportRequested]] = []
        for message in self._messages:
            try:
                if message.command == "tenant.register":
                    self._register_tenant(message)
                elif message.command == "quickbooks.export":
                    requests += [(message, event) for event in _events(message, ExportRequested)]
                elif message.transaction is not None:
                    self._add_documents(message)
            except (KeyError, msgspec.DecodeError) as error:  # an event, a role or a tenant unknown to us
                raise PoisonError(message.position, f"{type(error).__name__}: {error}") from error
        self._insert()
        for message, request in requests:
            self._register_batch(message, request)

    def _register_tenant(self, message: Message) -> None:
        registered = _events(message, TenantRegistered)[0]
        chart = _events(message, ChartMapped)[0].roles
        realm = self._settings.realm_for(message.tenant)
        self._tenants[message.tenant] = _Tenant(realm=realm, chart=chart)
        self._connection.execute(
            statements.INSERT_TENANT,
            (
                message.tenant,
                realm,
                registered.legal_name or registered.tenant,
                registered.country,
                registered.currency,
                msgspec.json.encode(chart).decode(),
            ),
        )
        for account in _events(message, AccountOpened):
            named = LedgerAccount(name=account.name, type=account.type, role=account.role)
            self._names[message.tenant, realm, "Account", account.code] = msgspec.json.encode(named)
            if account.role in ITEM_ROLES:
                item = ItemOf(name=f"{account.name} ({account.code})", account=account.code)
                self._names[message.tenant, realm, "Item", account.role] = msgspec.json.encode(item)

    def _add_documents(self, message: Message) -> None:
        tenant = self._tenants[message.tenant]
        for document in documents(message, tenant.chart):
            self._jobs.append(_row(message, tenant.realm, document))
            if document.customer is not None:
                self._names[message.tenant, tenant.realm, "Customer", document.customer] = b"{}"

    def _insert(self) -> None:
        if self._names:
            tenants, realms, kinds, keys = (list(column) for column in zip(*self._names, strict=True))
            attributes = [value.decode() for value in self._names.values()]
            self._connection.execute(statements.INSERT_NAMES, (tenants, realms, kinds, keys, attributes))
        if self._jobs:
            columns = [list(column) for column in zip(*self._jobs, strict=True)]
            self._connection.execute(statements.INSERT_JOBS, columns)

    def _register_batch(self, message: Message, request: ExportRequested) -> None:
        tenant = message.tenant
        self._connection.execute(
            statements.INSERT_BATCH, (request.batch, tenant, message.position, request.recorded_at)
        )
        for statement in (statements.LIFT_PAUSE, statements.FORGET_MAP_ERRORS, statements.RETRY_MAPPINGS):
            self._connection.execute(statement, (tenant,))
        self._connection.execute(statements.NOTIFY, (tenant,))


def _row(message: Message, realm: str, document: Document) -> tuple[object, ...]:
    return (
        message.tenant,
        realm,
        document.kind,
        document.source_id,
        message.position,
        document.number,
        document.effective_date,
        document.amount,
        document.currency,
        document.customer,
        document.invoice,
        document.credit_memo,
        canonical(document.template),
    )


def _events(message: Message, kind: type[_E]) -> list[_E]:
    events = (public.event() for public in message.events)
    return [event for event in events if isinstance(event, kind)]
