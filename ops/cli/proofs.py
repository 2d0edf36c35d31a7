"""`bursar verify` and `bursar rebuild`: whether the log and the read tables are what they must be."""

import typer

from ops.cli.connection import DataOption, settings_for
from ops.cli.output import FAILED, JsonOption, fail, print_json, progress
from ops.words import counted


def verify(data: DataOption = None, json: JsonOption = False) -> None:
    """Recompute the chain from the stored bytes and refold every snapshot. Exit code 1: something was changed."""
    from adapters.postgres.verify import verify as run

    url = settings_for(data, "auditor_database_url").auditor_database_url
    with progress("Verifying", quiet=json) as report:
        found = run(url, progress=report)
    if json:
        print_json(found)
    else:
        for finding in found.findings:
            print(f"FAILED  positions {finding.first_position} to {finding.position}: {finding.what}")
        verdict = "does not verify" if found.findings else "verifies"
        print(
            f"The log {verdict}: {counted(found.commands, 'command')}, {counted(found.events, 'event')}, "
            f"{counted(found.commits, 'commit')}, {counted(found.snapshots, 'snapshot')}; head {found.position}, hash {found.hash}"
        )
    raise typer.Exit(FAILED if found.findings else 0)


def rebuild(data: DataOption = None, json: JsonOption = False) -> None:
    """Rebuild every read table from the events, compare it with the live one, and switch. Exit code 1: they differed."""
    from projections.engine.fold import UnknownTopicError
    from projections.engine.rebuild import RebuildRunningError, SwitchRefusedError
    from projections.engine.rebuild import rebuild as run

    url = settings_for(data, "projector_database_url").projector_database_url
    try:
        with progress("Rebuilding", quiet=json) as report:
            result = run(url, report)
    except (RebuildRunningError, SwitchRefusedError, UnknownTopicError) as error:
        fail(str(error))
    if json:
        print_json(result)
    else:
        for name, table in result.tables.items():
            print(
                f"{'equal  ' if table.equal else 'DIFFERS'}  {name:<24} {counted(table.rows_rebuilt, 'row', width=10)}"
            )
        if not result.equal:
            print(
                "The read tables were not what the log says, and are now. `bursar verify` tells whether the log is."
            )
    raise typer.Exit(0 if result.equal else FAILED)
