"""The counts of one run: what became of the rows, how many there were of each kind, and for how much money."""

from collections import Counter

import msgspec

from ops.imports.reading import Layout
from ops.imports.rows import Entry, Rejection, Skipped


class Kind(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rows that have one reason in common; `amount_minor` adds up those amounts that could be read."""

    reason: str
    rows: int
    amount_minor: int | None = None


class Summary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The counts of one run: read = posted + already there + rejected. `total_minor` is what was posted.

    `rejected_after_prefund` counts those of the rejected whose money lies in their wallet, `stranded_minor` adds it up.
    Blank rows and those that are not receipts are not in `read`. `file` says how the file was read.
    """

    read: int
    posted: int
    already_there: int
    rejected: int
    total_minor: int
    rejected_after_prefund: int = 0
    stranded_minor: int = 0
    blank: int = 0
    not_receipts: int = 0
    not_receipts_by_reason: tuple[Kind, ...] = ()
    rejected_by_reason: tuple[Kind, ...] = ()
    file: Layout | None = None


class Tally:
    """Takes what became of each row."""

    def __init__(self) -> None:
        self._posted = self._already_there = self._total_minor = 0
        self._rejected_after_prefund = self._stranded_minor = 0
        self._blank = 0
        self._not_receipts: Counter[str] = Counter()
        self.rejections: list[Rejection] = []

    def post(self, entry: Entry) -> None:
        self._posted += 1
        self._total_minor += entry.amount_minor

    def find_there(self) -> None:
        self._already_there += 1

    def reject(self, rejection: Rejection, *, prefunded_minor: int = 0) -> None:
        """Take a rejection, and what its wallet got all the same."""
        self.rejections.append(rejection)
        self._rejected_after_prefund += prefunded_minor > 0
        self._stranded_minor += prefunded_minor

    def skip(self, row: Skipped) -> None:
        if row.kind == "blank":
            self._blank += 1
        else:
            self._not_receipts[row.reason] += 1

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
            blank=self._blank,
            not_receipts=self._not_receipts.total(),
            not_receipts_by_reason=tuple(
                Kind(reason=reason, rows=rows) for reason, rows in self._not_receipts.most_common()
            ),
            rejected_by_reason=self._rejected_by_kind(),
        )

    def _rejected_by_kind(self) -> tuple[Kind, ...]:
        rows: Counter[str] = Counter()
        amounts: Counter[str] = Counter()
        for rejection in self.rejections:
            rows[rejection.kind] += 1
            amounts[rejection.kind] += rejection.amount_minor or 0
        return tuple(
            Kind(reason=kind, rows=count, amount_minor=amounts[kind]) for kind, count in rows.most_common()
        )
