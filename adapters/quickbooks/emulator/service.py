"""The company API under /v3: one call in, one answer out, both on disk before the answer leaves."""

from collections.abc import Callable, Collection, Mapping
from hmac import compare_digest
from typing import Any, Literal, get_args

import msgspec

from adapters.quickbooks.emulator import injection, query, refusals, statements, values, writes
from adapters.quickbooks.emulator.books import ENTITIES, KIND_BY_RESOURCE, READ_ONLY, TAX_LISTS, Books
from adapters.quickbooks.emulator.injection import Answer
from adapters.quickbooks.emulator.refusals import Body, Refusal
from adapters.quickbooks.emulator.store import Company, Store, decode, encode, load_company, now_ms

MOST_BATCH_ITEMS = 30
LONGEST_REQUEST_ID = 50
LONGEST_BATCH_REQUEST_ID = 36
# Only where a request id is given: python-quickbooks sends batch ids of 36 characters, and no request id.
LONGEST_BATCH_ITEM_ID = 10
DAY_MS = 86_400_000

Write = Literal["create", "update", "delete", "void"]
WRITES: tuple[Write, ...] = get_args(Write)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request under /v3/company/{realm}/{resource}[/{identifier}]."""

    method: str
    path: str
    realm: str
    resource: str
    identifier: str | None
    params: Mapping[str, str]
    authorization: str
    body: bytes

    @property
    def request_id(self) -> str | None:
        return self.params.get("requestid") or None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of a batch: `kind` is None for a query."""

    key: str
    kind: str | None
    operation: Write | Literal["query"]
    payload: Any


