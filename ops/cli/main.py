"""The command line: `bursar`."""

import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from domain.errors import DomainError
from ops.cli import administration, demo, environment, exports, imports, proofs, services
from ops.cli.output import INTERRUPTED, USAGE, fail


class _Commands(TyperGroup):
    """The commands, each of which ends with one line where it is refused, interrupted or without its database."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            fail("interrupted", code=INTERRUPTED)
        except DomainError as error:
            fail(f"{error.detail} ({error.code})")
        except Exception as error:
            if not _is_of_the_database(error):
                raise
            fail(f"the database does not answer: {error}", code=USAGE)


def _is_of_the_database(error: Exception) -> bool:
    psycopg: Any = sys.modules.get("psycopg")  # where it was never imported no error can be its own
    return psycopg is not None and isinstance(error, psycopg.OperationalError)


app = typer.Typer(
    name="bursar",
    cls=_Commands,
    help="An event-sourced ledger for school finance.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(services.up)
app.command()(services.serve)
app.command()(services.project)
app.command()(services.relay)
app.add_typer(exports.app, name="export")
app.add_typer(services.emulate_app, name="emulate")
app.command()(administration.migrate)
app.add_typer(administration.tenant_app, name="tenant")
app.add_typer(administration.key_app, name="key")
app.command()(services.release)
app.command()(environment.env)
app.command()(environment.whoami)
app.add_typer(imports.app, name="import")
app.command()(proofs.verify)
app.command()(proofs.rebuild)
app.command()(demo.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"bursar {version('bursar')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    app()
