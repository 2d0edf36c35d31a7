"""QuickBooks' query language: one entity, conditions joined by AND, paged; no OR, no JOIN, no NOT."""

import re
from typing import Literal, NewType

import msgspec

from adapters.quickbooks.emulator import refusals, statements, values
from adapters.quickbooks.emulator.books import KIND_BY_RESOURCE, NAME_LISTS, READ_ONLY, TAX_LISTS
from adapters.quickbooks.emulator.refusals import Body
from adapters.quickbooks.emulator.store import Company, Store, decode

DEFAULT_RESULTS = 100
MOST_RESULTS = 1000
CHANGE_DAYS = 30

Operator = Literal["=", "<", ">", "<=", ">=", "IN", "LIKE"]
Sql = NewType("Sql", str)

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:\\.|[^'\\])*')|(?P<mark><=|>=|=|<|>|\(|\)|,|\*)"
    r"|(?P<number>-?\d+(?:\.\d+)?(?![\w-]))|(?P<word>[A-Za-z_][\w.]*))"
)
_COLUMNS = {
    "id": Sql("id"),
    "docnumber": Sql("doc_number"),
    "paymentrefnum": Sql("reference"),
    "displayname": Sql("name"),
    "name": Sql("name"),
    "acctnum": Sql("acct_num"),
    "accounttype": Sql("category"),
    "type": Sql("category"),
    "txndate": Sql("txn_date"),
    "customerref": Sql("customer_id"),
    "totalamt": Sql("total_minor"),
    "balance": Sql("balance_minor"),
    "active": Sql("active"),
    "synctoken": Sql("sync_token"),
    "metadata.createtime": Sql("created_ms"),
    "metadata.lastupdatedtime": Sql("updated_ms"),
}
# Texts without a column of their own: read from the stored JSON.
_TEXTS = (
    "FullyQualifiedName",
    "AccountSubType",
    "Classification",
    "CompanyName",
    "GivenName",
    "FamilyName",
    "PrivateNote",
    "DueDate",
    "Sku",
)
_TEXT_COLUMNS = {name.lower(): Sql(f"json_extract(json, '$.{name}')") for name in _TEXTS}
_NUMBERS = ("id", "sync_token")
_AMOUNTS = ("total_minor", "balance_minor")
_MOMENTS = ("created_ms", "updated_ms")


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    operator: Operator
    values: tuple[str, ...]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    count: bool
    columns: tuple[str, ...]  # empty: the whole entity
    conditions: tuple[Condition, ...]
    order: tuple[tuple[str, bool], ...]  # (property, descending)
    start: int
    most: int