class Service:
    """Answers calls on a store, on behalf of holders of `access_token` or of a token issued over OAuth."""

    def __init__(self, store: Store, access_token: str) -> None:
        self.store = store
        self.access_token = access_token

    def answer(self, call: Call) -> Answer:
        """Runs the call in one transaction with its line in the request log."""
        with self.store.transaction():
            try:
                return self._admitted(call)
            except Refusal as refusal:
                return self._refused(call, refusal)

    def _refused(self, call: Call, refusal: Refusal) -> Answer:
        kind = KIND_BY_RESOURCE.get(call.resource)
        self._log(call, kind, _operation_name(call), refusal.status)
        return Answer(status=refusal.status, body=_enveloped({"Fault": refusal.fault()}))

    def _admitted(self, call: Call) -> Answer:
        self._authenticate(call.authorization)
        company = load_company(self.store, call.realm)
        if company is None:
            raise refusals.unknown_company(call.realm)
        if call.method == "POST" and call.resource == "batch":
            return self._batch(company, call)
        kind = KIND_BY_RESOURCE.get(call.resource)
        if call.method == "POST" and kind is not None:
            return self._write(company, call, kind)
        return self._read(company, call, kind)

    def _authenticate(self, authorization: str) -> None:
        token = authorization.removeprefix("Bearer ")
        if compare_digest(token.encode(), self.access_token.encode()):
            return
        if self.store.row(statements.SELECT_TOKEN, token, "access", now_ms()) is None:
            raise refusals.unauthenticated("Token expired, revoked or unknown")

    # Reads

    def _read(self, company: Company, call: Call, kind: str | None) -> Answer:
        if injection.take(self.store, (injection.EXPIRED_TOKEN,), _kinds(kind)):
            self._log(call, kind, _operation_name(call), injection.EXPIRED.status)
            return injection.EXPIRED
        match call.resource:
            case "query":
                text = call.params.get("query") or call.body.decode(errors="replace")
                asked = query.parse(text)
                kind, found = asked.kind, {"QueryResponse": query.run(self.store, company, asked)}
            case "cdc":
                found = self._changes(company, call)
            case _ if kind is not None:
                found = {kind: self._entity(company, kind, call.identifier)}
            case _:
                raise refusals.unsupported(f"{call.method} {call.path} is not emulated")
        self._log(call, kind, _operation_name(call), 200)
        return Answer(status=200, body=_enveloped(found))

    def _entity(self, company: Company, kind: str, identifier: str | None) -> Body:
        if kind in READ_ONLY:
            return query.read_only(company, kind)
        record = Books(self.store, company, now_ms()).find(kind, identifier or "")
        if record is None or record.deleted:
            raise refusals.not_found(f"{kind} {identifier} does not exist or has been deleted")
        return record.body

    def _changes(self, company: Company, call: Call) -> Body:
        asked = [name.strip() for name in call.params.get("entities", "").split(",") if name.strip()]
        if not asked:
            raise refusals.missing("entities")
        unknown = [name for name in asked if KIND_BY_RESOURCE.get(name.lower()) not in ENTITIES]
        if unknown:
            raise refusals.invalid_enumeration("entities", unknown[0])
        try:
            since = values.moment_ms(call.params.get("changedSince", ""))
        except ValueError:
            raise refusals.missing("changedSince") from None
        if since < now_ms() - query.CHANGE_DAYS * DAY_MS:
            raise refusals.business(f"changedSince must lie within the last {query.CHANGE_DAYS} days")
        return query.changes(self.store, company, [KIND_BY_RESOURCE[name.lower()] for name in asked], since)

    # Writes

    def _write(self, company: Company, call: Call, kind: str) -> Answer:
        _check_length("requestid", call.request_id, LONGEST_REQUEST_ID)
        body = _body(call)
        operation = _write_operation(call, body)

        def effect() -> Body:
            if kind in (*READ_ONLY, *TAX_LISTS):
                raise refusals.unsupported(f"{kind} cannot be changed through the API")
            self._refuse_if_armed(kind)
            with self.store.attempt():
                return {kind: _change(Books(self.store, company, now_ms()), kind, operation, body)}

        def log(status: int, *, replayed: bool) -> None:
            self._log(call, kind, operation, status, replayed=replayed)

        return self._once(call, (kind,), effect, log)

    def _batch(self, company: Company, call: Call) -> Answer:
        _check_length("requestid", call.request_id, LONGEST_BATCH_REQUEST_ID)
        items = _items(_body(call), call.request_id)
        kinds = {item.kind for item in items if item.kind is not None}
        statuses = [200] * len(items)

        def effect() -> Body:
            return {"BatchItemResponse": self._batch_items(company, items, statuses)}

        def log(status: int, *, replayed: bool) -> None:
            for item, own in zip(items, statuses, strict=True):
                self._log(
                    call, item.kind, item.operation, own if status == 200 else status, replayed=replayed
                )

        return self._once(call, kinds, effect, log, batch=items)

    def _once(
        self,
        call: Call,
        kinds: Collection[str],
        effect: Callable[[], Body],
        log: Callable[..., None],
        batch: list[Item] | None = None,
    ) -> Answer:
        """The effect, once per request id, with the faults armed for it; the answer of the first time is kept."""
        fault = injection.take(self.store, (*injection.BEFORE, *injection.AFTER), kinds) or ""
        refused, lose = injection.BEFORE.get(fault), injection.AFTER.get(fault)
        if refused is not None:
            log(refused.status, replayed=False)
            return refused
        answer = self._replay(call, kinds, log, batch) or self._first(call, effect, log)
        return answer if lose is None else lose(answer)

    def _replay(
        self, call: Call, kinds: Collection[str], log: Callable[..., None], batch: list[Item] | None
    ) -> Answer | None:
        """The stored answer of this request id, if there is one."""
        stored = self.store.row(statements.SELECT_ANSWER, call.realm, call.request_id)
        if stored is None:
            return None
        if injection.take(self.store, (injection.EXPIRED_REQUEST_IDS,), kinds):
            self.store.run(statements.DELETE_ANSWER, call.realm, call.request_id)
            return None
        log(200, replayed=True)
        if batch is not None and injection.take(self.store, (injection.REPLAY_6000,), kinds):
            fault = injection.replay_refused().fault()
            refused = [{"Fault": fault, "bId": item.key} for item in batch]
            return Answer(status=200, body=_enveloped({"BatchItemResponse": refused}))
        return Answer(status=200, body=stored[0])

    def _first(self, call: Call, effect: Callable[[], Body], log: Callable[..., None]) -> Answer:
        try:
            body = _enveloped(effect())
        except Refusal as refusal:
            log(refusal.status, replayed=False)
            return Answer(status=refusal.status, body=_enveloped({"Fault": refusal.fault()}))
        # A refused call had no effect, so its request id stays free; the answer of a batch is kept as it is.
        if call.request_id is not None:
            self.store.run(statements.INSERT_ANSWER, call.realm, call.request_id, body)
        log(200, replayed=False)
        return Answer(status=200, body=body)

    def _batch_items(self, company: Company, items: list[Item], statuses: list[int]) -> list[Body]:
        """Each item by itself: what one refuses does not stop the others. `statuses` takes what became of each."""
        books = Books(self.store, company, now_ms())
        kinds = {item.kind for item in items if item.kind is not None}
        failing = injection.take(self.store, (injection.PARTIAL_BATCH,), kinds) is not None
        answers: list[Body] = []
        for place, item in enumerate(items):
            try:
                # A partial batch loses its first item and then every second one.
                if failing and place % 2 == 0:
                    raise injection.item_failed()
                self._refuse_if_armed(item.kind)
                with self.store.attempt():
                    answers.append({**self._item(books, item), "bId": item.key})
            except Refusal as refusal:
                statuses[place] = refusal.status
                # What the item read of its own undone writes must not be seen by the next.
                books = Books(self.store, company, now_ms())
                answers.append({"Fault": refusal.fault(), "bId": item.key})
        return answers

    def _item(self, books: Books, item: Item) -> Body:
        if item.operation == "query" or item.kind is None:
            return {"QueryResponse": query.run(self.store, books.company, query.parse(str(item.payload)))}
        return {item.kind: _change(books, item.kind, item.operation, item.payload)}

    def _refuse_if_armed(self, kind: str | None) -> None:
        """Outside the attempt, so that a refusal that was armed stays counted."""
        code = injection.take(self.store, injection.CODES, _kinds(kind)) if kind else None
        if code is not None:
            refusal = injection.CODES[code]
            raise refusal()

    def _log(
        self, call: Call, kind: str | None, operation: str, status: int, *, replayed: bool = False
    ) -> None:
        at = _timestamp()
        line = (at, call.method, call.path, kind, operation, call.request_id, replayed, status)
        self.store.run(statements.INSERT_REQUEST, *line)


