"""The tenant: a school, its chart, its features, its clients and their keys."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import ClassVar, Final, assert_never

import msgspec

from domain.calendar import MAX_BACKDATE_DAYS
from domain.capability import ROLES
from domain.chart import country
from domain.errors import Code, DomainError
from domain.event import Event, State, stored
from domain.ids import AccountCode
from domain.tax import TAX_ROLES, Component, DatedTaxCode, codes_of, with_rates

MAX_LARGEST_AMOUNT_MINOR: Final = 9_999_999_999_999
"""99,999,999,999.99, the most that QuickBooks takes as an amount, is the most that a policy may allow."""

HOLD_HOURS: Final = 168
"""After how many hours a hold expires that says nothing else, unless the policy does: a week."""

MAX_HOLD_HOURS: Final = 366 * 24
"""How far ahead a hold may expire."""

FEATURES: Final = frozenset({"FINANCE_V2"})

# --- events


@stored
class TenantRegistered(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.tenant.registered.v1"
    tenant: str
    country: str
    currency: str
    time_zone: str
    branch: str
    legal_name: str
    recorded_at: datetime
    tax_registered_from: date | None = None


@stored
class ChartMapped(Event, frozen=True, kw_only=True):
    """Which account code stands for which role."""

    topic: ClassVar[str] = "bursar.tenant.chart_mapped.v1"
    roles: dict[str, AccountCode]
    recorded_at: datetime


@stored
class FeatureSet(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.tenant.feature_set.v1"
    feature: str
    enabled: bool
    recorded_at: datetime


@stored
class ClientAdded(Event, frozen=True, kw_only=True):
    """A client has keys and outlives their rotation: its idempotency keys are its own."""

    topic: ClassVar[str] = "bursar.tenant.client_added.v1"
    client: str
    recorded_at: datetime


@stored
class KeyAdded(Event, frozen=True, kw_only=True):
    """`key_hash` is SHA-256 of the key in hex; the key itself is shown once and stored nowhere."""

    topic: ClassVar[str] = "bursar.tenant.key_added.v1"
    client: str
    prefix: str
    key_hash: str
    role: str
    capabilities: tuple[str, ...]
    expires_at: datetime | None
    recorded_at: datetime


@stored
class KeyRevoked(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.tenant.key_revoked.v1"
    prefix: str
    recorded_at: datetime


@stored
class PoliciesSet(Event, frozen=True, kw_only=True):
    """All policies as they are from now on; those that came later have what held before them."""

    topic: ClassVar[str] = "bursar.tenant.policies_set.v1"
    largest_amount: int
    card_reference: bool
    backdate_days: int = MAX_BACKDATE_DAYS
    hold_hours: int = HOLD_HOURS
    recorded_at: datetime


@stored
class TaxCodeSet(Event, frozen=True, kw_only=True):
    """A tax code as it is from now on, with all the rates that it had."""

    topic: ClassVar[str] = "bursar.tenant.tax_code_set.v1"
    code: str
    name: str
    components: tuple[Component, ...]
    recorded_at: datetime


TenantEvent = (
    TenantRegistered
    | ChartMapped
    | FeatureSet
    | ClientAdded
    | KeyAdded
    | KeyRevoked
    | PoliciesSet
    | TaxCodeSet
)

# --- state


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key that has not been revoked."""

    client: str
    capabilities: frozenset[str]
    expires_at: datetime | None


class Policies(msgspec.Struct, frozen=True, kw_only=True):
    """What a school has decided for itself.

    `largest_amount_minor` is the most that one command may move or bill; `card_reference` says whether money by card
    must name the terminal's reference; `backdate_days` is how many days before today `transaction.backdate` reaches;
    `hold_hours` is after how many hours a hold expires that says nothing else.
    """

    largest_amount_minor: int = 10**10
    card_reference: bool = False
    backdate_days: int = MAX_BACKDATE_DAYS
    hold_hours: int = HOLD_HOURS