class _Reader:
    """The tokens of one query, read from left to right."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at, text = 0, text.strip().rstrip(";")
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise refusals.query_error(f"Encountered {text[at : at + 20]!r} at column {at + 1}")
            self.tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()
        self.at = 0

    def peek(self) -> str:
        """The next word or mark in lower case; a string keeps its quotes; empty at the end."""
        if self.at == len(self.tokens):
            return ""
        group, token = self.tokens[self.at]
        return token if group == "string" else token.lower()

    def take(self, *wanted: str) -> bool:
        if self.peek() in wanted:
            self.at += 1
            return True
        return False

    def need(self, *wanted: str) -> None:
        if not self.take(*wanted):
            raise refusals.query_error(
                f"Encountered {self.peek() or 'the end'!r}, was expecting {wanted[0]!r}"
            )

    def group(self, *groups: str) -> str:
        if self.at == len(self.tokens) or self.tokens[self.at][0] not in groups:
            raise refusals.query_error(
                f"Encountered {self.peek() or 'the end'!r}, was expecting a {groups[0]}"
            )
        self.at += 1
        return self.tokens[self.at - 1][1]

    def value(self) -> str:
        token = self.group("string", "number", "word")
        return re.sub(r"\\(.)", r"\1", token[1:-1]) if token.startswith("'") else token

    def whole(self) -> int:
        token = self.group("number")
        if not token.isdecimal():
            raise refusals.query_error(f"Encountered {token!r}, was expecting a whole number")
        return int(token)


def parse(text: str) -> Query:
    """Raises Refusal (4000) for what the language does not have."""
    reader = _Reader(text)
    reader.need("select")
    count, columns = _selection(reader)
    reader.need("from")
    kind = KIND_BY_RESOURCE.get(reader.group("word").lower())
    if kind is None:
        raise refusals.query_error("The entity is not one that can be queried here")
    conditions = _conditions(reader)
    order = _order(reader)
    start = max(reader.whole(), 1) if reader.take("startposition") else 1
    most = reader.whole() if reader.take("maxresults") else DEFAULT_RESULTS
    if reader.peek():
        raise refusals.query_error(f"Encountered {reader.peek()!r} where the query should end")
    return Query(
        kind=kind,
        count=count,
        columns=columns,
        conditions=conditions,
        order=order,
        start=start,
        most=min(most, MOST_RESULTS),
    )


def _selection(reader: _Reader) -> tuple[bool, tuple[str, ...]]:
    if reader.take("count"):
        for mark in ("(", "*", ")"):
            reader.need(mark)
        return True, ()
    columns: list[str] = []
    everything = False
    while True:
        if reader.take("*"):
            everything = True
        else:
            columns.append(reader.group("word"))
        if not reader.take(","):
            return False, () if everything else tuple(columns)


def _conditions(reader: _Reader) -> tuple[Condition, ...]:
    conditions: list[Condition] = []
    if reader.take("where"):
        conditions.append(_condition(reader))
        while reader.take("and"):
            conditions.append(_condition(reader))
    return tuple(conditions)


def _condition(reader: _Reader) -> Condition:
    name = reader.group("word")
    operators: tuple[Operator, ...] = ("<=", ">=", "=", "<", ">", "IN", "LIKE")
    for operator in operators:
        if reader.take(operator.lower()):
            return Condition(name=name, operator=operator, values=_values(reader, operator))
    raise refusals.query_error(f"Encountered {reader.peek() or 'the end'!r}, was expecting an operator")


def _values(reader: _Reader, operator: Operator) -> tuple[str, ...]:
    if operator != "IN":
        return (reader.value(),)
    reader.need("(")
    found = [reader.value()]
    while reader.take(","):
        found.append(reader.value())
    reader.need(")")
    return tuple(found)


def _order(reader: _Reader) -> tuple[tuple[str, bool], ...]:
    if reader.take("order"):
        reader.need("by")
    elif not reader.take("orderby"):
        return ()
    order: list[tuple[str, bool]] = []
    while True:
        name = reader.group("word")
        descending = reader.take("desc")
        if not descending:
            reader.take("asc")
        order.append((name, descending))
        if not reader.take(","):
            return tuple(order)


def run(store: Store, company: Company, query: Query) -> Body:
    """The value of the key `QueryResponse`, of the entities that existed before the call."""
    if query.kind in READ_ONLY:
        return {query.kind: [read_only(company, query.kind)], "startPosition": 1, "maxResults": 1}
    where, bound = _where(company, query)
    if query.count:
        sql = f"SELECT COUNT(*) FROM entity WHERE {where}"  # noqa: S608 - made of our own column names only
        return {"totalCount": store.row(sql, *bound)[0]}
    # The plus keeps SQLite from walking all ids in order where an index of a condition finds the few that match.
    last = "+id" if query.conditions else "id"
    order = [f"{_column(query.kind, name)} {'DESC' if down else 'ASC'}" for name, down in query.order]
    sql = f"SELECT json FROM entity WHERE {where} ORDER BY {', '.join([*order, last])} LIMIT ? OFFSET ?"  # noqa: S608 - likewise
    found = [text for (text,) in store.rows(sql, *bound, query.most, query.start - 1)]
    if not found:
        return {}
    entities = [_projected(text, query.columns) for text in found]
    return {query.kind: entities, "startPosition": query.start, "maxResults": len(entities)}


def _projected(text: str, columns: tuple[str, ...]) -> object:
    if not columns:
        return msgspec.Raw(text.encode())
    wanted = {name.split(".")[0].lower() for name in columns} | {"id"}
    return {key: value for key, value in decode(text).items() if key.lower() in wanted}


def _column(kind: str, name: str) -> Sql:
    key = name.removesuffix(".value").lower()
    column = _COLUMNS.get(key) or _TEXT_COLUMNS.get(key)
    if column is None:
        raise refusals.unknown_query_property(kind, name)
    return column


def _where(company: Company, query: Query) -> tuple[str, list[object]]:
    terms = ["realm = ?", "kind = ?", "id < ?", "NOT deleted"]
    bound: list[object] = [company.realm, query.kind, company.next_id]
    if query.kind in (*NAME_LISTS, *TAX_LISTS) and all(
        known.name.lower() != "active" for known in query.conditions
    ):
        terms.append("active")
    for condition in query.conditions:
        column = _column(query.kind, condition.name)
        marks = ", ".join("?" for _ in condition.values)
        match condition.operator:
            case "IN":
                terms.append(f"{column} IN ({marks})")
            case "LIKE":
                terms.append(f"{column} LIKE ? ESCAPE '\\'")
            case _:
                terms.append(f"{column} {condition.operator} ?")
        bound += [_bound(column, condition, value) for value in condition.values]
    return " AND ".join(terms), bound


def _bound(column: Sql, condition: Condition, value: str) -> object:
    """The value as the column holds it. Raises Refusal (4001) when it is not of the column's type."""
    if condition.operator == "LIKE":
        return value.replace("\\", "\\\\").replace("_", "\\_")
    try:
        if column in _NUMBERS:
            return int(value)
        if column in _AMOUNTS:
            return values.minor(values.amount(value, condition.name))
        if column in _MOMENTS:
            return values.moment_ms(value)
    except ValueError:
        raise refusals.query_error(f"{value!r} is not a value of {condition.name}") from None
    if column == "active":
        return value.lower() == "true"
    return value