def _change(books: Books, kind: str, operation: Write, body: Body) -> Body:
    match operation:
        case "create":
            return writes.create(books, kind, body)
        case "update":
            return writes.update(books, kind, body)
        case "delete":
            return writes.delete(books, kind, body)
        case "void":
            return writes.void(books, kind, body)


def _timestamp() -> str:
    milliseconds = now_ms()
    return f"{values.moment(milliseconds)[:19]}.{milliseconds % 1000:03d}Z"


def _enveloped(body: Body) -> bytes:
    return encode({**body, "time": _timestamp()})


def _kinds(kind: str | None) -> tuple[str, ...]:
    return () if kind is None else (kind,)


def _operation_name(call: Call) -> str:
    """The operation as the request log names it, known before the body is read."""
    if call.resource in ("query", "cdc", "batch"):
        return call.resource
    if call.method == "GET":
        return "read"
    return _named_operation(call) or "create"


def _named_operation(call: Call) -> Write | None:
    """The operation that the address names: none for a create or an update."""
    if call.params.get("include") == "void":
        return "void"
    named = call.params.get("operation", "").lower()
    return next((operation for operation in WRITES if operation == named), None)


def _write_operation(call: Call, body: Body) -> Write:
    """A body with an Id is an update, whatever the address says, unless it says delete or void."""
    named = _named_operation(call)
    if named in ("delete", "void"):
        return named
    return "update" if body.get("Id") not in (None, "") else named or "create"


def _check_length(name: str, given: str | None, limit: int) -> None:
    if given is not None and len(given) > limit:
        raise refusals.too_long(name, limit, len(given))


def _body(call: Call) -> Body:
    try:
        read = decode(call.body)
    except msgspec.DecodeError as error:
        raise refusals.invalid_property(f"The request is not JSON: {error}") from None
    if not isinstance(read, dict):
        raise refusals.invalid_property("The request is not a JSON object")
    return read


def _items(body: Body, request_id: str | None) -> list[Item]:
    given = body.get("BatchItemRequest")
    if not isinstance(given, list) or not given:
        raise refusals.missing("BatchItemRequest")
    if len(given) > MOST_BATCH_ITEMS:
        raise refusals.business(f"A batch takes at most {MOST_BATCH_ITEMS} items, {len(given)} were supplied")
    items = [_batch_item(item) for item in given]
    if request_id is not None:
        for item in items:
            _check_length("bId", item.key, LONGEST_BATCH_ITEM_ID)
    if len({item.key for item in items}) < len(items):
        raise refusals.invalid_property("Two items of the batch have the same bId")
    return items


def _batch_item(item: object) -> Item:
    if not isinstance(item, dict):
        raise refusals.invalid_property("An item of the batch is not an object")
    key = item.get("bId")
    if not isinstance(key, str) or not key:
        raise refusals.missing("bId")
    if "Query" in item:
        return Item(key=key, kind=None, operation="query", payload=item["Query"])
    kind = next((name for name in item if name in ENTITIES), None)
    if kind is None or not isinstance(item[kind], dict):
        raise refusals.invalid_property(f"Item {key} of the batch holds no entity that is emulated")
    named = "void" if item.get("optionsData") == "void" else str(item.get("operation", "")).lower()
    operation: Write | None = next((known for known in WRITES if known == named), None)
    if operation is None:
        raise refusals.invalid_enumeration("operation", item.get("operation"))
    return Item(key=key, kind=kind, operation=operation, payload=item[kind])
