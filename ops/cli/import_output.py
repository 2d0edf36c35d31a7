"""What `bursar import` tells of a run, or of one that would be made."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from ops.cli.output import print_json, print_table
from ops.words import counted

if TYPE_CHECKING:  # the API's client and all commands' shapes would slow the start of every command
    from ops.imports.foretelling import Foretold
    from ops.imports.run import Imported
    from ops.imports.tally import Kind
    from projections.views.imports import ImportView

Money = Callable[[int], str]


def tell(imported: "Imported", *, json: bool) -> None:
    """Print what a run did, as one line of JSON or in words."""
    summary, money = imported.summary, _money_in(imported.currency)
    if json:
        print_json(summary)
        return
    print(
        f"read {summary.read}: posted {summary.posted} ({money(summary.total_minor)}), "
        f"already there {summary.already_there}, rejected {summary.rejected}"
    )
    _tell_rejected(summary.rejected_by_reason, money)
    _tell_passed_over(summary.blank, summary.not_receipts, summary.not_receipts_by_reason)
    if summary.rejected_after_prefund:
        print(
            f"rejected after their wallet was prefunded: {summary.rejected_after_prefund}; "
            f"{money(summary.stranded_minor)} lie there"
        )
    if imported.written is not None:
        print(f"what was rejected, and why: {imported.written}")
    if imported.removed is not None:
        print(f"nothing was rejected this time: removed {imported.removed}")


def tell_foretold(foretold: "Foretold", currency: str, *, json: bool) -> None:
    """Print what a run would do, as one line of JSON or in words."""
    money = _money_in(currency)
    if json:
        print_json(foretold)
        return
    print(
        f"nothing is written. read {foretold.read}: would post {foretold.would_post} "
        f"({money(foretold.total_minor)}) of {counted(foretold.customers, 'customer')}, rejected {foretold.rejected}"
    )
    for each in foretold.imported_before:
        print(f"  imported before: {each.what} on {each.at:%Y-%m-%d %H:%M} UTC from {each.name}, {each.how}")
        if each.differs and foretold.would_refuse:
            print(
                f"  it would be refused, and else posted again: if it is the same file, {each.remedy}; or see --again"
            )
    if foretold.key_lacks:
        print(
            f"it would be refused, since the key may not post it: it lacks {foretold.key_lacks}. How far back its "
            "dates and how large its amounts may be was not asked"
        )
    for month in foretold.months:
        print(f"  {month.month}: {counted(month.rows, 'row')}, {money(month.amount_minor)}")
    _tell_rejected(foretold.rejected_by_reason, money)
    _tell_passed_over(foretold.blank, foretold.not_receipts, foretold.not_receipts_by_reason)
    if foretold.already_there:
        print(f"receipts that stand in the file again: {foretold.already_there}")
    if foretold.would_open:
        print(f"wallets that would be opened, {len(foretold.would_open)}: {', '.join(foretold.would_open)}")
    print(
        "not known before it is posted: which rows are there already, whether wallets have the funds or are frozen, "
        "and whether references are taken"
    )


def tell_imports(imports: "Sequence[ImportView]", *, json: bool) -> None:
    """Print imports, as one line of JSON or as a table."""
    if json:
        print_json(imports)
        return
    headers = ("BEGUN (UTC)", "SOURCE", "FILE", "READ", "POSTED", "ALREADY THERE", "REJECTED", "FINISHED")
    print_table(
        headers,
        (
            (
                f"{each.at:%Y-%m-%d %H:%M}",
                each.source,
                each.name,
                *map(str, (each.read, each.posted, each.already_there, each.rejected)),
                "yes" if each.finished else "no",
            )
            for each in imports
        ),
    )


def _tell_rejected(kinds: "Iterable[Kind]", money: Money) -> None:
    for kind in kinds:
        print(f"  rejected {kind.rows} ({money(kind.amount_minor or 0)}): {kind.reason}")


def _tell_passed_over(blank: int, not_receipts: int, kinds: "Iterable[Kind]") -> None:
    if blank or not_receipts:
        is_not = "is not a receipt" if not_receipts == 1 else "are not receipts"
        print(f"passed over: {counted(blank, 'blank row')}, {not_receipts} that {is_not}")
    for kind in kinds:
        print(f"  passed over {kind.rows}: {kind.reason}")


def _money_in(currency: str) -> Money:
    from domain.money import format_minor

    return lambda amount_minor: f"{format_minor(amount_minor, currency)} {currency}"
