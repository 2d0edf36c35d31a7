"""The feed's side of the exporter: each message's documents are put into the registry, nothing is sent.

It acts on events, whatever command they come from: an approval, a bulk or an import may lead to the same ones.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from psycopg import Connection

from adapters.quickbooks.mapping.canonical import canonical
from adapters.quickbooks.mapping.document import Document
from adapters.quickbooks.mapping.documents import DOCUMENTED, ITEM_ROLES, documents
from adapters.quickbooks.registry import batches, counts, jobs, names, tenants
from adapters.quickbooks.registry.rows import columns, select
from adapters.quickbooks.settings import QuickBooksSettings
from application.feed.message import Message
from application.feed.port import PoisonError
from domain.aggregates import TOPICS
from domain.event import Event
from domain.export_batch import ExportRequested
from domain.ledger_account import AccountOpened
from domain.tenant import ChartMapped, TenantRegistered

Handler = Callable[[Connection[Any], Sequence[Message]], None]

_CHANNEL: Final = "quickbooks"
_CONCERNING: Final = DOCUMENTED | {
    event.topic for event in (TenantRegistered, ChartMapped, AccountOpened, ExportRequested)
}


def handler(settings: QuickBooksSettings) -> Handler:
    """Make the feed's handler: it registers what messages bring, in the caller's transaction."""

    def handle(connection: Connection[Any], messages: Sequence[Message]) -> None:
        _Registration(connection, settings).register(messages)

    return handle


class _Registration:
    """One run of messages. Rows are collected and inserted together; all inserts bear repetition."""

    def __init__(self, connection: Connection[Any], settings: QuickBooksSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._tenants: dict[str, tenants.Tenant] = {}
        self._names: dict[tuple[str, str, str], names.NewName] = {}
        self._jobs: dict[tuple[str, str, str, int], jobs.NewJob] = {}
        self._requests: list[tuple[Message, ExportRequested]] = []

    def register(self, messages: Sequence[Message]) -> None:
        """Raises `PoisonError` for a message that this version cannot register."""
        concerned = sorted({message.tenant for message in messages})
        for tenant in select(self._connection, tenants.Tenant, tenants.LOCK, tenants=concerned):
            self._tenants[tenant.tenant] = tenant
        for message in messages:
            try:
                for public in message.events:
                    if public.type in _CONCERNING or public.type not in TOPICS:  # then reading it raises
                        self._take(message, public.event())
            except (KeyError, msgspec.DecodeError) as error:  # an event or a tenant unknown to us
                raise PoisonError(message.position, f"{type(error).__name__}: {error}") from error
        self._insert()

    def _take(self, message: Message, event: Event) -> None:
        match event:
            case TenantRegistered():
                self._add_tenant(message, event)
            case ChartMapped():
                self._map_chart(message, event)
            case AccountOpened():
                self._add_account(message, event)
            case ExportRequested(channel=channel):
                if channel == _CHANNEL:
                    self._requests.append((message, event))
            case _:
                self._add_documents(message, event)

    # --- the school, its chart and its accounts

    def _add_tenant(self, message: Message, event: TenantRegistered) -> None:
        if message.tenant in self._tenants:
            return
        realm = self._settings.realm_for(message.tenant)
        taxed = event.tax_registered_from is not None
        self._tenants[message.tenant] = tenants.Tenant(
            tenant=message.tenant, realm=realm, chart={}, taxed=taxed
        )
        self._connection.execute(
            tenants.INSERT,
            {
                "tenant": message.tenant,
                "realm": realm,
                "name": event.legal_name or event.tenant,
                "country": event.country,
                "currency": event.currency,
                "taxed": taxed,
            },
        )

    def _map_chart(self, message: Message, event: ChartMapped) -> None:
        tenant = msgspec.structs.replace(self._tenants[message.tenant], chart=event.roles)
        self._tenants[message.tenant] = tenant
        self._connection.execute(
            tenants.SET_CHART,
            {"tenant": tenant.tenant, "chart": msgspec.json.encode(event.roles).decode()},
        )
        for role, account_code in event.roles.items():
            if role in ITEM_ROLES:
                self._add_name(tenant, "Item", account_code)

    def _add_account(self, message: Message, event: AccountOpened) -> None:
        tenant = self._tenants[message.tenant]
        account = names.LedgerAccount(name=event.name, type=event.type, role=event.role)
        self._add_name(tenant, "Account", event.code, msgspec.json.encode(account).decode())
        if event.role in ITEM_ROLES:
            self._add_name(tenant, "Item", event.code)

    def _add_name(self, tenant: tenants.Tenant, kind: str, key: str, attributes: str = "{}") -> None:
        self._names.setdefault(
            (tenant.tenant, kind, key),
            names.NewName(
                tenant=tenant.tenant, realm=tenant.realm, kind=kind, key=key, attributes=attributes
            ),
        )

    # --- documents

    def _add_documents(self, message: Message, event: Event) -> None:
        tenant = self._tenants[message.tenant]
        for document in documents(event, tenant.chart, taxed=tenant.taxed):
            job = _job(message, tenant.realm, document)
            known = self._jobs.setdefault((job.tenant, job.kind, job.source_id, job.version), job)
            if known != job:  # inserting would pass over one of them in silence
                reason = f"{job.kind} {known.number} and {job.number} are both of source {job.source_id}."
                raise PoisonError(message.position, reason)
            if document.customer is not None:
                self._add_name(tenant, "Customer", document.customer)

    def _insert(self) -> None:
        if self._names:
            self._connection.execute(names.INSERT, columns(names.NewName, [*self._names.values()]))
        if self._jobs:
            self._connection.execute(jobs.INSERT, columns(jobs.NewJob, [*self._jobs.values()]))
        for message, request in self._requests:
            self._add_export_batch(message, request)

    def _add_export_batch(self, message: Message, request: ExportRequested) -> None:
        """A new request also lifts a pause: a person has acted."""
        of_tenant = {"tenant": message.tenant}
        batch = {**of_tenant, "batch_id": request.batch, "position": message.position}
        new = self._connection.execute(batches.INSERT, {**batch, "requested_at": request.recorded_at})
        if new.rowcount:
            self._connection.execute(counts.COUNT, batch)
            self._connection.execute(counts.SET_COVERED, batch)
        self._connection.execute(tenants.LIFT_PAUSE, of_tenant)
        self._connection.execute(batches.NOTIFY, of_tenant)


def _job(message: Message, realm: str, document: Document) -> jobs.NewJob:
    return jobs.NewJob(
        tenant=message.tenant,
        realm=realm,
        kind=document.kind,
        source_id=document.source_id,
        version=document.version,
        position=message.position,
        number=document.number,
        effective_date=document.effective_date,
        amount_minor=document.amount_minor,
        currency=document.currency,
        customer=document.customer,
        invoice=document.invoice,
        credit_memo=document.credit_memo,
        template=canonical(document.template),
    )
