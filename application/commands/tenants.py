"""Tenant administration: register, features, keys. Operators give these at the command line."""

from datetime import date, datetime
from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from application.commands.fields import BRANCH_PATTERN, COUNTRY_PATTERN, SHA256_PATTERN, Text
from application.pipeline.command import Command, CommandSpec
from application.pipeline.unit_of_work import UnitOfWork
from domain import ledger_account, series, tenant
from domain.calendar import MAX_BACKDATE_DAYS
from domain.capability import Capability
from domain.chart import country
from domain.errors import Code, DomainError
from domain.ids import AccountCode, Name, account_stream, series_stream, tenant_stream
from domain.tenant import MAX_HOLD_HOURS, MAX_LARGEST_AMOUNT_MINOR

_SERIES = (("receipt", "RCT"), ("invoice", "INV"))


class RegisterTenant(Command, frozen=True, kw_only=True):
    """Register a school with the chart of accounts of its country.

    `time_zone` is of the IANA database, the country's first one without it; `branch` stands in the numbers of
    its documents; `tax_registered_from` is the first day on which it charges tax, never without it.
    """

    uppercase: ClassVar = ("branch",)
    country: Annotated[str, Meta(pattern=COUNTRY_PATTERN)]
    legal_name: Text
    time_zone: Text | None = None
    branch: Annotated[str, Meta(pattern=BRANCH_PATTERN)] | None = None
    tax_registered_from: date | None = None


class SetFeature(Command, frozen=True, kw_only=True):
    """Turn a feature on or off; off, its routes answer 404 `feature_disabled`."""

    feature: Text
    enabled: bool


class CreateKey(Command, frozen=True, kw_only=True):
    """Give a client a key of a role. Only the key's hash is stored."""

    uppercase: ClassVar = ("client",)
    client: Name
    prefix: Text
    key_hash: Annotated[str, Meta(pattern=SHA256_PATTERN)]
    role: Text
    expires_at: datetime | None = None


class RevokeKey(Command, frozen=True, kw_only=True):
    """Revoke a key by its prefix."""

    prefix: Text


class SetPolicies(Command, frozen=True, kw_only=True):
    """Set those of a school's policies that are given.

    `largest_amount` is the most that one command may move or bill, in minor units; `card_reference` says whether money
    by card must name its reference; `backdate_days` is how many days before today `transaction.backdate` reaches;
    `hold_hours` is after how many hours a hold expires that says nothing else.
    """

    largest_amount: Annotated[int, Meta(ge=1, le=MAX_LARGEST_AMOUNT_MINOR)] | None = None
    card_reference: bool | None = None
    backdate_days: Annotated[int, Meta(ge=0, le=MAX_BACKDATE_DAYS)] | None = None
    hold_hours: Annotated[int, Meta(ge=1, le=MAX_HOLD_HOURS)] | None = None


# --- answers


class TenantAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A registered school."""

    tenant: str
    country: str
    currency: str


class FeatureAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A feature as it is now."""

    feature: str
    enabled: bool


class KeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without its secret."""

    prefix: str


class PoliciesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The policies as they are now."""

    largest_amount: int
    card_reference: bool
    backdate_days: int
    hold_hours: int


# --- handlers


def handle_register(command: RegisterTenant, unit: UnitOfWork) -> TenantAnswer:
    template = country(command.country)
    name = unit.tenant_name
    time_zone = command.time_zone or template.time_zone
    _check_time_zone(time_zone)
    branch = command.branch or ""
    roles = {account.role: AccountCode(account.code) for account in template.accounts}
    for event in tenant.register(
        unit.tenant(),
        tenant=name,
        country=command.country,
        currency=template.currency,
        time_zone=time_zone,
        branch=branch,
        legal_name=command.legal_name,
        roles=roles,
        recorded_at=unit.recorded_at,
        tax_registered_from=command.tax_registered_from,
    ):
        unit.emit(tenant_stream(name), event)
    for account in template.accounts:
        stream = account_stream(name, roles[account.role])
        opened = ledger_account.open_account(
            unit.state(ledger_account.LedgerAccount, stream),
            account_code=roles[account.role],
            name=account.name,
            type=account.type,
            role=account.role,
            currency=template.currency,
            recorded_at=unit.recorded_at,
        )
        unit.emit(stream, opened)
    for series_name, prefix in _SERIES:
        policy = series.set_policy(
            series=series_name,
            prefix=prefix,
            branch=branch,
            width=6,
            yearly=True,
            recorded_at=unit.recorded_at,
        )
        unit.emit(series_stream(name, series_name), policy)
    return TenantAnswer(tenant=name, country=command.country, currency=template.currency)


