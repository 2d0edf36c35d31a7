"""HTML from plain functions: whatever is not markup already is escaped where it is put."""

from collections.abc import Iterable, Sequence
from html import escape

import msgspec

from adapters.quickbooks.emulator import values

_WITHOUT_END = ("input", "link", "meta")


class Html(str):
    """Markup. Besides constants only `tag` and `joined` make it, of parts that they escape."""

    __slots__ = ()


def joined(*parts: object) -> Html:
    """The parts one after the other; None is nothing."""
    return Html(
        "".join(part if isinstance(part, Html) else escape(str(part)) for part in parts if part is not None)
    )


def tag(name: str, /, *children: object, **attributes: str | None) -> Html:
    """An element; `class_` and `aria_label` stand for `class` and `aria-label`, and None leaves one out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    end = "" if name in _WITHOUT_END else f"</{name}>"
    return Html(f"<{name}{given}>{joined(*children)}{end}")


def link(path: str, text: object) -> Html:
    return tag("a", text, href=path)


class Column(msgspec.Struct, frozen=True):
    """A column of a table. Head and cells of numbers stand to the right."""

    head: str
    numbers: bool = False
    whole: bool = False  # never broken into two lines
    roomy: bool = False  # left out where the screen is narrow

    @property
    def css(self) -> str | None:
        marks = (("n", self.numbers), ("k", self.whole), ("w", self.roomy))
        return " ".join(name for name, is_set in marks if is_set) or None


def table(
    caption: object,
    columns: Sequence[Column],
    rows: Iterable[Sequence[object]],
    foot: Sequence[object] | None = None,
) -> Html:
    """A table with its heads, and below it a row of sums; without rows it only says so."""
    body = [_row(columns, row) for row in rows]
    if not body:
        return tag("p", "None.")
    heads = (tag("th", column.head, class_=column.css, scope="col") for column in columns)
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *body),
        None if foot is None else tag("tfoot", _row(columns, foot)),
    )


def _row(columns: Sequence[Column], row: Sequence[object]) -> Html:
    cells = zip(columns, row, strict=True)
    return tag("tr", *(tag("td", value, class_=column.css) for column, value in cells))


def facts(*pairs: tuple[str, object]) -> Html:
    """Names with what they stand for, those without a value left out."""
    return tag(
        "dl",
        *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs if value not in (None, "")),
    )


def money(minor: int | None) -> str:
    """An amount in hundredths as people read it: 1,234,567.00. None is nothing."""
    return "" if minor is None else f"{values.from_minor(minor):,}"


def side(minor: int) -> str:
    """An amount in a column of debits or of credits, where nothing is left empty."""
    return money(minor) if minor else ""


def sides(debit_minor: int) -> tuple[str, str]:
    """An amount in the column of its side, debit or credit."""
    return side(max(debit_minor, 0)), side(max(-debit_minor, 0))
