from datetime import timedelta
from typing import Any

import pytest

from domain import tenant
from domain.capability import CAPABILITIES, ROLES
from domain.errors import Code, DomainError
from domain.tenant import (
    ChartMapped,
    ClientAdded,
    FeatureSet,
    Key,
    KeyAdded,
    KeyRevoked,
    Policies,
    PoliciesSet,
    Tenant,
    TenantRegistered,
)
from tests.support.given import AT, fold, given

STREAM = "greenhill/tenant"
SCHOOL: dict[str, Any] = {
    "tenant": "greenhill",
    "country": "KE",
    "currency": "KES",
    "time_zone": "Africa/Nairobi",
    "branch": "",
    "legal_name": "Greenhill Academy",
}
REGISTERED = TenantRegistered(**SCHOOL, recorded_at=AT)
MAPPED = ChartMapped(roles={"till_cash": "1000"}, recorded_at=AT)
ON = FeatureSet(feature="FINANCE_V2", enabled=True, recorded_at=AT)
OFF = FeatureSet(feature="FINANCE_V2", enabled=False, recorded_at=AT)
CLIENT = ClientAdded(client="TILL", recorded_at=AT)


def key_added(prefix: str = "bk_1", expires_at: Any = None) -> KeyAdded:
    return KeyAdded(
        client="TILL",
        prefix=prefix,
        key_hash="0" * 64,
        role="cashier",
        capabilities=tuple(sorted(ROLES["cashier"])),
        expires_at=expires_at,
        recorded_at=AT,
    )


def register(state: Tenant) -> Any:
    return tenant.register(state, **SCHOOL, roles={"till_cash": "1000"}, recorded_at=AT)


def set_feature(feature: str, enabled: bool) -> Any:
    return lambda state: tenant.set_feature(state, feature=feature, enabled=enabled, recorded_at=AT)


def add_key(prefix: str = "bk_1", role: str = "cashier", expires_at: Any = None) -> Any:
    return lambda state: tenant.add_key(
        state,
        client="TILL",
        prefix=prefix,
        key_hash="0" * 64,
        role=role,
        expires_at=expires_at,
        recorded_at=AT,
    )


def revoke(prefix: str) -> Any:
    return lambda state: tenant.revoke_key(state, prefix=prefix, recorded_at=AT)


def test_a_school_registers_once_with_its_ledger_on() -> None:
    given(STREAM).when(register).then(
        REGISTERED, MAPPED, ON, **SCHOOL, roles={"till_cash": "1000"}, features=frozenset({"FINANCE_V2"})
    )
    given(STREAM, REGISTERED).when(register).then_refused(Code.TENANT_EXISTS, tenant="greenhill")


def test_a_feature_is_set_only_where_it_changes() -> None:
    given(STREAM, REGISTERED, ON).when(set_feature("FINANCE_V2", False)).then(OFF, features=frozenset())
    given(STREAM, REGISTERED, ON).when(set_feature("FINANCE_V2", True)).then()
    given(STREAM, REGISTERED, OFF).when(set_feature("FINANCE_V2", False)).then()
    given(STREAM, REGISTERED).when(set_feature("FINANCE_V3", True)).then_refused(Code.UNKNOWN_FEATURE)


def test_a_client_is_added_with_its_first_key() -> None:
    live = Key(client="TILL", capabilities=ROLES["cashier"], expires_at=None)
    given(STREAM, REGISTERED).when(add_key()).then(
        CLIENT, key_added(), clients=frozenset({"TILL"}), keys={"bk_1": live}
    )
    given(STREAM, REGISTERED, CLIENT, key_added()).when(add_key("bk_2")).then(
        key_added("bk_2"), clients=frozenset({"TILL"}), keys={"bk_1": live, "bk_2": live}
    )


def test_a_key_needs_a_prefix_of_its_own_and_a_role_that_is_there() -> None:
    given(STREAM, REGISTERED, CLIENT, key_added()).when(add_key()).then_refused(Code.KEY_EXISTS)
    given(STREAM, REGISTERED).when(add_key(role="king")).then_refused(
        Code.UNKNOWN_ROLE, f"There is no role 'king'; use one of {', '.join(sorted(ROLES))}."
    )


def test_a_key_may_be_added_for_a_time() -> None:
    end = AT + timedelta(days=1)
    given(STREAM, REGISTERED, CLIENT).when(add_key(expires_at=end)).then(
        key_added(expires_at=end),
        keys={"bk_1": Key(client="TILL", capabilities=ROLES["cashier"], expires_at=end)},
    )


