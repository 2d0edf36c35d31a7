"""The command line: `bursar`."""

import logging
import re
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import psycopg
import structlog
import typer
from rich.console import Console
from rich.progress import Progress

from domain.errors import DomainError
from domain.ids import TENANT_PATTERN
from ops.settings import Settings

app = typer.Typer(
    name="bursar",
    help="An event-sourced ledger for school finance.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
tenant_app = typer.Typer(help="Schools.", no_args_is_help=True)
key_app = typer.Typer(help="API keys.", no_args_is_help=True)
emulate_app = typer.Typer(help="Stand-ins for outside systems.", no_args_is_help=True)
app.add_typer(tenant_app, name="tenant")
app.add_typer(key_app, name="key")
app.add_typer(emulate_app, name="emulate")

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Take the database from the `bursar up` that runs on this folder.", show_default=False
    ),
]
PortOption = Annotated[int | None, typer.Option("--port", help="0 takes a free one.", show_default="8000")]


def _settings(data: Path | None) -> Settings:
    """Settings from the environment, or with `--data` from a running `up`."""
    settings = Settings()
    if data is None and not settings.writer_database_url and Path(".bursar/up.json").exists():
        data = Path(".bursar")
    if data is None:
        return settings
    from ops.up.plan import NotRunningError, running

    try:
        ready = running(data)
    except NotRunningError as error:
        raise SystemExit(f"bursar: {error}") from None
    urls = {f"{role.removeprefix('bursar_')}_database_url": url for role, url in ready.database_urls.items()}
    receipt_key = msgspec.json.decode((data / "secrets.json").read_bytes())["receipt_key"]
    return settings.model_copy(
        update={
            **urls,
            "database_url": ready.database_url,
            "receipt_key": settings.receipt_key or receipt_key,
            "public_url": ready.url,
            "quickbooks_url": ready.quickbooks.url,
            "quickbooks_access_token": ready.quickbooks.access_token,
            "quickbooks_emulator": True,
        }
    )


# --- services


@app.command()
def up(
    port: PortOption = None,
    data: Annotated[Path, typer.Option(help="Where everything is kept between runs.")] = Path(".bursar"),
    kafka: Annotated[bool, typer.Option("--kafka", help="Relay and consume over Kafka.")] = False,
    ready_file: Annotated[Path | None, typer.Option(help="Written once everything answers.")] = None,
) -> None:
    """Run everything: database, API, projections, exporter, QuickBooks emulator."""
    from ops.up import plan as all_in_one

    raise typer.Exit(all_in_one.up(port=port, data=data, kafka=kafka, ready_file=ready_file))


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="Where to listen.")] = 8000,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    data: DataOption = None,
) -> None:
    """Run an API process."""
    from ops.bootstrap import serve as serve_api

    serve_api(_settings(data), host=host, port=port)


@app.command()
def project(data: DataOption = None) -> None:
    """Run the projector."""
    from ops.worker import run_projector, run_worker

    settings = _settings(data)
    url = settings.need("projector_database_url")
    run_worker(settings, lambda stop, ready: run_projector(url, stop, ready), niceness=0)


@app.command()
def relay(data: DataOption = None) -> None:
    """Publish the log to Kafka."""
    from adapters.kafka.relay import run_relay
    from ops.worker import run_worker

    settings = _settings(data)
    url, servers = settings.need("relay_database_url"), settings.need("kafka_bootstrap_servers")
    run_worker(
        settings,
        lambda stop, ready: run_relay(url, servers, topic=settings.kafka_topic, stop=stop, ready=ready),
        niceness=5,
    )


@app.command()
def export(data: DataOption = None) -> None:
    """Run the QuickBooks exporter, on Kafka where a broker is configured."""
    from adapters.quickbooks.process import run_exporter
    from ops import bootstrap
    from ops.worker import run_worker

    settings = _settings(data)
    url = settings.need("exporter_database_url")

    def work(stop: threading.Event, ready: Callable[[], None]) -> None:
        run_exporter(url, bootstrap.feed(settings), bootstrap.quickbooks(settings), stop=stop, ready=ready)

    run_worker(settings, work, niceness=10)


