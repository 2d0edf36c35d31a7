"""The operator's commands: the schema, schools and their features, API keys."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typer

from domain.calendar import MAX_BACKDATE_DAYS
from domain.capability import ROLES
from domain.chart import COUNTRIES
from domain.ids import TENANT_PATTERN
from domain.tenant import FEATURES, MAX_HOLD_HOURS, MAX_LARGEST_AMOUNT_MINOR
from ops.cli.connection import DataOption, settings_for
from ops.cli.output import NOT_ALL, USAGE, JsonOption, fail, print_json, print_table

if TYPE_CHECKING:  # for who checks types a choice is text; the command line shows, completes and checks it
    from application.pipeline.command import Outcome
    from ops.settings import Settings

    Role = str
    Country = str
    Feature = str
else:
    Role = Literal[tuple(ROLES)]
    Country = Literal[tuple(COUNTRIES)]
    Feature = Literal[tuple(sorted(FEATURES))]

tenant_app = typer.Typer(help="Schools.", no_args_is_help=True)
key_app = typer.Typer(help="API keys.", no_args_is_help=True)

_OPERATOR = ("writer_database_url", "reader_database_url")  # to give a command, and to see it projected


def migrate(data: DataOption = None, json: JsonOption = False) -> None:
    """Bring the schema up to date; with all role URLs in the environment, give the roles their passwords."""
    from urllib.parse import urlsplit

    import psycopg

    from adapters.postgres.migrations import migrate as migrate_schema
    from adapters.postgres.roles import LOGIN_ROLES, set_role_passwords

    settings = settings_for(data, "database_url")
    migrate_schema(settings.database_url)
    urls = {role: getattr(settings, f"{role.removeprefix('bursar_')}_database_url") for role in LOGIN_ROLES}
    passwords = {role: password for role, url in urls.items() if (password := urlsplit(url).password)}
    complete = len(passwords) == len(LOGIN_ROLES)
    if complete:
        with psycopg.connect(settings.database_url) as connection:
            set_role_passwords(connection, passwords)
    if json:
        print_json({"migrated": True, "passwords_set": complete})
    elif complete:
        print("The schema is up to date, and the roles have the passwords of their URLs.")
    else:
        print(
            "The schema is up to date. Passwords were left alone: not every role's URL with its password is set."
        )


# --- schools


@tenant_app.command("register")
def tenant_register(
    name: Annotated[str, typer.Argument(help="Letters, digits and hyphens, in lower case.")],
    country: Annotated[Country, typer.Option(help="Whose chart of accounts it gets.")],
    legal_name: Annotated[str | None, typer.Option(help="As on documents; the name if absent.")] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE", help="Of the IANA, such as America/Vancouver; the country's most usual if absent."
        ),
    ] = None,
    branch: Annotated[
        str | None,
        typer.Option(help="One or two letters or digits that stand in the school's document numbers."),
    ] = None,
    tax_registered_from: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="DATE",
            help="The first day on which it charges tax; if absent, its sales bear none.",
        ),
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Register a school, with its country's chart of accounts; FINANCE_V2 is on at once."""
    if not re.match(TENANT_PATTERN, name):
        raise typer.BadParameter(
            "a tenant's name has 2 to 31 lower-case letters, digits and hyphens, the first a letter"
        )
    fields = registration(
        country=country,
        legal_name=legal_name or name,
        time_zone=time_zone,
        branch=branch,
        tax_registered_from=tax_registered_from.date() if tax_registered_from else None,
    )
    settings = settings_for(data, *_OPERATOR)
    outcome = _execute(settings, name, "tenant.register", fields)
    if json:
        print_json(msgspec.Raw(outcome.response))
    else:
        print(f"Registered {name}. Next: bursar key create --tenant {name} --client NAME --role admin")
    _wait_until_projected(settings, outcome)


