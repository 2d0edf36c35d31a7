"""One run of an import: a file's rows into one school, and the rejected ones into a file beside it."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from domain.errors import Code
from domain.money import MINOR_DIGITS
from ops.http_client import ApiClient, ApiError, Result, UnreachableError
from ops.imports.foretelling import Foretold, foretell
from ops.imports.history import FileFacts, ImportRecord, caller_of, facts_of, past_imports
from ops.imports.importer import Importer
from ops.imports.layout import Columns, Wish, find_decimals, find_header
from ops.imports.limits import Limits
from ops.imports.reading import Table
from ops.imports.records import FileError
from ops.imports.rejected import check_writable, rejected_path, write_rejections
from ops.imports.rows import Row
from ops.imports.tally import Summary

Passes = Iterable[Iterable[Row]]
"""The rows of a file, and after all of them those that have to wait for what the others became."""


class School(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant as ping tells it; `position` is the log's before the run."""

    currency: str
    time_zone: str
    position: int


class _Wallet(msgspec.Struct, frozen=True, kw_only=True):
    account: str


class _WalletPage(msgspec.Struct, frozen=True, kw_only=True):
    data: list[_Wallet]
    next: str | None


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of file: the columns that it must have, how its rows are read into a school, and under which source.

    `options` are those that decide how, as they are typed. Where `currency` is given it is for schools of that one.
    `by_receipt` says that the service takes each row once by its receipt, whoever imports it.
    """

    columns: Columns
    passes: Callable[[Table, School], Passes]
    source: str
    options: str
    currency: str | None = None
    by_receipt: bool = False


class OpenedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was read, as far as it can be read without the school; `records` stand below its header."""

    kind: Kind
    wish: Wish
    table: Table
    records: int

    @property
    def path(self) -> Path:
        return self.table.path


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file: the counts, and the file of what was rejected, written or removed (None: neither)."""

    currency: str
    summary: Summary
    written: Path | None = None
    removed: Path | None = None


class Interrupted(Exception):  # noqa: N818 - somebody's wish, not an error
    """Ctrl-C ended the run; `imported` is what it had done by then."""

    def __init__(self, imported: Imported) -> None:
        super().__init__("interrupted")
        self.imported = imported


def open_file(path: Path, kind: Kind, wish: Wish) -> OpenedFile:
    """Read a file to its end. Raises FileError where it is none of its kind."""
    table, records = find_header(path, wish, kind.columns)
    return OpenedFile(kind=kind, wish=wish, table=table, records=records)


def import_file(
    file: OpenedFile,
    client: ApiClient,
    *,
    again: bool,
    explain: Callable[[Result], str],
    report: Callable[[int, int], None],
    notice: Callable[[str], None],
) -> Imported:
    """Post a file, unless its rows were imported under other keys; with `again` also then.

    `report` hears how many rows are done, of all; `notice` how the file is read. Raises FileError where the file as a
    whole is refused, ApiError and UnreachableError where the run cannot go on, and Interrupted.
    """
    school, table = _prepare(file, client, notice)
    record = _new_record(client, file.kind, table, school, again=again)
    check_writable(file.path)
    record.begin()
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        report(done, file.records)

    importer = Importer(client, start_position=school.position, explain=explain, advance=advance)
    try:
        for rows in file.kind.passes(table, school):
            importer.run(rows)
    except BaseException as error:
        summary = _summary(importer, table)
        with suppress(ApiError, UnreachableError):
            record.end(summary, finished=False)
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(Imported(currency=school.currency, summary=summary)) from None
        raise
    summary = _summary(importer, table)
    target = rejected_path(file.path)
    before = target.exists()
    try:
        written = write_rejections(table, importer.tally.rejections)
    except OSError as error:
        raise FileError(
            f"all is posted but what was rejected, and {target} cannot be written: {error.strerror}"
        ) from None
    finally:
        record.end(summary, finished=True)
    removed = target if before and written is None else None
    return Imported(currency=school.currency, summary=summary, written=written, removed=removed)


def _new_record(client: ApiClient, kind: Kind, table: Table, school: School, *, again: bool) -> ImportRecord:
    facts = _facts(kind, table, school)
    past = past_imports(client, sketch=True)
    caller = caller_of(client, facts)
    if not again:
        facts.check_is_new(facts.likenesses(past, caller=None if kind.by_receipt else caller))
    return ImportRecord(client, facts, past, caller=caller)


def _facts(kind: Kind, table: Table, school: School) -> FileFacts:
    options = f"{kind.options} --decimal {table.layout.decimal}"
    return facts_of(table.path, kind.source, kind.passes(table, school), options=options.strip())


def _summary(importer: Importer, table: Table) -> Summary:
    return msgspec.structs.replace(importer.tally.summary(), file=table.layout)


def foretell_file(
    file: OpenedFile, client: ApiClient, *, again: bool, notice: Callable[[str], None]
) -> tuple[School, Foretold]:
    """What an import of the file would do; nothing is written. Raises as `import_file`."""
    school, table = _prepare(file, client, notice)
    kind, today = file.kind, datetime.now(ZoneInfo(school.time_zone)).date()
    facts = _facts(kind, table, school)
    caller, limits = _caller_and_limits(client, facts)
    rows = kind.passes(table, school)
    foretold = foretell(rows, table.layout, today=today, wallets=lambda: _wallets(client), limits=limits)
    past = past_imports(client, sketch=True)
    likenesses = tuple(facts.likenesses(past, caller=None if kind.by_receipt else caller))
    differs = not again and any(each.differs for each in likenesses)
    return school, msgspec.structs.replace(
        foretold, imported_before=likenesses, would_refuse=foretold.would_refuse or differs
    )


def _caller_and_limits(client: ApiClient, facts: FileFacts) -> tuple[str | None, Limits]:
    """The client that would import the file, unless the key may not, and what it may post."""
    try:
        return caller_of(client, facts), Limits(client)
    except ApiError as error:
        if error.code != str(Code.CAPABILITY_MISSING):
            raise
        return None, Limits(client, lacking=error.capability)


def _prepare(file: OpenedFile, client: ApiClient, notice: Callable[[str], None]) -> tuple[School, Table]:
    """The school, and the file's table as it is to be read into it."""
    kind, school = file.kind, _school(client)
    if kind.currency not in (None, school.currency):
        raise FileError(f"{file.path} is in {kind.currency}, the tenant in {school.currency}")
    table = find_decimals(file.table, file.wish, kind.columns, school.currency)
    notice(f"{file.path}: {table.layout}")
    return school, table


def _wallets(client: ApiClient) -> frozenset[str]:
    """The ids of all wallets."""
    found: list[str] = []
    parameters: dict[str, str | int] = {"limit": 500}
    while True:
        page = msgspec.convert(client.get("wallets", **parameters).body, _WalletPage)
        found += [wallet.account for wallet in page.data]
        if page.next is None:
            return frozenset(found)
        parameters["cursor"] = page.next


def _school(client: ApiClient) -> School:
    try:
        school = msgspec.convert(client.get("ping").body, School)
    except msgspec.ValidationError as error:
        raise ApiError(200, "", f"ping answered something else: {error}") from None
    if school.currency not in MINOR_DIGITS:
        raise FileError(f"amounts in {school.currency} cannot be read")
    return school
