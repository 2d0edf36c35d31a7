"""Posts what a file says through the bulk endpoint, and accounts for every row of it.

A file module (`sales_file`, `mpesa_statement`) turns rows into entries and rejections; what is here
sends the entries, tries again what was not answered, and says of each what became of it.
"""

import csv
import io
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal
from zlib import crc32

import msgspec

from adapters.system.files import write_atomically
from api.validation import errors_in
from application.commands import COMMANDS
from domain.errors import Code
from domain.money import format_minor
from ops.http_client import (
    BULK_ELEMENTS,
    ApiClient,
    ApiError,
    Element,
    NotAnsweredError,
    Result,
    is_missing_right,
    progress,
)

LANES: Final = 2
"""Requests in flight. What concerns one wallet goes through one lane, one request after the other."""


_NOTHING_TO_DO: Final = {
    "wallet.open": Code.WALLET_EXISTS,
    # Money that came in by another door, such as the till, under the same receipt.
    "wallet.top_up": Code.REFERENCE_ALREADY_USED,
}
"""By action: the refusal that says that what was asked for is there already."""


class FileError(Exception):
    """The file as a whole cannot be read; nothing of it was posted."""


class RowError(Exception):
    """The row cannot be posted; the message is the reason."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a CSV file; `line` is the physical line where it starts. `flaw` says why it has no cells."""

    line: int
    cells: Sequence[str] = ()
    flaw: str = ""


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was not posted. `label` tells the row apart beside its line, such as a receipt number."""

    line: int
    reason: str
    label: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row to be posted: `elements` in order, the last of which is the row itself."""

    line: int
    lane: str
    amount_minor: int
    elements: tuple[Element, ...]
    label: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an entry; `reason` only where it was rejected, `prefunded_minor` what its wallet got."""

    entry: Entry
    kind: Literal["posted", "already_there", "rejected"]
    reason: str = ""
    prefunded_minor: int = 0


class Summary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The counts of one run: read = posted + already there + rejected. `total_minor` is what was posted.

    `rejected_after_prefund` counts those of the rejected whose money lies in their wallet, `stranded_minor` adds it up.
    """

    read: int
    posted: int
    already_there: int
    rejected: int
    total_minor: int
    rejected_after_prefund: int = 0
    stranded_minor: int = 0


# --- reading