def registration(
    *,
    country: str,
    legal_name: str,
    time_zone: str | None,
    branch: str | None,
    tax_registered_from: date | None = None,
) -> dict[str, Any]:
    """The fields of the command that registers a school: what was not given is left to it.

    Raises typer.BadParameter where the time zone is none.
    """
    if time_zone is not None:
        _check_time_zone(time_zone)
    given = {
        "country": country,
        "legal_name": legal_name,
        "time_zone": time_zone,
        "branch": branch,
        "tax_registered_from": tax_registered_from,
    }
    return {field: value for field, value in given.items() if value is not None}


def _check_time_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (
        ZoneInfoNotFoundError,
        ValueError,
        OSError,
    ):  # OSError: a directory, or a name too long for a file
        raise typer.BadParameter(
            f"{name!r} is not a time zone of the IANA, such as Africa/Nairobi or America/Vancouver",
            param_hint="--time-zone",
        ) from None


@tenant_app.command("list")
def tenant_list(data: DataOption = None, json: JsonOption = False) -> None:
    """List the schools."""
    from ops.cli import directory

    schools = directory.schools(settings_for(data, "projector_database_url").projector_database_url)
    if json:
        print_json(schools)
        return
    print_table(
        ("TENANT", "LEGAL NAME", "COUNTRY", "CURRENCY", "TIME ZONE", "FEATURES"),
        (
            (one.tenant, one.legal_name, one.country, one.currency, one.time_zone, ", ".join(one.features))
            for one in schools
        ),
    )


