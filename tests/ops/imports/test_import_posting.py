"""Posting a file: what is sent, what is sent again, and how every row is accounted for.

The service here is a real HTTP server that keeps keys as the API does and fails when told to: a service
that breaks down at a chosen moment cannot be had from the real one.
"""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ops.http_client import ApiClient, ApiError, Element, NotAnsweredError, UnreachableError, progress
from ops.imports.importer import Importer
from ops.imports.rows import Entry, Rejection, RowError, Skipped, element
from ops.imports.tally import Kind

WALLET_FAULT = {
    "status": 409,
    "code": "insufficient_funds",
    "position": None,
    "replayed": False,
    "detail": "Empty.",
}


class Service(ThreadingHTTPServer):
    """`faults` are taken one per request; `refusals` are answers by idempotency key."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock, self.counting = threading.Lock(), threading.Lock()
        self.position = 100
        self.known: dict[str, int] = {}
        self.acted: list[dict] = []
        self.requests: list[int] = []
        self.faults: list[str] = []
        self.refusals: dict[str, dict] = {}
        self.in_flight = self.most_in_flight = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def act(self, element: dict, fault: str) -> dict:
        key = element["idempotency_key"]
        if fault == "busy":
            return {"status": 503, "code": "unavailable", "position": None, "replayed": False}
        if key in self.refusals:
            return self.refusals[key]
        if key in self.known:
            return {"status": 201, "code": None, "position": self.known[key], "replayed": True}
        self.position += 1
        self.known[key] = self.position
        self.acted.append(element)
        return {"status": 201, "code": None, "position": self.position, "replayed": False}


class Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert self.path == "/v2/finance/bulk"
        elements = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        service = self.server
        with service.counting:
            service.in_flight += 1
            service.most_in_flight = max(service.most_in_flight, service.in_flight)
        with service.lock:
            fault = service.faults.pop(0) if service.faults else ""
            service.requests.append(len(elements))
            results = (
                []
                if fault in ("503", "429", "408", "later", "lost", "refused")
                else [service.act(e, fault) for e in elements]
            )
            if fault == "half":
                results = [
                    service.act(e, "busy") if i % 2 else r
                    for i, (e, r) in enumerate(zip(elements, results, strict=True))
                ]
        with service.counting:
            service.in_flight -= 1
        match fault:
            case "lost" | "done and lost":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            case "503" | "429" | "408":
                self.answer(int(fault), {"code": "unavailable", "detail": "Later."}, {"Retry-After": "0"})
            case "later":
                self.answer(503, {"code": "unavailable", "detail": "Later."}, {"Retry-After": "1"})
            case "refused":
                self.answer(401, {"code": "unauthenticated", "detail": "Who are you?"}, {})
            case _:
                self.answer(200, {"data": results}, {})

    def answer(self, status: int, body: object, headers: dict[str, str]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def entry(line: int, wallet: str = "A", amount: int = 100) -> Entry:
    key = f"sale-{line:08}"
    actions = (("wallet.top_up", f"{key}:prefund"), ("pos.checkout", key))
    elements = tuple(
        Element(
            action=action,
            idempotency_key=key,
            data={"wallet": wallet, "amount": amount, "currency": "KES"},
        )
        for action, key in actions
    )
    return Entry(line=line, lane=wallet, amount_minor=amount, elements=elements)


def refusal(line: int, reason: str, kind: str) -> Rejection:
    return Rejection(line=line, reason=reason, kind=kind, amount_minor=100)


def run(
    service: Service, rows, *, give_up_seconds: float = 60.0, passed_over: int = 0
) -> tuple[Importer, list[str]]:
    notices: list[str] = []
    advanced: list[None] = []
    with ApiClient(service.url, "key", notice=notices.append, give_up_seconds=give_up_seconds) as client:
        importer = Importer(
            client,
            start_position=service.position,
            explain=lambda result: f"{result.code}: {result.detail}",
            advance=lambda: advanced.append(None),
        )
        importer.run(rows)
    assert len(advanced) == importer.tally.summary().read + passed_over
    return importer, notices


def counts(importer: Importer) -> tuple[int, int, int, int, int]:
    summary = importer.tally.summary()
    assert summary.read == summary.posted + summary.already_there + summary.rejected
    return summary.read, summary.posted, summary.already_there, summary.rejected, summary.total_minor


def test_a_run_again_posts_nothing(service):
    rows = [entry(n) for n in range(2, 12)]
    assert counts(run(service, rows)[0]) == (10, 10, 0, 0, 1000)
    assert counts(run(service, rows)[0]) == (10, 0, 10, 0, 0)
    assert len(service.acted) == 20


def test_a_file_that_has_grown_posts_what_is_new(service):
    run(service, [entry(n) for n in range(2, 12)])
    assert counts(run(service, [entry(n, amount=n) for n in range(2, 14)])[0]) == (12, 2, 10, 0, 25)


def test_no_request_is_larger_than_allowed_and_no_more_than_two_are_in_flight(service):
    run(service, (entry(n, wallet=f"W{n % 50}") for n in range(3000)))
    assert max(service.requests) <= 1000
    assert sum(service.requests) == 6000
    assert service.most_in_flight <= 2


def test_what_concerns_one_wallet_keeps_its_order(service):
    service.faults = ["503", "lost", "", "done and lost"]
    run(service, (entry(n, wallet=f"W{n % 50}") for n in range(3000)))
    by_wallet: dict[str, list[str]] = {}
    for acted in service.acted:
        by_wallet.setdefault(acted["data"]["wallet"], []).append(acted["idempotency_key"])
    assert len(by_wallet) == 50
    for n, keys in enumerate(by_wallet[f"W{n}"] for n in range(50)):
        lines = range(n, 3000, 50)
        assert [key for key in keys if key.endswith(":prefund")] == [f"sale-{n:08}:prefund" for n in lines]
        assert [key for key in keys if not key.endswith(":prefund")] == [f"sale-{n:08}" for n in lines]
        assert all(keys.index(f"sale-{n:08}:prefund") < keys.index(f"sale-{n:08}") for n in lines)


@pytest.mark.parametrize("fault", ["503", "429", "408", "lost", "busy", "half"])
def test_what_was_not_answered_is_sent_again_with_the_same_keys(service, fault):
    service.faults = [fault, fault]
    importer, notices = run(service, [entry(n) for n in range(2, 12)])
    assert counts(importer) == (10, 10, 0, 0, 1000)
    assert len(service.acted) == 20
    # Of the halves, one is of the prefundings and one of the rows that they let pass, in the same attempt.
    assert len(notices) == (1 if fault == "half" else 2)


def test_an_answer_that_was_lost_is_counted_as_this_runs(service):
    service.faults = ["done and lost"]
    assert counts(run(service, [entry(n) for n in range(2, 12)])[0]) == (10, 10, 0, 0, 1000)
    service.faults = ["done and lost"]
    assert counts(run(service, [entry(n) for n in range(2, 13)])[0]) == (11, 1, 10, 0, 100)


def test_a_refusal_rejects_its_row_alone_and_the_first_of_several_is_the_reason(service):
    service.refusals["sale-00000003"] = WALLET_FAULT
    service.refusals["sale-00000004:prefund"] = {
        **WALLET_FAULT,
        "code": "wallet_not_open",
        "detail": "Frozen.",
    }
    service.refusals["sale-00000004"] = WALLET_FAULT
    importer, _ = run(service, [entry(n) for n in range(2, 6)])
    assert counts(importer) == (4, 2, 0, 2, 200)
    assert importer.tally.rejections == [
        refusal(3, "prefunded 1.00, sale refused: insufficient_funds: Empty.", "insufficient_funds"),
        refusal(4, "wallet_not_open: Frozen.", "wallet_not_open"),
    ]
    assert (importer.tally.summary().rejected_after_prefund, importer.tally.summary().stranded_minor) == (
        1,
        100,
    )


@pytest.mark.parametrize("code", ["account_not_open", "effective_date_in_future", "wallet_not_open"])
def test_a_sale_whose_prefunding_is_refused_draws_on_nothing_else(service, code):
    service.refusals["sale-00000002:prefund"] = {**WALLET_FAULT, "code": code}
    importer, _ = run(service, [entry(2), entry(3)])
    assert counts(importer) == (2, 1, 0, 1, 100)
    assert importer.tally.rejections == [refusal(2, f"{code}: Empty.", code)]
    assert importer.tally.summary().rejected_after_prefund == 0
    assert "sale-00000002" not in service.known


def test_a_sale_that_was_refused_is_tried_again_without_another_prefunding(service):
    service.refusals["sale-00000002"] = WALLET_FAULT
    for _ in range(2):
        importer, _ = run(service, [entry(2)])
        assert importer.tally.summary().rejected_after_prefund == 1
    del service.refusals["sale-00000002"]
    assert counts(run(service, [entry(2)])[0]) == (1, 1, 0, 0, 100)
    assert [acted["idempotency_key"] for acted in service.acted] == ["sale-00000002:prefund", "sale-00000002"]


def test_a_key_that_may_sell_but_not_top_up_sells_nothing(service):
    service.refusals["sale-00000002:prefund"] = {**WALLET_FAULT, "status": 403, "code": "capability_missing"}
    with pytest.raises(ApiError, match="capability_missing"):
        run(service, [entry(2)])
    assert service.acted == []


def test_a_key_that_may_prefund_and_not_sell_leaves_no_row_half_done(service):
    """What the others of a request got for their wallets is sold before the run ends."""
    service.refusals["sale-00000003:prefund"] = {**WALLET_FAULT, "status": 403, "code": "capability_missing"}
    with ApiClient(service.url, "key", notice=lambda _: None) as client:
        importer = Importer(client, start_position=service.position, explain=str, advance=lambda: None)
        with pytest.raises(ApiError, match="capability_missing"):
            importer.run([entry(2), entry(3)])
    assert "sale-00000002" in service.known
    assert counts(importer) == (2, 1, 0, 1, 100)


def test_a_date_that_a_key_may_not_write_rejects_its_row_alone(service):
    service.refusals["sale-00000003:prefund"] = {
        **WALLET_FAULT,
        "status": 403,
        "code": "capability_missing",
        "capability": "transaction.backdate",
    }
    importer, _ = run(service, [entry(2), entry(3), entry(4)])
    assert counts(importer) == (3, 2, 0, 1, 200)


def test_a_sale_whose_reference_is_taken_is_rejected(service):
    service.refusals["sale-00000002"] = {**WALLET_FAULT, "code": "reference_already_used", "amount": 700}
    importer, _ = run(service, [entry(2), entry(3)])
    assert counts(importer) == (2, 1, 0, 1, 100)


def test_an_element_has_the_shape_of_its_command():
    data = {"account": "A", "amount": 1, "currency": "KES", "source": {"type": "cash"}}
    assert element("wallet.top_up", key="sale-2:prefund", data=data).data == data
    for wrong in ({"amount": 0}, {"currency": "kes"}, {"source": {"type": "wallet"}}, {"till": "T"}):
        with pytest.raises(RowError):
            element("wallet.top_up", key="sale-2:prefund", data={**data, **wrong})


def test_a_row_that_the_file_alone_refuses_is_counted(service):
    importer, _ = run(
        service,
        [Rejection(line=2, reason="bad", kind="bad", amount_minor=5), entry(3), refusal(4, "bad", "bad")],
    )
    assert counts(importer) == (3, 1, 0, 2, 100)
    assert importer.tally.summary().rejected_by_reason == (Kind(reason="bad", rows=2, amount_minor=105),)


def test_what_is_passed_over_is_counted_apart(service):
    charge = Skipped(kind="not_receipt", reason="a charge")
    importer, _ = run(service, [Skipped(kind="blank"), charge, entry(3), charge], passed_over=3)
    assert counts(importer) == (1, 1, 0, 0, 100)
    summary = importer.tally.summary()
    assert (summary.blank, summary.not_receipts) == (1, 2)
    assert summary.not_receipts_by_reason == (Kind(reason="a charge", rows=2),)


@pytest.mark.parametrize(
    ("booked", "reason"),
    [
        ({"amount": 100, "account": "A"}, ""),
        ({"amount": 100}, ""),  # it paid an invoice or a sale
        ({"amount": 70, "account": "A"}, "booked with 0.70 on A, the file says 1.00 on A"),
        ({"amount": 100, "account": "B"}, "booked with 1.00 on B, the file says 1.00 on A"),
        ({"amount": 70}, "booked with 0.70, the file says 1.00 on A"),
        ({}, "with what amount, this key may not see"),
    ],
)
def test_a_reference_that_came_in_by_another_door_is_there_only_as_it_was_paid(service, booked, reason):
    data = {"account": "A", "amount": 100, "currency": "KES"}
    top_up = Element(action="wallet.top_up", idempotency_key="mpesa-SJ2A1BB1", data=data)
    service.refusals["mpesa-SJ2A1BB1"] = {**WALLET_FAULT, "code": "reference_already_used", **booked}
    importer, _ = run(service, [Entry(line=2, lane="A", amount_minor=100, elements=(top_up,))])
    if reason:
        assert counts(importer) == (1, 0, 0, 1, 0)
        assert importer.tally.rejections[0].reason == f"reference_already_used: {reason}"
    else:
        assert counts(importer) == (1, 0, 1, 0, 0)


def test_a_wallet_that_exists_is_fine(service):
    opening = Element(action="wallet.open", idempotency_key="open-wallet:A", data={"wallet": "A"})
    service.refusals["open-wallet:A"] = {**WALLET_FAULT, "code": "wallet_exists"}
    service.refusals["sale-00000003"] = WALLET_FAULT
    rows = [Entry(line=n, lane="A", amount_minor=100, elements=(opening, *entry(n).elements)) for n in (2, 3)]
    importer, _ = run(service, rows)
    assert counts(importer) == (2, 1, 0, 1, 100)
    assert importer.tally.rejections[0].reason == "prefunded 1.00, sale refused: insufficient_funds: Empty."


def test_a_key_without_the_right_ends_the_run(service):
    service.refusals["sale-00000002"] = {**WALLET_FAULT, "status": 403, "code": "capability_missing"}
    with pytest.raises(ApiError, match="capability_missing"):
        run(service, [entry(2)])


def test_a_key_that_nobody_knows_ends_the_run(service):
    service.faults = ["refused"]
    with pytest.raises(ApiError, match="Who are you"):
        run(service, [entry(2)])


@pytest.mark.parametrize("fault", ["503", "lost", "busy"])
def test_a_service_that_stays_away_is_given_up(service, fault):
    service.faults = [fault] * 1000
    with pytest.raises(UnreachableError, match="did not answer"):
        run(service, (entry(n, wallet=f"W{n}") for n in range(3000)), give_up_seconds=0.0)
    assert service.acted == []


def test_a_service_that_says_when_is_left_alone_until_then(service):
    service.faults = ["later"]
    importer, [notice] = run(service, [entry(2)])
    assert importer.tally.summary().posted == 1
    assert notice.endswith("/v2/finance/bulk: 503; trying again in 1.0 s")


def test_what_brought_something_begins_anew(service):
    notices: list[str] = []
    with ApiClient(service.url, "key", notice=notices.append) as client:
        left = 6
        for attempt in client.attempts():
            with attempt:
                progress(attempt.retry_state)
                left -= 1
                if left:
                    raise NotAnsweredError(f"{left} are left")
    pauses = [float(notice.removesuffix(" s").rpartition(" ")[2]) for notice in notices]
    assert len(pauses) == 5
    assert max(pauses) <= 0.2  # as after a first failure


def test_a_client_that_is_stopped_makes_no_further_attempt(service):
    service.faults = ["503"] * 10
    with ApiClient(service.url, "key") as client:
        client.stop()
        with pytest.raises(UnreachableError, match="stopped"):
            client.bulk(entry(2).elements)
    assert len(service.requests) == 1


def test_nobody_waits_long_for_an_address_that_cannot_be_called():
    with ApiClient("gopher://127.0.0.1", "key") as client, pytest.raises(ApiError, match="cannot be called"):
        client.get("ping")


def test_what_is_not_bursar_is_told(service):
    with (
        ApiClient(f"{service.url}/elsewhere", "key") as client,
        pytest.raises(ApiError, match="answered 501"),
    ):
        client.get("ping")
