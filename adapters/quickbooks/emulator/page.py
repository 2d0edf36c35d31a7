"""The books on a page: companies with their accounts and documents, the last requests, what is armed."""

from collections.abc import Sequence
from html import escape

from adapters.quickbooks.emulator import injection, statements, values
from adapters.quickbooks.emulator.refusals import Body
from adapters.quickbooks.emulator.store import Company, Store, companies

RECENT = 25
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; color: #1c2430 }
h1 { font-size: 1.4rem } h2 { font-size: 1.15rem; margin-top: 2rem } h3 { font-size: 1rem; margin-bottom: .3rem }
table { border-collapse: collapse; width: 100% } caption { text-align: left; color: #5b6673; padding: .2rem 0 }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e3e7ec } th { color: #5b6673 }
.n { text-align: right; font-variant-numeric: tabular-nums } p { color: #5b6673 }
"""


def balances(store: Store, realm: str) -> list[Body]:
    """Each account with what the documents leave on it: debits less credits, as a decimal text."""
    return [
        {"AcctNum": number, "Name": name, "AccountType": kind, "balance": str(values.from_minor(debit))}
        for number, name, kind, debit in store.rows(statements.SELECT_BALANCES, realm)
    ]


def requests(store: Store, after: int, limit: int) -> list[Body]:
    """The request log from the line after `after` on, oldest first."""
    return [_request(row) for row in store.rows(statements.SELECT_REQUESTS, after, limit)]


def _request(row: tuple[object, ...]) -> Body:
    names = ("n", "at", "method", "path", "entity", "operation", "request_id", "replayed", "status")
    line = dict(zip(names, row, strict=True))
    return {**line, "replayed": bool(line["replayed"])}


def html(store: Store) -> str:
    known = companies(store)
    sections = "".join(_company(store, company) for company in known) or "<p>No company yet.</p>"
    recent = [_request(row) for row in store.rows(statements.SELECT_RECENT_REQUESTS, RECENT)]
    log = _table(
        f"The last {RECENT} requests, newest first",
        ("n", "at", "method", "path", "entity", "operation", "request id", "replayed", "status"),
        [tuple(line.values()) for line in recent],
    )
    armed = _table(
        "Armed faults", ("fault", "entity", "left"), [tuple(line.values()) for line in injection.armed(store)]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>QuickBooks emulator</title>'
        f"<style>{_STYLE}</style></head><body><h1>QuickBooks Online emulator</h1>"
        f"{sections}<h2>Requests</h2>{log}<h2>Faults</h2>{armed}</body></html>"
    )


def _company(store: Store, company: Company) -> str:
    accounts = [
        (line["AcctNum"], line["Name"], line["AccountType"], _Amount(line["balance"]))
        for line in balances(store, company.realm)
    ]
    documents = [
        (kind, number, label, day, _money(total), _money(balance), "deleted" if deleted else "")
        for kind, number, label, day, total, balance, deleted in store.rows(
            statements.SELECT_RECENT_DOCUMENTS, company.realm, RECENT
        )
    ]
    home = company.preferences.HomeCurrency
    books = _table(f"Accounts, debits less credits, {home}", ("number", "name", "type", "balance"), accounts)
    recent = _table(
        f"The last {RECENT} documents, newest first",
        ("kind", "id", "number", "date", "total", "open", ""),
        documents,
    )
    title = (
        f"<h2>{escape(company.name)}</h2><p>Company {escape(company.realm)}, {escape(company.country)}</p>"
    )
    return title + books + recent


class _Amount(str):
    """A cell that is set to the right."""

    __slots__ = ()


def _money(minor: int | None) -> _Amount:
    return _Amount("" if minor is None else values.from_minor(minor))


def _table(caption: str, heads: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    if not rows:
        return f"<p>{escape(caption)}: none.</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    style = ' class="n"' if isinstance(value, _Amount) else ""
    return f"<td{style}>{escape('' if value is None else str(value))}</td>"
