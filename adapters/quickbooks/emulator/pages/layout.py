"""What all pages share: the sheet of styles, the head with the way to everything else, and how lists are paged."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import quote, urlencode

from adapters.quickbooks.emulator.pages.listing import Page
from adapters.quickbooks.emulator.pages.markup import Html, joined, link, tag
from adapters.quickbooks.emulator.store import Company

_STYLE: Final = Html("""
:root { --ink: #1b2530; --soft: #586573; --line: #e2e7ec; --back: #f3f5f7; --own: #1a7431; --bad: #b3261e }
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.45 system-ui, sans-serif;
  overflow-wrap: anywhere }
a { color: var(--own); text-decoration: none } a:hover { text-decoration: underline }
header { background: #fff; border-top: 4px solid var(--own); border-bottom: 1px solid var(--line) }
header > div, main { max-width: 74rem; margin: 0 auto; padding: .7rem 1rem }
header div, nav { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; align-items: baseline }
header strong { font-size: 1.05rem } header small { color: var(--soft) }
nav { margin: .2rem 0 .8rem; align-items: center }
nav form { margin-left: auto } section nav { margin: .8rem 0 .1rem }
nav [aria-current] { color: var(--ink); font-weight: 600 }
form { display: flex; gap: .4rem; max-width: 100% } label { color: var(--soft); align-self: center }
input, button { font: inherit; padding: .3rem .6rem; border: 1px solid #b9c3cd; border-radius: 5px }
input { min-width: 0; width: 15rem } button { border-color: var(--own); color: #fff; background: var(--own) }
h1 { font-size: 1.35rem; margin: .6rem 0 .2rem } h2 { font-size: 1.08rem; margin: 0 0 .5rem }
p { color: var(--soft); margin: .3rem 0 }
section { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: .9rem 1rem;
  margin: .9rem 0; overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .95em }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem }
th, td { text-align: left; vertical-align: baseline; padding: .28rem .55rem;
  border-bottom: 1px solid var(--line) }
th { color: var(--soft); font-weight: 600; font-size: .9em; overflow-wrap: normal }
th:first-child, td:first-child { padding-left: 0 } th:last-child, td:last-child { padding-right: 0 }
tbody tr:hover { background: #f7f9fa }
tfoot td { font-weight: 600; border-top: 2px solid var(--line); border-bottom: 0 }
.n { text-align: right; font-variant-numeric: tabular-nums } .k, td.n { white-space: nowrap }
.bad { color: var(--bad) }
dl { display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: 0 }
dt { color: var(--soft); font-size: .9em } dd { margin: 0; font-variant-numeric: tabular-nums }
@media (max-width: 40rem) {
  body { font-size: 14px } .w { display: none } a .k { display: inline-block; white-space: normal }
  header > div, main { padding: .5rem } header div { gap: .3rem .8rem } header strong { font-size: .95rem }
  section { padding: .6rem } table { font-size: 13px } th, td { padding: .3rem .2rem }
  nav form { margin-left: 0; width: 100% } input { flex: 1; font-size: 16px }
}
""")
_STYLE_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final[Mapping[str, str]] = {
    # Nothing is loaded or run: the one sheet of styles is known by its hash, and forms come back here.
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class PageError(Exception):
    """What was asked for cannot be shown; the text says why, in a sentence for the reader."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def path(company: Company, *parts: object, **params: object) -> str:
    """The address of a company's page, under that of its overview."""
    way = "/".join(quote(str(part), safe="") for part in ("companies", company.realm, *parts))
    return f"/{way}?{urlencode(params)}" if params else f"/{way}"


def document_path(company: Company, document_id: int) -> str:
    return path(company, "documents", document_id)


def customer_path(company: Company, customer_id: int) -> str:
    return path(company, "customers", customer_id)


def account_path(company: Company, account_id: int) -> str:
    return path(company, "accounts", account_id)


def page(title: str, *content: object) -> Html:
    """A whole page."""
    name = "QuickBooks emulator"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title if title == name else f"{title} · {name}"),
        tag("style", _STYLE),
    )
    top = tag(
        "div",
        tag("strong", link("/", "QuickBooks Online emulator")),
        link("/#requests", "Requests"),
        link("/#faults", "Faults"),
        tag("small", "It stands in for QuickBooks Online on this machine.", class_="w"),
    )
    body = tag("body", tag("header", top), tag("main", *content))
    return joined(Html("<!doctype html>"), tag("html", head, body, lang="en"))


def company_page(company: Company, title: str, here: str, *content: object) -> Html:
    """A page of a company below its navigation, of which the address `here` is where the reader is."""
    name = tag("p", link(path(company), company.name))
    return page(f"{title} · {company.name}", name, navigation(company, here), *content)


def navigation(company: Company, here: str) -> Html:
    to_find = f"find-{company.realm}"
    return tag(
        "nav",
        *choices(
            here,
            ("Overview", path(company)),
            ("Customers", path(company, "customers")),
            ("Documents", path(company, "documents")),
        ),
        tag(
            "form",
            tag("label", "Find", for_=to_find),
            tag("input", id=to_find, name="text", type="search", placeholder="Number or name", required=""),
            tag("button", "Find"),
            action=path(company, "find"),
            role="search",
        ),
    )


def choices(here: str, *places: tuple[str, str]) -> list[Html]:
    """Links by name and address, the one of `here` marked."""
    return [tag("a", name, href=to, aria_current="page" if to == here else None) for name, to in places]


def pager(page: Page, first: str, names: tuple[str, str, str, str]) -> Html | None:
    """The links from a page of a list to the others, named as they lie: first, previous, next, last.

    `first` is the address of the list's first page. A list of one page has none.
    """
    if not page.has_previous and not page.has_next:
        return None
    to = f"{first}{'&' if '?' in first else '?'}"
    links: list[Html] = []
    if page.has_previous:
        links.append(link(first, f"« {names[0]}"))
        if page.rows:
            links.append(link(f"{to}before={page.rows[0][0]}", f"← {names[1]}"))
    if page.has_next:
        if page.rows:
            links.append(link(f"{to}after={page.rows[-1][0]}", f"{names[2]} →"))
        links.append(link(f"{to}last=", f"{names[3]} »"))
    return tag("nav", *links, aria_label="Pages")


BY_AGE: Final = ("Newest", "Newer", "Older", "Oldest")
BY_ORDER: Final = ("First", "Previous", "Next", "Last")