@emulate_app.command("quickbooks")
def emulate_quickbooks(
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free one.")] = 8001,
    data: Annotated[Path, typer.Option(help="The file that holds its books.")] = Path(
        ".bursar/quickbooks.sqlite"
    ),
    access_token: Annotated[
        str, typer.Option(envvar="BURSAR_QUICKBOOKS_ACCESS_TOKEN", help="The token that it takes.")
    ] = "emulator",  # noqa: S107  the emulator is no secret
) -> None:
    """Run the QuickBooks Online emulator."""
    from adapters.quickbooks.emulator.server import run

    data.parent.mkdir(parents=True, exist_ok=True)
    run(host="127.0.0.1", port=port, data_file=data, access_token=access_token)


@app.command()
def release(tenant: Annotated[str, typer.Argument(help="The school.")], data: DataOption = None) -> None:
    """Give the exporter what it had to put aside of a school, once this version can read it."""
    from adapters.quickbooks.process import release as release_parked
    from ops import bootstrap

    settings = _settings(data)
    url = settings.need("exporter_database_url")
    count = release_parked(url, bootstrap.feed(settings), bootstrap.quickbooks(settings), tenant)
    print(f"{count} messages of {tenant} released.")


# --- administration


@app.command()
def migrate(data: DataOption = None) -> None:
    """Bring the schema up to date; with all role URLs in the environment, give the roles their passwords."""
    from urllib.parse import urlsplit

    from adapters.postgres.roles import LOGIN_ROLES, set_role_passwords
    from ops import setup

    settings = _settings(data)
    url = settings.need("database_url")
    setup.migrate(url)
    urls = {role: getattr(settings, f"{role.removeprefix('bursar_')}_database_url") for role in LOGIN_ROLES}
    passwords = {role: urlsplit(given).password for role, given in urls.items()}
    found = {role: password for role, password in passwords.items() if password}
    if len(found) == len(LOGIN_ROLES):
        with psycopg.connect(url) as connection:
            set_role_passwords(connection, found)
        print("The schema is up to date, and the roles have the passwords of their URLs.")
    else:
        print(
            "The schema is up to date. Passwords were left alone: not every role's URL with its password is set."
        )


def _projected(settings: Settings, position: int) -> None:
    """Wait until the API knows; exit code 3 where it does not yet."""
    from ops.setup import wait_until_projected

    if not wait_until_projected(settings.need("reader_database_url"), position):
        print(
            f"bursar: this is in the log, at position {position}, and commands obey it. The projector is behind: "
            "reads obey it when it has caught up.",
            file=sys.stderr,
        )
        raise typer.Exit(3)


def _refused(error: DomainError) -> SystemExit:
    return SystemExit(f"bursar: {error.detail} ({error.code})")


def _execute(data: Path | None, tenant: str, action: str, fields: dict[str, object]) -> None:
    from ops import setup

    settings = _settings(data)
    try:
        command = msgspec.convert(fields, setup.COMMANDS[action].command_type)
        outcome = setup.execute(settings.need("writer_database_url"), tenant, action, command)
    except DomainError as error:
        raise _refused(error) from None
    except msgspec.ValidationError as error:
        raise SystemExit(f"bursar: {error}") from None
    _projected(settings, outcome.position)


@tenant_app.command("register")
def tenant_register(
    name: Annotated[str, typer.Argument(help="Letters, digits and hyphens, in lower case.")],
    country: Annotated[str, typer.Option(help="KE or CA.")],
    legal_name: Annotated[str | None, typer.Option(help="As on documents; the name if absent.")] = None,
    data: DataOption = None,
) -> None:
    """Register a school, with its country's chart of accounts; FINANCE_V2 is on at once."""
    if not re.match(TENANT_PATTERN, name):
        raise SystemExit(
            "bursar: a tenant's name has 2 to 31 lower-case letters, digits and hyphens, the first a letter."
        )
    _execute(
        data,
        name,
        "tenant.register",
        {"country": country.upper(), "legal_name": legal_name or name},
    )
    print(f"Registered {name}. Next: bursar key create --tenant {name} --client NAME --role admin")


@tenant_app.command("feature")
def tenant_feature(
    name: str,
    feature: Annotated[str, typer.Argument(help="FINANCE_V2")],
    state: Annotated[str, typer.Argument(help="on or off")],
    data: DataOption = None,
) -> None:
    """Turn a feature of a school on or off."""
    if state not in ("on", "off"):
        raise SystemExit("bursar: a feature is turned on or off.")
    _execute(data, name, "tenant.feature", {"feature": feature, "enabled": state == "on"})
    print(f"{feature} is {state} for {name}.")