class Tenant(State, kw_only=True):
    """`roles` maps a role to its account code; `keys` holds the live keys by prefix, `revoked` the
    prefixes that no key may ever have again; `tax_codes` those that are other than the country's template has them.
    """

    tenant: str = ""
    country: str = ""
    currency: str = ""
    time_zone: str = "UTC"
    branch: str = ""
    legal_name: str = ""
    tax_registered_from: date | None = None
    roles: dict[str, AccountCode] = msgspec.field(default_factory=dict)
    features: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()
    keys: dict[str, Key] = msgspec.field(default_factory=dict)
    revoked: frozenset[str] = frozenset()
    policies: Policies = Policies()
    tax_codes: dict[str, DatedTaxCode] = msgspec.field(default_factory=dict)


def evolve(state: Tenant, event: TenantEvent) -> None:
    match event:
        case TenantRegistered():
            state.tenant = event.tenant
            state.country = event.country
            state.currency = event.currency
            state.time_zone = event.time_zone
            state.branch = event.branch
            state.legal_name = event.legal_name
            state.tax_registered_from = event.tax_registered_from
        case ChartMapped():
            state.roles = event.roles
        case FeatureSet():
            state.features = (state.features - {event.feature}) | (
                {event.feature} if event.enabled else set()
            )
        case ClientAdded():
            state.clients = state.clients | {event.client}
        case KeyAdded():
            key = Key(
                client=event.client,
                capabilities=frozenset(event.capabilities),
                expires_at=event.expires_at,
            )
            state.keys = {**state.keys, event.prefix: key}
        case KeyRevoked():
            state.keys = {prefix: key for prefix, key in state.keys.items() if prefix != event.prefix}
            state.revoked = state.revoked | {event.prefix}
        case PoliciesSet():
            state.policies = Policies(
                largest_amount_minor=event.largest_amount,
                card_reference=event.card_reference,
                backdate_days=event.backdate_days,
                hold_hours=event.hold_hours,
            )
        case TaxCodeSet():
            changed = DatedTaxCode(code=event.code, name=event.name, components=event.components)
            state.tax_codes = {**state.tax_codes, event.code: changed}
        case _:
            assert_never(event)


# --- decisions


def check_exists(state: Tenant, tenant: str) -> None:
    """Refuse a tenant that is not registered (`tenant_not_found`)."""
    if not state.version:
        raise DomainError(Code.TENANT_NOT_FOUND, f"There is no tenant {tenant}.", tenant=tenant)


def register(
    state: Tenant,
    *,
    tenant: str,
    country: str,
    currency: str,
    time_zone: str,
    branch: str,
    legal_name: str,
    roles: dict[str, AccountCode],
    recorded_at: datetime,
    tax_registered_from: date | None = None,
) -> list[Event]:
    """Register a school with its chart; its ledger is on at once."""
    if state.version:
        raise DomainError(Code.TENANT_EXISTS, f"Tenant {tenant} is already registered.", tenant=tenant)
    return [
        TenantRegistered(
            tenant=tenant,
            country=country,
            currency=currency,
            time_zone=time_zone,
            branch=branch,
            legal_name=legal_name,
            recorded_at=recorded_at,
            tax_registered_from=tax_registered_from,
        ),
        ChartMapped(roles=roles, recorded_at=recorded_at),
        FeatureSet(feature="FINANCE_V2", enabled=True, recorded_at=recorded_at),
    ]


def set_feature(state: Tenant, *, feature: str, enabled: bool, recorded_at: datetime) -> FeatureSet | None:
    """Set a feature; nothing happens where it already is as asked."""
    if feature not in FEATURES:
        raise DomainError(Code.UNKNOWN_FEATURE, f"There is no feature {feature!r}.")
    if (feature in state.features) == enabled:
        return None
    return FeatureSet(feature=feature, enabled=enabled, recorded_at=recorded_at)


