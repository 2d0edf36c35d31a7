"""`bursar up`, and the commands that run one part each."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ops.cli.connection import DEFAULT_DATA, DataOption, environment_settings, settings_for
from ops.cli.output import JsonOption, fail, print_json
from ops.words import counted

emulate_app = typer.Typer(help="Stand-ins for outside systems.", no_args_is_help=True)


def up(
    port: Annotated[int | None, typer.Option(help="0 takes a free one.", show_default="8000")] = None,
    data: Annotated[Path, typer.Option(help="Where everything is kept between runs.")] = DEFAULT_DATA,
    kafka: Annotated[bool, typer.Option("--kafka", help="Relay and consume over Kafka.")] = False,
    ready_file: Annotated[Path | None, typer.Option(help="Written once everything answers.")] = None,
) -> None:
    """Run everything: database, API, projections, exporter, QuickBooks emulator."""
    from ops import logs
    from ops.up import plan as all_in_one

    environment_settings()  # one that is malformed is told here, not by each part
    logs.configure(process="up", default="warning")  # its console is for people; each part has a log file

    raise typer.Exit(all_in_one.up(port=port, data=data, kafka=kafka, ready_file=ready_file))


def serve(
    port: Annotated[int, typer.Option(help="Where to listen.")] = 8000,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    data: DataOption = None,
) -> None:
    """Run an API process."""
    from ops import bootstrap, logs

    settings = settings_for(data, "writer_database_url", "reader_database_url", "receipt_key")
    logs.configure(process="api")
    logs.started(address=f"http://{host}:{port}")
    bootstrap.serve(settings, host=host, port=port)


def project(data: DataOption = None) -> None:
    """Run the projector."""
    from ops import logs
    from ops.worker import run_projector, run_worker

    settings = settings_for(data, "projector_database_url")
    url = settings.need("projector_database_url")
    logs.configure(process="projector")
    logs.started()
    key = settings.sealing_key()
    run_worker(settings, lambda stop, ready: run_projector(url, stop, ready, snapshot_key=key), niceness=0)


def relay(data: DataOption = None) -> None:
    """Publish the log to Kafka."""
    from adapters.kafka.relay import run_relay
    from ops import logs
    from ops.worker import run_worker

    settings = settings_for(data, "relay_database_url", "kafka_bootstrap_servers")
    url, servers = settings.need("relay_database_url"), settings.need("kafka_bootstrap_servers")
    logs.configure(process="relay")
    logs.started(topic=settings.kafka_topic)
    run_worker(
        settings,
        lambda stop, ready: run_relay(url, servers, topic=settings.kafka_topic, stop=stop, ready=ready),
        niceness=5,
    )


def export(data: DataOption = None) -> None:
    """Run the QuickBooks exporter, on Kafka where a broker is configured."""
    from adapters.quickbooks.process import run_exporter
    from ops import bootstrap, logs
    from ops.worker import run_worker

    settings = settings_for(data, "exporter_database_url", "quickbooks_url", "quickbooks_access_token")
    url = settings.need("exporter_database_url")
    logs.configure(process="exporter")
    logs.started(quickbooks=settings.quickbooks_url)

    def work(stop: threading.Event, ready: Callable[[], None]) -> None:
        run_exporter(url, bootstrap.feed(settings), bootstrap.quickbooks(settings), stop=stop, ready=ready)

    run_worker(settings, work, niceness=10)


@emulate_app.command("quickbooks")
def emulate_quickbooks(
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free one.")] = 8001,
    data: Annotated[Path, typer.Option(help="The file that holds its books.")] = DEFAULT_DATA
    / "quickbooks.sqlite",
    access_token: Annotated[
        str, typer.Option(envvar="BURSAR_QUICKBOOKS_ACCESS_TOKEN", help="The token that it takes.")
    ] = "emulator",  # noqa: S107  the emulator is no secret
) -> None:
    """Run the QuickBooks Online emulator."""
    from adapters.quickbooks.emulator.server import run
    from ops import logs

    def ready(taken: int) -> None:
        logs.started(address=f"http://127.0.0.1:{taken}")

    environment_settings()
    logs.configure(process="quickbooks")
    data.parent.mkdir(parents=True, exist_ok=True)
    run(host="127.0.0.1", port=port, data_file=data, access_token=access_token, ready=ready)


def release(
    tenant: Annotated[str, typer.Argument(help="The school.")],
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Give the exporter what it had to put aside of a school, once this version can read it."""
    from adapters.quickbooks.process import release as release_parked
    from application.feed.port import PoisonError
    from ops import bootstrap

    settings = settings_for(data, "exporter_database_url", "quickbooks_url", "quickbooks_access_token")
    url = settings.need("exporter_database_url")
    try:
        count = release_parked(url, bootstrap.feed(settings), bootstrap.quickbooks(settings), tenant)
    except PoisonError as error:
        fail(f"nothing was released: {error}")
    if json:
        print_json({"tenant": tenant, "released": count})
    else:
        print(f"{counted(count, 'message')} of {tenant} released.")