@key_app.command("create")
def key_create(
    tenant: Annotated[str, typer.Option(help="The school.")],
    client: Annotated[str, typer.Option(help="Who holds the key; it outlives its keys.")],
    role: Annotated[str, typer.Option(help="admin, cashier, bursar, approver, auditor, ops or integration.")],
    expires_in_days: Annotated[int | None, typer.Option(min=1, help="Never, if absent.")] = None,
    data: DataOption = None,
) -> None:
    """Create an API key. It is shown once, alone on the last line."""
    from ops import setup

    settings = _settings(data)
    expires_at = datetime.now(UTC) + timedelta(days=expires_in_days) if expires_in_days else None
    try:
        key, outcome = setup.create_key(
            settings.need("writer_database_url"), tenant, client, role, expires_at=expires_at
        )
    except DomainError as error:
        raise _refused(error) from None
    except ValueError as error:
        raise SystemExit(f"bursar: {error}") from None
    print(f"Key {key[: setup.PREFIX_LENGTH]} of {client} at {tenant}, role {role}:")
    print(key)
    _projected(settings, outcome.position)


@key_app.command("revoke")
def key_revoke(
    prefix: Annotated[str, typer.Argument(help="The first characters of the key, as `key create` named it.")],
    data: DataOption = None,
) -> None:
    """Revoke a key; it does nothing any more once this returns."""
    from ops import setup

    settings = _settings(data)
    prefix = prefix[: setup.PREFIX_LENGTH]
    tenant = setup.tenant_of_key(settings.need("projector_database_url"), prefix)
    if tenant is None:
        raise SystemExit(f"bursar: there is no key {prefix}.")
    _execute(data, tenant, "key.revoke", {"prefix": prefix})
    print(f"Revoked {prefix} of {tenant}.")


# --- proofs


def _progress(label: str, *, quiet: bool) -> tuple[Progress, Callable[[int, int], None]]:
    bar = Progress(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty(), transient=True)
    task = bar.add_task(label, total=None)
    return bar, lambda done, total: bar.update(task, completed=done, total=total)


JsonOption = Annotated[bool, typer.Option("--json", help="End with a summary in JSON, on one line.")]


@app.command()
def verify(data: DataOption = None, json: JsonOption = False) -> None:
    """Recompute the chain from the stored bytes and refold every snapshot. Exit code 1: something was changed."""
    from adapters.postgres.verify import verify as run

    bar, progress = _progress("Verifying", quiet=json)
    with bar:
        found = run(_settings(data).need("auditor_database_url"), progress=progress)
    for finding in found.findings:
        print(f"FAILED  positions {finding.first_position} to {finding.position}: {finding.what}")
    verdict = "does not verify" if found.findings else "verifies"
    print(
        f"The log {verdict}: {found.commands} commands, {found.events} events, {found.commits} commits, "
        f"{found.snapshots} snapshots; head {found.position}, hash {found.hash}"
    )
    if json:
        print(msgspec.json.encode(found).decode())
    raise typer.Exit(1 if found.findings else 0)


@app.command()
def rebuild(data: DataOption = None, json: JsonOption = False) -> None:
    """Rebuild every read table from the events, compare it with the live one, and switch. Exit code 1: they differed."""
    from projections.engine.rebuild import rebuild as run

    bar, progress = _progress("Rebuilding", quiet=json)
    with bar:
        result = run(_settings(data).need("projector_database_url"), progress)
    for name, table in result.tables.items():
        print(f"{'equal  ' if table.equal else 'DIFFERS'}  {name:<24} {table.rows_rebuilt:>10} rows")
    if not result.equal:
        print(
            "The read tables were not what the log says, and are now. `bursar verify` tells whether the log is."
        )
    if json:
        print(msgspec.json.encode(result).decode())
    raise typer.Exit(0 if result.equal else 1)


def _wire() -> None:
    """Commands that live in modules of their own."""
    from ops.cli.imports import app as import_app
    from ops.demo.day import demo

    app.add_typer(import_app, name="import")
    app.command("demo")(demo)


_wire()


def main() -> None:
    """Run the command line."""
    logging.captureWarnings(capture=True)
    # The client library warns at each attempt of an outage; what matters is logged by our own retries.
    logging.getLogger("kafka").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        app()
    except psycopg.OperationalError as error:
        print(f"bursar: the database does not answer: {error}", file=sys.stderr)
        sys.exit(2)