def set_policies(
    state: Tenant,
    *,
    largest_amount_minor: int | None,
    card_reference: bool | None,
    backdate_days: int | None,
    hold_hours: int | None,
    recorded_at: datetime,
) -> PoliciesSet | None:
    """Set those policies that are given; nothing happens where all are already as asked."""
    given = {
        "largest_amount_minor": largest_amount_minor,
        "card_reference": card_reference,
        "backdate_days": backdate_days,
        "hold_hours": hold_hours,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    policies = msgspec.structs.replace(state.policies, **changes)
    if policies == state.policies:
        return None
    return PoliciesSet(
        largest_amount=policies.largest_amount_minor,
        card_reference=policies.card_reference,
        backdate_days=policies.backdate_days,
        hold_hours=policies.hold_hours,
        recorded_at=recorded_at,
    )


def check_amount(state: Tenant, amount_minor: int) -> None:
    """Refuse what exceeds the tenant's largest amount (`amount_too_large`)."""
    largest_minor = state.policies.largest_amount_minor
    if amount_minor > largest_minor:
        raise DomainError(
            Code.AMOUNT_TOO_LARGE,
            f"A command moves or bills at most {largest_minor} minor units: the tenant's policy.",
            largest_amount=largest_minor,
        )


def check_tax_registered(state: Tenant, on: date) -> None:
    """Refuse a taxed code before the school is registered for tax (`not_tax_registered`)."""
    registered_from = state.tax_registered_from
    if registered_from is None:
        raise DomainError(Code.NOT_TAX_REGISTERED, "The school is not registered for tax.")
    if on < registered_from:
        raise DomainError(
            Code.NOT_TAX_REGISTERED,
            f"The school is registered for tax from {registered_from}, not on {on}.",
            registered_from=registered_from.isoformat(),
        )


def set_tax_code(
    state: Tenant,
    *,
    code: str,
    name: str,
    components: Sequence[Component],
    from_: date,
    recorded_at: datetime,
) -> TaxCodeSet | None:
    """Give a code other rates from a day on; nothing happens where it already is as asked.

    Refused is a role that is not the tax's own, or that the country's chart does not have (`unknown_tax_role`).
    """
    chart = {account.role for account in country(state.country).accounts}
    for component in components:
        if component.role not in chart or component.role != TAX_ROLES[component.name]:
            raise DomainError(
                Code.UNKNOWN_TAX_ROLE,
                f"{component.role!r} is not a role of {component.name} in this country.",
            )
    before = {tax_code.code: tax_code for tax_code in codes_of(state.country, state.tax_codes)}.get(code)
    changed = with_rates(before, code=code, name=name, components=components, from_=from_)
    if changed == before:
        return None
    return TaxCodeSet(code=code, name=name, components=changed.components, recorded_at=recorded_at)


def map_role(state: Tenant, *, role: str, account_code: AccountCode, recorded_at: datetime) -> ChartMapped:
    """Give a role that the chart does not have its account."""
    assert role not in state.roles
    return ChartMapped(roles={**state.roles, role: account_code}, recorded_at=recorded_at)


def add_key(
    state: Tenant,
    *,
    client: str,
    prefix: str,
    key_hash: str,
    role: str,
    expires_at: datetime | None,
    recorded_at: datetime,
) -> list[Event]:
    """Add a key of a role to a client, and the client where it is new."""
    if role not in ROLES:
        raise DomainError(
            Code.UNKNOWN_ROLE, f"There is no role {role!r}; use one of {', '.join(sorted(ROLES))}."
        )
    if prefix in state.keys or prefix in state.revoked:
        raise DomainError(Code.KEY_EXISTS, f"There is already a key {prefix}.")
    key = KeyAdded(
        client=client,
        prefix=prefix,
        key_hash=key_hash,
        role=role,
        capabilities=tuple(sorted(ROLES[role])),
        expires_at=expires_at,
        recorded_at=recorded_at,
    )
    return [key] if client in state.clients else [ClientAdded(client=client, recorded_at=recorded_at), key]


def revoke_key(state: Tenant, *, prefix: str, recorded_at: datetime) -> KeyRevoked:
    if prefix not in state.keys:
        raise DomainError(Code.KEY_NOT_FOUND, f"There is no key {prefix}.")
    return KeyRevoked(prefix=prefix, recorded_at=recorded_at)


def live_key(state: Tenant, *, prefix: str, now: datetime) -> Key:
    """The key as it is at the very place where it acts; refused if revoked or expired (`unauthenticated`)."""
    key = state.keys.get(prefix)
    if key is None or (key.expires_at is not None and key.expires_at <= now):
        raise DomainError(Code.UNAUTHENTICATED, "The key was revoked or has expired.")
    return key
