"""`bursar up`: the whole service on one machine, composed of the parts that production runs one by one."""

import http.client
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psycopg

from adapters.postgres.embedded.cluster import ORPHAN_SIGNAL, STOP_SIGNAL, Cluster, prepare
from adapters.postgres.embedded.installation import ServerError
from adapters.postgres.roles import LOGIN_ROLES, load_passwords, set_role_passwords, url_for_role
from adapters.system.files import write_atomically
from adapters.system.processes import free_port, kept_port, port_is_free
from ops.setup import Seeded, migrate, seed
from ops.up.greeting import greeting
from ops.up.ready_file import QuickBooksInfo, ReadyInfo, note
from ops.up.supervisor import AlreadyRunningError, Part, Supervisor, sole_owner

DEFAULT_PORT = 8000
_ANSWER_SECONDS = 0.5  # a part that is starting is asked again at once
_ROOT = Path(__file__).parents[2]
_INHERITED = ("BURSAR_LOG_LEVEL", "BURSAR_QUEUE_LIMIT", "BURSAR_RECEIPT_KEY_ID")
"""What of ours every part takes from our own environment; it is given the rest, each only what it needs."""


class _UsageError(Exception):
    """What was asked for cannot be had; the message says what to change."""


class _Secrets(msgspec.Struct, frozen=True, kw_only=True):
    receipt_key: str
    quickbooks_access_token: str
    snapshot_key: str = ""


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is settled before the first part starts, and holds until the last has ended."""

    data: Path
    port: int
    quickbooks_port: int
    cluster: Cluster | None  # None: the database is the user's
    database_url: str
    database_urls: Mapping[str, str]
    passwords: Mapping[str, str]
    kafka: Mapping[str, str]  # the broker and the topic, as the parts read them; empty without Kafka
    secrets: _Secrets

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def quickbooks_url(self) -> str:
        return f"http://127.0.0.1:{self.quickbooks_port}"


def up(*, port: int | None, data: Path, kafka: bool, ready_file: Path | None) -> int:
    """Run everything until Ctrl-C, and drain it. Returns the exit code.

    That is 2 where what is asked for cannot be had, 1 where the database does not answer. `port` None prefers
    8000, 0 takes any free one. With `BURSAR_DATABASE_URL` in the environment that database is used, not the
    embedded one. `ready_file` is written once everything answers, and again with the new pids after a restart.
    """
    data = data.absolute()
    try:
        broker = _kafka_broker() if kafka else None
        ready_file = _fresh(ready_file) if ready_file is not None else None
        with sole_owner(data):
            _run(_plan(data, _api_port(port), broker), ready_file)
    except (_UsageError, AlreadyRunningError, ServerError, PermissionError) as error:
        print(f"bursar up: {error}", file=sys.stderr)
        return 2
    except psycopg.OperationalError as error:
        print(f"bursar up: the database does not answer: {error}", file=sys.stderr)
        return 1
    return 0


def _kafka_broker() -> str:
    servers = os.environ.get("BURSAR_KAFKA_BOOTSTRAP_SERVERS", "")
    if not servers:
        raise _UsageError(
            "--kafka needs a broker: set BURSAR_KAFKA_BOOTSTRAP_SERVERS=HOST:PORT, or let `make run-kafka` start one"
        )
    return servers


def _fresh(ready_file: Path) -> Path:
    """Remove an old ready file, which would tell of processes that are gone."""
    ready_file = ready_file.absolute()
    if not ready_file.parent.is_dir():
        raise _UsageError(f"there is no folder {ready_file.parent} to write the ready file to")
    ready_file.unlink(missing_ok=True)
    return ready_file


def _api_port(wanted: int | None) -> int:
    if wanted is None:
        return DEFAULT_PORT if port_is_free(DEFAULT_PORT) else free_port()
    if wanted == 0:
        return free_port()
    if not 0 < wanted < 65536 or not port_is_free(wanted):
        raise _UsageError(f"port {wanted} is taken, or none from 0 to 65535; --port 0 finds a free one")
    return wanted


def _plan(data: Path, port: int, kafka: str | None) -> _Plan:
    given = os.environ.get("BURSAR_DATABASE_URL")
    if given:
        cluster, passwords = None, load_passwords(data)
        urls = {role: url_for_role(given, role, passwords[role]) for role in LOGIN_ROLES}
    else:
        cluster = prepare(data)
        passwords, urls = dict(cluster.passwords), cluster.urls()
    return _Plan(
        data=data,
        port=port,
        # Both keep their ports, so that a page left open and a shell that knows the database go on.
        quickbooks_port=kept_port(
            data / "quickbooks.port", taken=[port] if cluster is None else [port, cluster.port]
        ),
        cluster=cluster,
        database_url=given or (cluster.superuser_url if cluster else ""),
        database_urls=urls,
        passwords=passwords,
        kafka={}
        if kafka is None
        else {"BURSAR_KAFKA_BOOTSTRAP_SERVERS": kafka, "BURSAR_KAFKA_TOPIC": _kafka_topic(data)},
        secrets=_secrets(data),
    )


def _kafka_topic(data: Path) -> str:
    """Return the topic of the store in this folder: a broker may serve several stores, and a topic only one."""
    given = os.environ.get("BURSAR_KAFKA_TOPIC")
    if given:
        return given
    path = data / "kafka-topic"
    if not path.exists():
        write_atomically(path, f"bursar-{secrets.token_hex(4)}".encode())
    return path.read_text()


def _secrets(data: Path) -> _Secrets:
    """Return what signs receipts and what opens the emulator; made once, kept in an owner-only file."""
    path = data / "secrets.json"
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Secrets)
    except FileNotFoundError:
        kept = _Secrets(receipt_key=secrets.token_hex(32), quickbooks_access_token=secrets.token_urlsafe(32))
    if not kept.snapshot_key:
        kept = msgspec.structs.replace(kept, snapshot_key=secrets.token_hex(32))
        write_atomically(path, msgspec.json.encode(kept))
    given = os.environ.get("BURSAR_RECEIPT_KEY")
    return msgspec.structs.replace(kept, receipt_key=given) if given else kept


def _run(plan: _Plan, ready_file: Path | None) -> None:
    seeded: list[Seeded] = []

    def set_up() -> None:
        migrate(plan.database_url)
        with psycopg.connect(plan.database_url) as connection:
            set_role_passwords(connection, plan.passwords)
        seeded[:] = [seed(plan.database_urls["bursar_writer"], plan.data)]

    def announce(pids: Mapping[str, int]) -> None:
        first = not (plan.data / "up.json").exists()
        info = _ready_info(plan, seeded[0], pids)
        note(plan.data, info)
        if ready_file is not None:
            write_atomically(ready_file, msgspec.json.format(msgspec.json.encode(info)) + b"\n")
        if first:
            print(greeting(info, plan.data), flush=True)

    (plan.data / "up.json").unlink(missing_ok=True)
    if plan.cluster is None:
        set_up()
    try:
        Supervisor(_parts(plan, set_up), plan.data, announce).run()
    finally:
        (plan.data / "up.json").unlink(missing_ok=True)


def _ready_info(plan: _Plan, seeded: Seeded, pids: Mapping[str, int]) -> ReadyInfo:
    return ReadyInfo(
        url=plan.url,
        tenant=seeded.tenant,
        keys=seeded.keys,
        quickbooks=QuickBooksInfo(
            url=plan.quickbooks_url, realm=seeded.realm, access_token=plan.secrets.quickbooks_access_token
        ),
        database_url=plan.database_url,
        database_urls=plan.database_urls,
        pids={"up": os.getpid(), **pids},
    )


# The parts ---------------------------------------------------------------------------------------------------


def _parts(plan: _Plan, set_up: Callable[[], None]) -> list[Part]:
    """List the parts. Each gets the URLs and secrets that it needs, no more."""
    urls = {f"{role.upper()}_DATABASE_URL": url for role, url in plan.database_urls.items()}
    token = {"BURSAR_QUICKBOOKS_ACCESS_TOKEN": plan.secrets.quickbooks_access_token}
    postgres = _postgres(plan, set_up)
    database = [part.name for part in postgres]

    def url_of(*roles: str) -> dict[str, str]:
        return {name: urls[name] for name in (f"BURSAR_{role}_DATABASE_URL" for role in roles)}

    books = [
        "emulate",
        "quickbooks",
        "--port",
        str(plan.quickbooks_port),
        "--data",
        str(_books(plan.data)),
    ]
    public = {
        "BURSAR_PUBLIC_URL": os.environ.get("BURSAR_PUBLIC_URL", plan.url),
        "BURSAR_RECEIPT_KEY": plan.secrets.receipt_key,
    }
    snapshots = {"BURSAR_SNAPSHOT_KEY": plan.secrets.snapshot_key}
    quickbooks = Part(
        name="quickbooks",
        argv=_command(*books),
        env=_environment(token),
        ready=lambda: _answers(f"{plan.quickbooks_url}/emulator/companies"),
        foundation=True,
    )
    api = Part(
        name="api",
        after=database,
        argv=_command("serve", "--port", str(plan.port)),
        env=_environment(url_of("WRITER", "READER") | public | snapshots),
        ready=lambda: _answers(f"{plan.url}/health/ready"),
    )
    relay_env = {**url_of("RELAY"), **plan.kafka}
    relay = [_marked(plan, "relay", "relay", relay_env, after=database)] if plan.kafka else []
    exporter_env = {
        **url_of("EXPORTER"),
        "BURSAR_QUICKBOOKS_URL": plan.quickbooks_url,
        "BURSAR_QUICKBOOKS_EMULATOR": "true",
        **token,
        **plan.kafka,
    }
    return [
        *postgres,
        quickbooks,
        api,
        _marked(plan, "projector", "project", url_of("PROJECTOR") | snapshots, after=database),
        *relay,
        _marked(
            plan,
            "exporter",
            "export",
            exporter_env,
            after=[*database, "quickbooks", *(part.name for part in relay)],
        ),
    ]


def _books(data: Path) -> Path:
    """Return the file in which the emulator keeps its companies."""
    return data / "quickbooks.sqlite"


def _postgres(plan: _Plan, set_up: Callable[[], None]) -> list[Part]:
    if plan.cluster is None:
        return []
    part = Part(
        name="postgres",
        argv=plan.cluster.argv,
        env=plan.cluster.env,
        ready=plan.cluster.is_ready,
        account=plan.cluster.account,
        stop_signal=STOP_SIGNAL,
        orphan_signal=ORPHAN_SIGNAL,
        foundation=True,
        once_ready=set_up,
    )
    return [part]


def _marked(plan: _Plan, name: str, command: str, env: Mapping[str, str], *, after: Sequence[str]) -> Part:
    """Make a part that serves nothing to ask: it makes a file once it is at work."""
    folder = plan.data / "ready"
    folder.mkdir(mode=0o700, exist_ok=True)
    marker = folder / name
    return Part(
        name=name,
        argv=_command(command),
        env=_environment({**env, "BURSAR_READY_FILE": str(marker)}),
        ready=marker.exists,
        after=after,
        before_start=lambda: marker.unlink(missing_ok=True),
    )


def _command(*arguments: str) -> Sequence[str]:
    return [sys.executable, "-m", "ops.cli", *arguments]


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return our own environment without any secret of ours but those given, and this very code to import."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("BURSAR_") or name in _INHERITED
    }
    path = os.pathsep.join(filter(None, [str(_ROOT), inherited.get("PYTHONPATH")]))
    return {**inherited, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", **given}


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
