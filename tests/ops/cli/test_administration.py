"""Schools and keys at the command line: what is asked for wrongly, registered, listed, revoked."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import typer
from typer.testing import CliRunner

from domain.capability import ROLES
from domain.chart import COUNTRIES
from ops.cli import administration
from ops.cli.main import app
from tests.support.service import Service, fresh_name
from tests.support.shell import Shell


def school() -> str:
    return fresh_name("s").lower()


# --- what is asked for wrongly
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["tenant", "register", "X", "--country", "KE"], "lower-case letters"),
        (["tenant", "register", "x1", "--country", "UG"], "'UG' is not one of 'KE', 'CA'"),
        (["tenant", "register", "x1", "--country", "CA", "--time-zone", "Vancouver"], "America/Vancouver"),
        (["tenant", "register", "x1", "--country", "CA", "--time-zone", "../etc"], "America/Vancouver"),
        (["tenant", "register", "x1", "--country", "CA", "--time-zone", "America"], "America/Vancouver"),
        (["tenant", "feature", "x1", "FINANCE_V3", "on"], "'FINANCE_V3' is not one of 'FINANCE_V2'"),
        (["tenant", "feature", "x1", "FINANCE_V2", "maybe"], "'maybe' is not one of 'on', 'off'"),
        (
            ["key", "create", "--tenant", "x", "--client", "y", "--role", "boss"],
            "'boss' is not one of 'admin'",
        ),
        (
            [
                "key",
                "create",
                "--tenant",
                "x",
                "--client",
                "y",
                "--role",
                "ops",
                "--expires-at",
                "2001-02-03",
            ],
            "2001-02-03T00:00:00+00:00 has passed",
        ),
        (
            [
                "key",
                "create",
                "--tenant",
                "x",
                "--client",
                "y",
                "--role",
                "ops",
                "--expires-at",
                "2999-01-01",
                "--expires-in-days",
                "3",
            ],
            "give one",
        ),
    ],
)
def test_what_is_asked_for_wrongly(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"})
    assert result.exit_code == 2
    assert told in " ".join(result.output.replace("│", " ").split())


def test_a_registration_has_only_the_fields_that_were_given() -> None:
    plain = administration.registration(country="CA", legal_name="X", time_zone=None, branch=None)
    assert plain == {"country": "CA", "legal_name": "X"}
    whole = administration.registration(
        country="CA", legal_name="X", time_zone="America/Vancouver", branch="W"
    )
    assert whole == {**plain, "time_zone": "America/Vancouver", "branch": "W"}
    with pytest.raises(typer.BadParameter, match="Vancouver"):
        administration.registration(country="CA", legal_name="X", time_zone="Pacific/Vancouver", branch=None)


# --- schools and keys


def test_what_a_school_or_a_client_cannot_have_is_said_in_words(operator: Shell) -> None:
    register = ("tenant", "register", school(), "--country", "CA")
    _, told = operator.run(*register, "--branch", "WEST", code=2)
    assert told == "bursar: --branch: Give one or two letters or digits.\n"
    _, told = operator.run(*register, "--legal-name", "a\tb", "--branch", "é", code=2)
    assert "--legal-name: Give one line of text" in told
    assert "--branch: Give one or two letters or digits." in told
    create = ("key", "create", "--tenant", "greenhill", "--role", "cashier", "--client", "a b")
    _, told = operator.run(*create, code=2)
    assert told.startswith("bursar: --client: Give an id of at most 40 letters")


def test_policies_are_set_and_shown(operator: Shell) -> None:
    name = school()
    operator.facts("tenant", "register", name, "--country", "CA")
    default = {
        "tenant": name,
        "largest_amount": 10**10,
        "card_reference": False,
        "backdate_days": 31,
        "hold_hours": 168,
    }
    assert operator.facts("tenant", "policy", name) == default
    changed = operator.facts(
        "tenant", "policy", name, "--largest-amount", "500", "--card-reference", "required"
    )
    assert changed == default | {"largest_amount": 500, "card_reference": True}
    told, _ = operator.run("tenant", "policy", name, "--card-reference", "optional", "--backdate-days", "7")
    assert told == (
        "largest amount: 500 minor units\ncard reference: optional\ndated back: up to 7 days\n"
        "holds expire: after 168 hours\n"
    )
    assert operator.facts("tenant", "policy", name, "--hold-hours", "24")["hold_hours"] == 24
    operator.run("tenant", "policy", name, "--hold-hours", "0", code=2)
    operator.run("tenant", "policy", name, "--backdate-days", "32", code=2)
    operator.run("tenant", "policy", name, "--largest-amount", str(10**13), code=2)
    operator.run("tenant", "policy", "nowhere", "--largest-amount", "5", code=1)


def test_schools_and_keys_from_registration_to_revocation(operator: Shell) -> None:
    name = school()
    made = operator.facts("tenant", "register", name, "--country", "CA", "--legal-name", "Far School")
    assert made == {"tenant": name, "country": "CA", "currency": "CAD"}
    _, told = operator.run("tenant", "register", name, "--country", "CA", code=1)
    assert told.endswith("(tenant_exists)\n")
    [row] = [row for row in operator.facts("tenant", "list") if row["tenant"] == name]
    assert (row["legal_name"], row["time_zone"], row["features"]) == (
        "Far School",
        COUNTRIES["CA"].time_zone,
        ["FINANCE_V2"],
    )

    off = operator.facts("tenant", "feature", name, "FINANCE_V2", "off")
    assert off == {"tenant": name, "feature": "FINANCE_V2", "enabled": False}
    out, _ = operator.run("tenant", "list")
    assert re.search(rf"^{name} +Far School +CA +CAD +America/Toronto$", out, re.MULTILINE)

    create = ("key", "create", "--tenant", name, "--client", "till-1")
    first = operator.facts(*create, "--role", "cashier", "--expires-in-days", "2")
    out, _ = operator.run(*create, "--role", "ops", "--expires-at", "2999-12-31T18:00:00+03:00")
    second = out.splitlines()[-1]
    assert first["prefix"] == first["key"][:11]
    left = datetime.fromisoformat(first["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=1) < left <= timedelta(days=2)
    keys = operator.facts("key", "list", "--tenant", name)
    assert [(key["prefix"], key["client"], key["role"], key["status"]) for key in keys] == [
        (first["prefix"], "TILL-1", "cashier", "live"),
        (second[:11], "TILL-1", "ops", "live"),
    ]
    assert keys[1]["expires_at"] == "2999-12-31T15:00:00Z"
    assert set(keys[0]["capabilities"]) == ROLES["cashier"]

    assert operator.facts("key", "revoke", first["prefix"]) == {"tenant": name, "prefix": first["prefix"]}
    _, told = operator.run("key", "revoke", first["prefix"], code=1)
    assert told == f"bursar: there is no live key {first['prefix']}\n"
    out, _ = operator.run("key", "list", "--tenant", name)
    assert [row.split()[4] for row in out.splitlines()] == ["STATUS", "revoked", "live"]


def test_no_hash_and_no_key_is_listed(operator: Shell, service: Service) -> None:
    for arguments in (("key", "list"), ("key", "list", "--json")):
        out, _ = operator.run(*arguments)
        assert service.keys["admin"][:11] in out
        assert service.keys["admin"][:12] not in out
        assert "hash" not in out
        assert not re.search(r"[0-9a-f]{40}", out)


def test_a_client_that_has_no_name(operator: Shell) -> None:
    _, told = operator.run(
        "key", "create", "--tenant", "greenhill", "--client", "a b", "--role", "ops", code=2
    )
    assert told.startswith("bursar: ")
    assert "client" in told
    assert len(told.splitlines()) == 1


def test_keys_of_a_school_that_does_not_exist(operator: Shell) -> None:
    assert (
        operator.run("key", "list", "--tenant", "nobody", code=1)[1] == "bursar: there is no school nobody\n"
    )