def test_a_revoked_key_is_gone_and_its_client_stays() -> None:
    revoked = KeyRevoked(prefix="bk_1", recorded_at=AT)
    given(STREAM, REGISTERED, CLIENT, key_added()).when(revoke("bk_1")).then(
        revoked, keys={}, revoked=frozenset({"bk_1"}), clients=frozenset({"TILL"})
    )
    given(STREAM, REGISTERED, CLIENT, key_added(), revoked).when(add_key()).then_refused(Code.KEY_EXISTS)
    given(STREAM, REGISTERED, CLIENT, key_added(), revoked).when(revoke("bk_1")).then_refused(
        Code.KEY_NOT_FOUND
    )


@pytest.mark.parametrize(
    ("expires_in", "prefix", "allowed"),
    [(None, "bk_1", True), (1, "bk_1", True), (0, "bk_1", False), (-1, "bk_1", False), (None, "bk_2", False)],
)
def test_a_key_acts_until_it_expires(expires_in: int | None, prefix: str, allowed: bool) -> None:
    expires_at = None if expires_in is None else AT + timedelta(seconds=expires_in)
    state: Any = fold(STREAM, [REGISTERED, CLIENT, key_added(expires_at=expires_at)])
    if allowed:
        tenant.live_key(state, prefix=prefix, now=AT)
        return
    with pytest.raises(DomainError) as refusal:
        tenant.live_key(state, prefix=prefix, now=AT)
    assert refusal.value.code == Code.UNAUTHENTICATED
    assert refusal.value.detail == "The key was revoked or has expired."


def test_a_tenant_that_is_not_registered_is_not_found() -> None:
    given(STREAM).when(lambda state: tenant.check_exists(state, "greenhill")).then_refused(
        Code.TENANT_NOT_FOUND, tenant="greenhill"
    )
    given(STREAM, REGISTERED).when(lambda state: tenant.check_exists(state, "greenhill")).then()


def test_every_role_is_a_set_of_capabilities() -> None:
    for role, capabilities in ROLES.items():
        assert capabilities <= CAPABILITIES, role
    assert ROLES["admin"] == CAPABILITIES


def do_set_policies(**changes: Any) -> Any:
    names = ("largest_amount_minor", "card_reference", "backdate_days", "hold_hours")
    fields = {**dict.fromkeys(names), **changes}
    return lambda state: tenant.set_policies(state, **fields, recorded_at=AT)


def test_policies_that_are_not_given_stay_as_they_are() -> None:
    strict = PoliciesSet(largest_amount=500, card_reference=True, recorded_at=AT)
    given(STREAM, REGISTERED).when(do_set_policies(largest_amount_minor=500)).then(
        PoliciesSet(largest_amount=500, card_reference=False, recorded_at=AT),
        policies=Policies(largest_amount_minor=500),
    )
    given(STREAM, REGISTERED, strict).when(do_set_policies(card_reference=False)).then(
        PoliciesSet(largest_amount=500, card_reference=False, recorded_at=AT)
    )
    given(STREAM, REGISTERED, strict).when(do_set_policies(largest_amount_minor=10**10)).then(
        PoliciesSet(largest_amount=10**10, card_reference=True, recorded_at=AT)
    )
    given(STREAM, REGISTERED, strict).when(do_set_policies(backdate_days=0)).then(
        PoliciesSet(largest_amount=500, card_reference=True, backdate_days=0, recorded_at=AT),
        policies=Policies(largest_amount_minor=500, card_reference=True, backdate_days=0),
    )
    given(STREAM, REGISTERED, strict).when(do_set_policies(hold_hours=24)).then(
        PoliciesSet(largest_amount=500, card_reference=True, hold_hours=24, recorded_at=AT),
        policies=Policies(largest_amount_minor=500, card_reference=True, hold_hours=24),
    )
    given(STREAM, REGISTERED, strict).when(
        do_set_policies(largest_amount_minor=500, card_reference=True)
    ).then()
    given(STREAM, REGISTERED).when(do_set_policies()).then()


def test_a_command_moves_at_most_what_the_policy_says() -> None:
    state = Tenant(version=1, policies=Policies(largest_amount_minor=500))
    tenant.check_amount(state, 500)
    tenant.check_amount(Tenant(version=1), 10**10)
    for school, amount in ((state, 501), (Tenant(version=1), 10**10 + 1)):
        with pytest.raises(DomainError) as refusal:
            tenant.check_amount(school, amount)
        assert refusal.value.code == Code.AMOUNT_TOO_LARGE
        assert refusal.value.extra == {"largest_amount": amount - 1}
        assert (
            refusal.value.detail
            == f"A command moves or bills at most {amount - 1} minor units: the tenant's policy."
        )
