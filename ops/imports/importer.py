"""Posts what a file says through the bulk endpoint, and accounts for every row of it.

A file module (`sales_file`, `mpesa_statement`) turns records into rows; what is here sends the entries among
them, tries again what was not answered, and says of each what became of it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Literal
from zlib import crc32

import msgspec

from domain.errors import Code
from domain.money import format_minor
from ops.http_client import (
    BULK_ELEMENTS,
    ApiClient,
    ApiError,
    Element,
    NotAnsweredError,
    Result,
    UnreachableError,
    is_missing_right,
    progress,
)
from ops.imports.rows import Entry, Rejection, Row, Skipped
from ops.imports.tally import Tally
from ops.words import counted

LANES: Final = 2
"""Requests in flight. What concerns one wallet goes through one lane, one request after the other."""


_NOTHING_TO_DO: Final = {
    "wallet.open": Code.WALLET_EXISTS,
    # Money that came in by another door, such as the till, under the same receipt.
    "wallet.top_up": Code.REFERENCE_ALREADY_USED,
}
"""By action: the refusal that says that what was asked for is there already."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an entry.

    Only where it was rejected: `reason`, `refusal`, the service's code for it, and `prefunded_minor`, what its wallet
    got.
    """

    entry: Entry
    kind: Literal["posted", "already_there", "rejected"]
    reason: str = ""
    refusal: str = ""
    prefunded_minor: int = 0


# --- posting


class Importer:
    """One run: posts entries through `client`, and counts in `tally`.

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
        self.tally = Tally()
        self._denied: ApiError | None = None

    def run(self, rows: Iterable[Row]) -> None:
        """Post every entry, in the file's order within a lane.

        Raises ApiError or UnreachableError where the run cannot go on; the same file may be run again. However it
        ends, what was in flight is waited for and counted.
        """
        with ThreadPoolExecutor(LANES) as pool:
            lanes = [_Lane(pool, self._post) for _ in range(LANES)]
            try:
                for outcome in self._outcomes(self._entries(rows), lanes):
                    self._count(outcome)
            except BaseException:
                self._client.stop()
                for lane in lanes:
                    with suppress(ApiError, UnreachableError):
                        for outcome in lane.collect():
                            self._count(outcome)
                raise

    def _check_right(self) -> None:
        if self._denied is not None:
            raise self._denied

    def _entries(self, rows: Iterable[Row]) -> Iterator[Entry]:
        for row in rows:
            match row:
                case Entry():
                    yield row
                    continue
                case Rejection():
                    self.tally.reject(row)
                case Skipped():
                    self.tally.skip(row)
            self._advance()

    def _outcomes(self, entries: Iterable[Entry], lanes: Sequence["_Lane"]) -> Iterator[Outcome]:
        for entry in entries:
            self._check_right()
            yield from lanes[crc32(entry.lane.encode()) % LANES].add(entry)
        for lane in lanes:
            yield from lane.flush()
        for lane in lanes:
            yield from lane.collect()
        self._check_right()

    def _count(self, outcome: Outcome) -> None:
        entry = outcome.entry
        match outcome.kind:
            case "posted":
                self.tally.post(entry)
            case "already_there":
                self.tally.find_there()
            case "rejected":
                rejection = Rejection(
                    line=entry.line,
                    reason=outcome.reason,
                    kind=outcome.refusal,
                    amount_minor=entry.amount_minor,
                    key=entry.key,
                )
                self.tally.reject(rejection, prefunded_minor=outcome.prefunded_minor)
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
                    raise NotAnsweredError(f"no answer for {counted(len(waiting), 'row')}")
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
        """Send elements.

        Where the credential has not the right to one of them the run ends, but only once the rows have gone whose
        prefunding was accepted: money must not lie there without its sale.
        """
        results = self._client.bulk(elements) if elements else []
        for result in results:
            if is_missing_right(result):
                self._denied = ApiError(result.status, result.code or "", result.detail)
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
        refused, result = next(each for each in answered if not _is_there(*each))
        reason = _booked_otherwise(refused, result) or self._explain(result)
        refusal = result.code or str(result.status)
        prefunded_minor = 0
        for element, before in answered[: len(entry.elements) - 1]:
            if element.action == "wallet.top_up" and before.accepted:
                prefunded_minor = element.data["amount"]
                reason = f"prefunded {format_minor(prefunded_minor, element.data['currency'])}, sale refused: {reason}"
        return Outcome(
            entry=entry, kind="rejected", reason=reason, refusal=refusal, prefunded_minor=prefunded_minor
        )


def _is_there(element: Element, result: Result) -> bool:
    """Whether what an element asks for was done, now or before."""
    if result.accepted:
        return True
    return result.code == _NOTHING_TO_DO.get(element.action, "") and not _booked_otherwise(element, result)


def _booked_otherwise(element: Element, result: Result) -> str:
    """How money is booked under its reference, where that is not as the file says it was paid; else nothing.

    Where it paid an invoice or a sale there is no wallet to compare.
    """
    if element.action != "wallet.top_up" or result.code != str(Code.REFERENCE_ALREADY_USED):
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
        outcomes = [] if self._flying is None else self._flying.result()
        self._flying = None
        return outcomes