@tenant_app.command("feature")
def tenant_feature(
    name: Annotated[str, typer.Argument(help="The school.")],
    feature: Annotated[Feature, typer.Argument(help="What to turn on or off.")],
    state: Annotated[Literal["on", "off"], typer.Argument(help="What it shall be.")],
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Turn a feature of a school on or off."""
    settings = settings_for(data, *_OPERATOR)
    fields = {"feature": feature, "enabled": state == "on"}
    outcome = _execute(settings, name, "tenant.feature", fields)
    if json:
        print_json({"tenant": name, **fields})
    else:
        print(f"{feature} is {state} for {name}.")
    _wait_until_projected(settings, outcome)


@tenant_app.command("policy")
def tenant_policy(
    name: Annotated[str, typer.Argument(help="The school.")],
    largest_amount: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_LARGEST_AMOUNT_MINOR,
            metavar="MINOR",
            help="The most that one command may move or bill, in minor units.",
        ),
    ] = None,
    card_reference: Annotated[
        Literal["required", "optional"] | None,
        typer.Option(help="Whether money by card names its reference."),
    ] = None,
    backdate_days: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MAX_BACKDATE_DAYS,
            metavar="DAYS",
            help="How many days before today the capability transaction.backdate reaches.",
        ),
    ] = None,
    hold_hours: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_HOLD_HOURS,
            metavar="HOURS",
            help="After how many hours a hold on a wallet expires that says nothing else.",
        ),
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Set a school's policies, and print all of them; without an option nothing changes."""
    settings = settings_for(data, *_OPERATOR)
    fields = {
        "largest_amount": largest_amount,
        "card_reference": None if card_reference is None else card_reference == "required",
        "backdate_days": backdate_days,
        "hold_hours": hold_hours,
    }
    outcome = _execute(settings, name, "tenant.policies", fields)
    policies = msgspec.json.decode(outcome.response)
    if json:
        print_json({"tenant": name, **policies})
    else:
        print(f"largest amount: {policies['largest_amount']} minor units")
        print(f"card reference: {'required' if policies['card_reference'] else 'optional'}")
        print(f"dated back: up to {policies['backdate_days']} days")
        print(f"holds expire: after {policies['hold_hours']} hours")
    _wait_until_projected(settings, outcome)


# --- keys


@key_app.command("create")
def key_create(
    tenant: Annotated[str, typer.Option(help="The school.")],
    client: Annotated[str, typer.Option(help="Who holds the key; it outlives its keys.")],
    role: Annotated[Role, typer.Option(help="What the key may do.")],
    expires_at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"],
            metavar="TIME",
            help="When it ends: 2030-12-31 (that day's beginning in UTC), 2030-12-31T18:00:00+03:00.",
            show_default="never",
        ),
    ] = None,
    expires_in_days: Annotated[int | None, typer.Option(min=1, help="The same, counted from now.")] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Create an API key. It is shown once, alone on the last line."""
    from ops import setup

    expiry = _expiry(expires_at, expires_in_days)
    settings = settings_for(data, *_OPERATOR)
    key = setup.new_key()
    fields = setup.key_fields(key, client, role, expires_at=expiry)
    outcome = _execute(settings, tenant, "key.create", fields)
    prefix = key[: setup.PREFIX_LENGTH]
    if json:
        facts = {"tenant": tenant, "client": client.upper(), "role": role, "prefix": prefix}
        print_json({**facts, "expires_at": expiry, "key": key})
    else:
        print(f"Key {prefix} of {client} at {tenant}, role {role}:")
        print(key)
    _wait_until_projected(settings, outcome)


def _expiry(expires_at: datetime | None, expires_in_days: int | None) -> datetime | None:
    if expires_at is not None and expires_in_days is not None:
        raise typer.BadParameter("--expires-at and --expires-in-days say the same: give one")
    now = datetime.now(UTC)
    if expires_in_days is not None:
        return now + timedelta(days=expires_in_days)
    if expires_at is None:
        return None
    expiry = expires_at.replace(tzinfo=UTC) if expires_at.tzinfo is None else expires_at.astimezone(UTC)
    if expiry <= now:
        raise typer.BadParameter(f"{expiry.isoformat()} has passed", param_hint="--expires-at")
    return expiry


@key_app.command("list")
def key_list(
    tenant: Annotated[str | None, typer.Option(help="Of one school alone.")] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """List API keys by their prefixes, those that were revoked as well."""
    from ops.cli import directory

    url = settings_for(data, "projector_database_url").projector_database_url
    keys = directory.keys(url, tenant)
    if not keys and tenant is not None and tenant not in {school.tenant for school in directory.schools(url)}:
        fail(f"there is no school {tenant}")
    if json:
        print_json(keys)
        return
    print_table(
        ("PREFIX", "TENANT", "CLIENT", "ROLE", "STATUS", "EXPIRES"),
        ((one.prefix, one.tenant, one.client, one.role, one.status, _moment(one.expires_at)) for one in keys),
    )


def _moment(time: datetime | None) -> str:
    return "never" if time is None else time.astimezone(UTC).isoformat(timespec="seconds")


@key_app.command("revoke")
def key_revoke(
    prefix: Annotated[str, typer.Argument(help="The first characters of the key, as `key create` named it.")],
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Revoke a key; it does nothing any more once this returns."""
    from ops import setup

    settings = settings_for(data, "projector_database_url", *_OPERATOR)
    prefix = prefix[: setup.PREFIX_LENGTH]
    tenant = setup.tenant_of_key(settings.projector_database_url, prefix)
    if tenant is None:
        fail(f"there is no live key {prefix}")
    outcome = _execute(settings, tenant, "key.revoke", {"prefix": prefix})
    if json:
        print_json({"tenant": tenant, "prefix": prefix})
    else:
        print(f"Revoked {prefix} of {tenant}.")
    _wait_until_projected(settings, outcome)


# --- one command of the operator's


def _execute(settings: "Settings", tenant: str, action: str, fields: Mapping[str, Any]) -> "Outcome":
    from ops import setup

    command_type = setup.COMMANDS[action].command_type
    try:
        command = msgspec.convert(fields, command_type)
    except msgspec.ValidationError:
        from api.validation import errors_in

        errors = errors_in(msgspec.json.encode(fields), command_type)
        fail(
            " ".join(f"--{error.pointer[1:].replace('_', '-')}: {error.detail}" for error in errors),
            code=USAGE,
        )
    return setup.execute(settings.writer_database_url, tenant, action, command)


def _wait_until_projected(settings: "Settings", outcome: "Outcome") -> None:
    """Wait until the API knows; exit code 3 where it does not yet."""
    from ops.setup import wait_until_projected

    if not wait_until_projected(settings.reader_database_url, outcome.position):
        fail(
            f"this is in the log, at position {outcome.position}, and commands obey it. The projector is behind: "
            "reads obey it when it has caught up.",
            code=NOT_ALL,
        )
