"""What an import would do, as far as it can be known without writing.

Which rows are there already, whether a wallet has the funds for its sales or is frozen, and whether a reference is taken,
the service tells only when it is asked to post.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import msgspec

from domain.calendar import EARLIEST_EFFECTIVE_DATE
from domain.errors import Code
from ops.imports.history import Likeness
from ops.imports.limits import Limits
from ops.imports.reading import Layout
from ops.imports.rows import Entry, Rejection, Row, Skipped
from ops.imports.tally import Kind, Tally


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a month that would be posted."""

    month: str
    rows: int
    amount_minor: int


class Foretold(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is not made: read = would_post + already_there + rejected.

    Of what is there already only a receipt is known that stands in the file twice. `would_open` are wallets.
    `imported_before` are imports of this file or of one much like it; where anything of one differs, the file would be
    refused as a whole. It is also where the key lacks the capability to post, `key_lacks`; then the limits of dates and
    amounts are not known.
    """

    dry_run: bool = True
    read: int
    would_post: int
    already_there: int
    rejected: int
    total_minor: int
    customers: int
    months: tuple[Month, ...]
    would_open: tuple[str, ...]
    rejected_by_reason: tuple[Kind, ...]
    blank: int
    not_receipts: int
    not_receipts_by_reason: tuple[Kind, ...]
    file: Layout
    imported_before: tuple[Likeness, ...] = ()
    would_refuse: bool = False
    key_lacks: str | None = None


def foretell(
    passes: Iterable[Iterable[Row]],
    layout: Layout,
    *,
    today: date,
    wallets: Callable[[], frozenset[str]],
    limits: Limits,
) -> Foretold:
    """Go through the rows without posting any. `wallets` is asked for those there are, where a row needs one."""
    teller = _Teller(today, wallets, limits)
    for number, rows in enumerate(passes):
        for row in rows:
            teller.take(row, repeated=number > 0)
    return teller.foretold(layout)


class _Teller:
    def __init__(self, today: date, wallets: Callable[[], frozenset[str]], limits: Limits) -> None:
        self._limits = limits
        self._today = today.isoformat()
        self._ask_for_wallets = wallets
        self._wallets: frozenset[str] | None = None
        self._tally = Tally()
        self._customers: set[str] = set()
        self._rows: Counter[str] = Counter()
        self._amounts: Counter[str] = Counter()
        self._would_open: set[str] = set()

    def take(self, row: Row, *, repeated: bool) -> None:
        match row:
            case Rejection():
                self._tally.reject(row)
            case Skipped():
                self._tally.skip(row)
            case Entry():
                refusal = self._refusal(row)
                if refusal is not None:
                    self._tally.reject(refusal)
                elif repeated:
                    self._tally.find_there()
                else:
                    self._post(row)

    def _refusal(self, entry: Entry) -> Rejection | None:
        """What the service would surely refuse."""
        data = entry.elements[-1].data
        if data["effective_date"] > self._today:
            code: str = Code.EFFECTIVE_DATE_IN_FUTURE
        elif data["effective_date"] < EARLIEST_EFFECTIVE_DATE.isoformat():
            code = Code.EFFECTIVE_DATE_TOO_EARLY
        elif entry.elements[-1].action == "wallet.top_up" and not self._exists(data["account"]):
            code = Code.WALLET_NOT_FOUND
        else:
            code = self._limits.refusal(entry)
        if not code:
            return None
        return Rejection(line=entry.line, reason=code, kind=code, amount_minor=entry.amount_minor)

    def _post(self, entry: Entry) -> None:
        data: Any = entry.elements[-1].data
        self._tally.post(entry)
        customer = data.get("customer") or data.get("account")
        if customer:
            self._customers.add(customer)
        month = data["effective_date"][:7]
        self._rows[month] += 1
        self._amounts[month] += entry.amount_minor
        first = entry.elements[0]
        if first.action == "wallet.open" and not self._exists(first.data["account"]):
            self._would_open.add(first.data["account"])

    def _exists(self, wallet_id: str) -> bool:
        if self._wallets is None:
            self._wallets = self._ask_for_wallets()
        return wallet_id in self._wallets

    def foretold(self, layout: Layout) -> Foretold:
        summary = self._tally.summary()
        return Foretold(
            read=summary.read,
            would_post=summary.posted,
            already_there=summary.already_there,
            rejected=summary.rejected,
            total_minor=summary.total_minor,
            customers=len(self._customers),
            months=tuple(
                Month(month=month, rows=rows, amount_minor=self._amounts[month])
                for month, rows in sorted(self._rows.items())
            ),
            would_open=tuple(sorted(self._would_open)),
            rejected_by_reason=summary.rejected_by_reason,
            blank=summary.blank,
            not_receipts=summary.not_receipts,
            not_receipts_by_reason=summary.not_receipts_by_reason,
            file=layout,
            would_refuse=bool(self._limits.lacking),
            key_lacks=self._limits.lacking or None,
        )