def records(path: Path) -> Generator[Record]:
    """The records of a CSV file in UTF-8, blank lines left out.

    A record with broken quoting comes as a flaw. Raises FileError where the text is not UTF-8, or a quote
    that is never closed swallows the rest of the file.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except UnicodeDecodeError:
                raise FileError(f"{path} is not UTF-8 text; save it as UTF-8 and run again") from None
            except csv.Error as error:
                if "end of data" in str(error) or "field limit" in str(error):
                    why = f"a quote opened on line {line} is never closed, or a field is far too long"
                    raise FileError(f"{path}: {why}") from None
                yield Record(line=line, flaw=f"broken quoting, up to line {reader.line_num}: {error}")
                continue
            if cells is None:
                return
            if cells:
                yield Record(line=line, cells=cells)


def count_records(path: Path) -> int:
    """Read the file once to its end, so that a broken one is refused before anything is posted."""
    try:
        return sum(1 for _ in records(path))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from None


# --- posting


def element(action: str, *, key: str, data: Mapping[str, Any]) -> Element:
    """An element whose data has the shape of its command. Raises RowError where the API would refuse it.

    A row is refused before anything of it is sent: an earlier element would be accepted all the same.
    """
    command_type = COMMANDS[action].command_type
    try:
        msgspec.convert(data, command_type)
    except msgspec.ValidationError:
        first = errors_in(msgspec.json.encode(data), command_type)[0]
        raise RowError(f"{first.pointer.rpartition('/')[2]}: {first.detail}") from None
    return Element(action=action, idempotency_key=key, data=data)


class Importer:
    """One run: posts entries through `client` and counts.

    `start_position` is the log's position before the run, `explain` says why a result was refused,
    `advance` is called once for each row that has become something.
    """

    def __init__(
        self,
        client: ApiClient,
        *,
        start_position: int,
        explain: Callable[[Result], str],
        advance: Callable[[], None],
    ) -> None:
        self._client = client
        self._start_position = start_position
        self._explain = explain
        self._advance = advance
        self._posted = self._already_there = self._total_minor = 0
        self._rejected_after_prefund = self._stranded_minor = 0
        self.rejections: list[Rejection] = []

    def run(self, rows: Iterable[Entry | Rejection]) -> None:
        """Post every entry, in the file's order within a lane.

        Raises ApiError or UnreachableError where the run cannot go on; the same file may be run again.
        """
        with ThreadPoolExecutor(LANES) as pool:
            try:
                for outcome in self._outcomes(self._entries(rows), pool):
                    self._count(outcome)
            except BaseException:
                self._client.stop()
                raise

    def summary(self) -> Summary:
        rejected = len(self.rejections)
        return Summary(
            read=self._posted + self._already_there + rejected,
            posted=self._posted,
            already_there=self._already_there,
            rejected=rejected,
            total_minor=self._total_minor,
            rejected_after_prefund=self._rejected_after_prefund,
            stranded_minor=self._stranded_minor,
        )

    def _entries(self, rows: Iterable[Entry | Rejection]) -> Iterator[Entry]:
        for row in rows:
            if isinstance(row, Entry):
                yield row
            else:
                self.rejections.append(row)
                self._advance()

    def _outcomes(self, entries: Iterable[Entry], pool: ThreadPoolExecutor) -> Iterator[Outcome]:
        lanes = [_Lane(pool, self._post) for _ in range(LANES)]
        for entry in entries:
            yield from lanes[crc32(entry.lane.encode()) % LANES].add(entry)
        for lane in lanes:
            yield from lane.flush()
        for lane in lanes:
            yield from lane.collect()

    def _count(self, outcome: Outcome) -> None:
        entry = outcome.entry
        match outcome.kind:
            case "posted":
                self._posted += 1
                self._total_minor += entry.amount_minor
            case "already_there":
                self._already_there += 1
            case "rejected":
                self._rejected_after_prefund += outcome.prefunded_minor > 0
                self._stranded_minor += outcome.prefunded_minor
                self.rejections.append(Rejection(line=entry.line, reason=outcome.reason, label=entry.label))
        self._advance()

    def _post(self, entries: Sequence[Entry]) -> list[Outcome]:
        """Send entries until each has an answer that is final."""
        outcomes: list[Outcome] = []
        waiting, first = list(entries), True
        for attempt in self._client.attempts():
            with attempt:
                again: list[Entry] = []
                for entry, results in zip(waiting, self._send(waiting), strict=True):
                    if any(result.to_be_tried_again for result in results):
                        again.append(entry)
                    else:
                        outcomes.append(self._outcome(entry, results, tried_again=not first))
                if len(again) < len(waiting):
                    progress(attempt.retry_state)
                waiting, first = again, False
                if waiting:
                    raise NotAnsweredError(f"{len(waiting)} rows were not answered")
        return outcomes

    def _send(self, entries: Sequence[Entry]) -> list[list[Result]]:
        """Send each entry once; its results lack that of the row where what stands before it is not there.

        A row goes only when its prefunding is accepted: else it might draw on other money of the wallet,
        such as where the cash account is closed, or the key may sell but not top up.
        """
        before = iter(self._bulk([element for entry in entries for element in entry.elements[:-1]]))
        found = [[next(before) for _ in entry.elements[:-1]] for entry in entries]
        ready = [
            (entry, results)
            for entry, results in zip(entries, found, strict=True)
            if _all_there(entry, results)
        ]
        rows = self._bulk([entry.elements[-1] for entry, _ in ready])
        for (_, results), row in zip(ready, rows, strict=True):
            results.append(row)
        return found

    def _bulk(self, elements: Sequence[Element]) -> list[Result]:
        """Send elements. Raises ApiError where the credential has not the right to one of them."""
        results = self._client.bulk(elements) if elements else []
        for result in results:
            if is_missing_right(result):
                raise ApiError(result.status, result.code or "", result.detail)
        return results

    def _outcome(self, entry: Entry, results: Sequence[Result], *, tried_again: bool) -> Outcome:
        if not _all_there(entry, results):
            return self._rejected(entry, results)
        row = results[-1]
        if not row.accepted:
            return Outcome(entry=entry, kind="already_there")
        # An answer that got lost may have been this run's own: then the row acted after the run began.
        own = (tried_again or row.tried_again) and (row.position or 0) > self._start_position
        return Outcome(entry=entry, kind="posted" if own or not row.replayed else "already_there")

    def _rejected(self, entry: Entry, results: Sequence[Result]) -> Outcome:
        """The first refusal is the reason; where the row itself was refused, with what its wallet got for it."""
        answered = list(zip(entry.elements, results, strict=False))
        refused, refusal = next(each for each in answered if not _is_there(*each))
        reason = _booked_otherwise(refused, refusal) or self._explain(refusal)
        for element, result in answered[: len(entry.elements) - 1]:
            if element.action == "wallet.top_up" and result.accepted:
                paid_minor = element.data["amount"]
                paid = format_minor(paid_minor, element.data["currency"])
                reason = f"prefunded {paid}, sale refused: {reason}"
                return Outcome(entry=entry, kind="rejected", reason=reason, prefunded_minor=paid_minor)
        return Outcome(entry=entry, kind="rejected", reason=reason)


def _is_there(element: Element, result: Result) -> bool:
    """Whether what an element asks for was done, now or before."""
    if result.accepted:
        return True
    return result.code == _NOTHING_TO_DO.get(element.action, "") and not _booked_otherwise(element, result)


def _booked_otherwise(element: Element, result: Result) -> str:
    """How money is booked under its reference, where that is not as the file says it was paid; else nothing.

    Where it paid an invoice or a sale there is no wallet to compare.
    """
    if result.code != str(Code.REFERENCE_ALREADY_USED):
        return ""
    amount, account, currency = element.data["amount"], element.data["account"], element.data["currency"]
    if result.amount is None:
        return f"{result.code}: with what amount, this key may not see"
    if result.amount == amount and result.account in (None, account):
        return ""
    booked = f"{format_minor(result.amount, currency)}{f' on {result.account}' if result.account else ''}"
    return f"{result.code}: booked with {booked}, the file says {format_minor(amount, currency)} on {account}"


def _all_there(entry: Entry, results: Sequence[Result]) -> bool:
    return all(_is_there(element, result) for element, result in zip(entry.elements, results, strict=False))


class _Lane:
    """Gathers entries into requests, of which at most one is in flight."""

    def __init__(self, pool: ThreadPoolExecutor, post: Callable[[Sequence[Entry]], list[Outcome]]) -> None:
        self._pool = pool
        self._post = post
        self._gathered: list[Entry] = []
        self._elements = 0
        self._flying: Future[list[Outcome]] | None = None

    def add(self, entry: Entry) -> list[Outcome]:
        """Take an entry; returns what an earlier request brought, where room had to be made."""
        outcomes: list[Outcome] = []
        if self._elements + len(entry.elements) > BULK_ELEMENTS:
            outcomes = self.flush()
        self._gathered.append(entry)
        self._elements += len(entry.elements)
        return outcomes

    def flush(self) -> list[Outcome]:
        """Send what is gathered, once the request before it is answered; returns what that one brought."""
        outcomes = self.collect()
        if self._gathered:
            self._flying = self._pool.submit(self._post, self._gathered)
        self._gathered, self._elements = [], 0
        return outcomes

    def collect(self) -> list[Outcome]:
        """Wait for the request in flight; returns what it brought."""
        flying, self._flying = self._flying, None
        return [] if flying is None else flying.result()


# --- what was rejected


def rejected_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.rejected.csv")


def write_rejections(path: Path, rejections: Sequence[Rejection], *, label: str | None) -> Path | None:
    """Write the rejected rows of the file at `path` beside it, whole or not at all, in the order of lines.

    Where nothing was rejected the file of an earlier run is removed, and None returned. `label` is the
    header of the column for the rows' labels, None for no such column.
    """
    target = rejected_path(path)
    if not rejections:
        target.unlink(missing_ok=True)
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["line", "reason"] if label is None else ["line", label, "reason"])
    for rejection in sorted(rejections, key=lambda rejection: rejection.line):
        middle = [] if label is None else [rejection.label]
        writer.writerow([rejection.line, *middle, rejection.reason])
    write_atomically(target, text.getvalue().encode())
    return target