def read_only(company: Company, kind: str) -> Body:
    """The entities that say how a company is set up."""
    stamp = {
        "CreateTime": values.moment(company.created_ms),
        "LastUpdatedTime": values.moment(company.created_ms),
    }
    head: Body = {"Id": "1", "SyncToken": "0", "domain": "QBO", "sparse": False, "MetaData": stamp}
    if kind == "CompanyInfo":
        names = {"CompanyName": company.name, "LegalName": company.name, "Country": company.country}
        return head | names | {"FiscalYearStartMonth": "January", "SupportedLanguages": "en"}
    switches = company.preferences
    closing = {} if switches.BookCloseDate is None else {"BookCloseDate": switches.BookCloseDate}
    return head | {
        "AccountingInfoPrefs": {"UseAccountNumbers": True, "CustomerTerminology": "Customers", **closing},
        "SalesFormsPrefs": {
            "CustomTxnNumbers": switches.CustomTxnNumbers,
            "AutoApplyCredit": switches.AutoApplyCredit,
        },
        "TaxPrefs": {"UsingSalesTax": switches.UsingSalesTax},
        "CurrencyPrefs": {"HomeCurrency": {"value": switches.HomeCurrency}, "MultiCurrencyEnabled": False},
    }


def changes(store: Store, company: Company, kinds: list[str], since_ms: int) -> Body:
    """Change data: what was written since a moment, deleted documents as such; 1,000 of each kind at most."""
    answers: list[Body] = []
    for kind in kinds:
        rows = store.rows(statements.SELECT_CHANGED, company.realm, kind, since_ms, MOST_RESULTS)
        entities = [_changed(*row) for row in rows]
        page = {kind: entities, "startPosition": 1, "maxResults": len(entities)} if entities else {}
        answers.append(page)
    return {"CDCResponse": [{"QueryResponse": answers}]}


def _changed(number: int, deleted: int, updated_ms: int, text: str) -> object:
    if not deleted:
        return msgspec.Raw(text.encode())
    stamp = {"LastUpdatedTime": values.moment(updated_ms)}
    return {"domain": "QBO", "status": "Deleted", "Id": str(number), "MetaData": stamp}