def _check_time_zone(name: str) -> None:
    """Refuse what the IANA database does not hold (`unknown_time_zone`)."""
    try:
        ZoneInfo(name)
    except (ValueError, KeyError, OSError):  # no such file, no such name, or a folder
        raise DomainError(
            Code.UNKNOWN_TIME_ZONE, f"There is no time zone {name!r}; one is America/Vancouver."
        ) from None


def handle_feature(command: SetFeature, unit: UnitOfWork) -> FeatureAnswer:
    state = unit.tenant()
    tenant.check_exists(state, unit.tenant_name)
    event = tenant.set_feature(
        state, feature=command.feature, enabled=command.enabled, recorded_at=unit.recorded_at
    )
    if event:
        unit.emit(tenant_stream(unit.tenant_name), event)
    return FeatureAnswer(feature=command.feature, enabled=command.enabled)


def handle_policies(command: SetPolicies, unit: UnitOfWork) -> PoliciesAnswer:
    state = unit.tenant()
    tenant.check_exists(state, unit.tenant_name)
    event = tenant.set_policies(
        state,
        largest_amount_minor=command.largest_amount,
        card_reference=command.card_reference,
        backdate_days=command.backdate_days,
        hold_hours=command.hold_hours,
        recorded_at=unit.recorded_at,
    )
    if event:
        unit.emit(tenant_stream(unit.tenant_name), event)
    policies = unit.tenant().policies
    return PoliciesAnswer(
        largest_amount=policies.largest_amount_minor,
        card_reference=policies.card_reference,
        backdate_days=policies.backdate_days,
        hold_hours=policies.hold_hours,
    )


def handle_create_key(command: CreateKey, unit: UnitOfWork) -> KeyAnswer:
    state = unit.tenant()
    tenant.check_exists(state, unit.tenant_name)
    for event in tenant.add_key(
        state,
        client=command.client,
        prefix=command.prefix,
        key_hash=command.key_hash,
        role=command.role,
        expires_at=command.expires_at,
        recorded_at=unit.recorded_at,
    ):
        unit.emit(tenant_stream(unit.tenant_name), event)
    return KeyAnswer(prefix=command.prefix)


def handle_revoke_key(command: RevokeKey, unit: UnitOfWork) -> KeyAnswer:
    event = tenant.revoke_key(unit.tenant(), prefix=command.prefix, recorded_at=unit.recorded_at)
    unit.emit(tenant_stream(unit.tenant_name), event)
    return KeyAnswer(prefix=command.prefix)


SPECS = (
    CommandSpec(
        action="tenant.register",
        command_type=RegisterTenant,
        handler=handle_register,
        answer_type=TenantAnswer,
        capability=Capability.ACCOUNT_MANAGE,
    ),
    CommandSpec(
        action="tenant.feature",
        command_type=SetFeature,
        handler=handle_feature,
        answer_type=FeatureAnswer,
        capability=Capability.FLAG_SET,
        status=200,
    ),
    CommandSpec(
        action="tenant.policies",
        command_type=SetPolicies,
        handler=handle_policies,
        answer_type=PoliciesAnswer,
        capability=Capability.FLAG_SET,
        status=200,
    ),
    CommandSpec(
        action="key.create",
        command_type=CreateKey,
        handler=handle_create_key,
        answer_type=KeyAnswer,
        capability=Capability.KEY_MANAGE,
    ),
    CommandSpec(
        action="key.revoke",
        command_type=RevokeKey,
        handler=handle_revoke_key,
        answer_type=KeyAnswer,
        capability=Capability.KEY_MANAGE,
        status=200,
    ),
)
