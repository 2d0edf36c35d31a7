"""The QuickBooks emulator when things go wrong: replays, armed faults, killed processes."""

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.emulator import Emulator, School, code, emulator, ref

_realms = count(5000)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("emulator") / "books.db") as started:
        yield started


@pytest.fixture
def server(running: Emulator) -> Iterator[Emulator]:
    yield running
    running.disarm()


@pytest.fixture
def school(server: Emulator) -> School:
    return School(server, str(next(_realms)))


def receipts(school: School, *numbers: str) -> list[dict[str, Any]]:
    return [
        {"bId": str(place), "operation": "create", "SalesReceipt": school.sale("1.00", DocNumber=number)}
        for place, number in enumerate(numbers)
    ]


# Replays


def test_a_request_id_gives_the_first_answer_again_and_no_second_effect(school: School) -> None:
    after = school.server.last_request()
    first = school.post("SalesReceipt", school.sale("1.00"), requestid="once")
    again = school.post("SalesReceipt", school.sale("2.00"), requestid="once")
    assert again.content == first.content
    assert school.count("SalesReceipt") == 1
    lines = [
        line
        for line in school.server.requests(after)
        if line["entity"] == "SalesReceipt" and line["method"] == "POST"
    ]
    assert [(line["operation"], line["request_id"], line["replayed"], line["status"]) for line in lines] == [
        ("create", "once", False, 200),
        ("create", "once", True, 200),
    ]
    other = School(school.server, str(next(_realms)))
    assert other.post("SalesReceipt", other.sale("1.00"), requestid="once").content != first.content


def test_update_void_and_delete_replay_too(school: School) -> None:
    payment = school.made("Payment", **school.payment("1.00"))
    steps: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"Id": payment["Id"], "SyncToken": "0", "sparse": True, "PrivateNote": "x"}, {"requestid": "u"}),
        ({"Id": payment["Id"], "SyncToken": "1"}, {"requestid": "v", "operation": "void"}),
        ({"Id": payment["Id"], "SyncToken": "2"}, {"requestid": "d", "operation": "delete"}),
    ]
    for body, params in steps:
        first = school.post("Payment", body, **params)
        assert first.status_code == 200, first.text
        assert school.post("Payment", body, **params).content == first.content


def test_a_batch_replays_whole_with_its_refusals(school: School) -> None:
    after = school.server.last_request()
    items = receipts(school, "A", "A", "B")
    first = school.batch(items, requestid="batch")
    assert school.batch(items, requestid="batch") == first
    assert school.count("SalesReceipt") == 2
    lines = [line for line in school.server.requests(after) if line["path"].endswith("/batch")]
    assert [(line["operation"], line["replayed"], line["status"]) for line in lines] == [
        ("create", False, 200),
        ("create", False, 400),
        ("create", False, 200),
        *[("create", True, 200)] * 3,
    ]


def test_a_refused_call_leaves_its_request_id_free(school: School) -> None:
    school.switch(BookCloseDate="2026-12-31")
    body = school.sale("1.00", TxnDate="2026-12-31")
    assert code(school.post("SalesReceipt", body, requestid="held")) == "6210"
    school.switch(BookCloseDate=None)
    assert school.post("SalesReceipt", body, requestid="held").status_code == 200


# Faults


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("429", 429, "json"),
        (429, 429, "json"),
        ("429_xml", 429, "xml"),
        ("500", 500, "html"),
        (500, 500, "html"),
        ("503", 503, "html"),
        ("expired_token", 401, "json"),
    ],
)
def test_a_gateway_fault_answers_and_nothing_happens(
    school: School, fault: str | int, status: int, kind: str
) -> None:
    school.server.arm(fault)
    refused = school.post("SalesReceipt", school.sale("1.00"), requestid="r")
    assert refused.status_code == status
    assert kind in refused.headers["content-type"]
    assert ("retry-after" in refused.headers) == (status == 429)
    if status == 401:
        assert refused.json()["fault"]["error"][0]["code"] == "3200"
    assert school.count("SalesReceipt") == 0
    assert school.post("SalesReceipt", school.sale("1.00"), requestid="r").status_code == 200


@pytest.mark.parametrize("fault", ["drop_after_commit", "dropped_after_commit"])
def test_a_dropped_answer_leaves_the_effect(school: School, fault: str) -> None:
    school.server.arm(fault)
    with pytest.raises(httpx.RemoteProtocolError):
        school.post("SalesReceipt", school.sale("1.00"), requestid="lost")
    assert school.count("SalesReceipt") == 1
    assert school.post("SalesReceipt", school.sale("1.00"), requestid="lost").status_code == 200
    assert school.count("SalesReceipt") == 1


@pytest.mark.parametrize("fault", ["hang_after_commit", "hung_after_commit"])
def test_a_hung_answer_leaves_the_effect(school: School, fault: str) -> None:
    school.server.arm(fault)
    with pytest.raises(httpx.ReadTimeout):
        school.call("POST", "salesreceipt", json=school.sale("1.00"), timeout=0.5)
    assert school.count("SalesReceipt") == 1


def test_a_401_after_the_commit_leaves_the_effect(school: School) -> None:
    school.server.arm("401_after_commit")
    assert school.post("SalesReceipt", school.sale("1.00"), requestid="r").status_code == 401
    assert school.post("SalesReceipt", school.sale("1.00"), requestid="r").status_code == 200
    assert school.count("SalesReceipt") == 1


@pytest.mark.parametrize("fault", ["6140", "6240", "5010", "6210"])
def test_a_code_refuses_one_write_alone_or_in_a_batch(school: School, fault: str) -> None:
    school.server.arm(fault, count=2, entity="SalesReceipt")
    school.made("Customer", DisplayName="not hit")
    assert code(school.post("SalesReceipt", school.sale("1.00"))) == fault
    answers = school.batch(receipts(school, "A", "B"))
    assert answers[0]["Fault"]["Error"][0]["code"] == fault
    assert answers[1]["SalesReceipt"]["DocNumber"] == "B"
    assert school.server.http.get("/emulator/faults").json() == []


def test_a_partial_batch_loses_every_second_item(school: School) -> None:
    school.server.arm("partial_batch")
    answers = school.batch(receipts(school, "A", "B", "C"), requestid="p")
    assert ["Fault" in answer for answer in answers] == [True, False, True]
    assert answers[0]["Fault"]["type"] == "SystemFault"
    assert school.count("SalesReceipt") == 1


def test_a_replayed_batch_may_answer_6000(school: School) -> None:
    school.server.arm("6000_on_batch_replay")
    items = receipts(school, "A")
    school.batch(items, requestid="b")
    again = school.batch(items, requestid="b")
    assert again[0]["Fault"]["Error"][0]["code"] == "6000"
    assert school.count("SalesReceipt") == 1


def test_a_forgotten_request_id_lets_the_call_happen_again(school: School) -> None:
    school.server.arm("expired_request_ids")
    first = school.post("Payment", school.payment("1.00"), requestid="r").json()["Payment"]
    second = school.post("Payment", school.payment("1.00"), requestid="r").json()["Payment"]
    assert first["Id"] != second["Id"]
    assert school.post("Payment", school.payment("1.00"), requestid="r").json()["Payment"] == second


def test_a_fault_hits_its_entity_only_and_spares_reads(school: School) -> None:
    school.server.arm("500", count=2, entity="payment")
    school.made("SalesReceipt", **school.sale("1.00"))
    assert school.count("Payment") == 0
    assert school.post("Payment", school.payment("1.00")).status_code == 500
    items = [*receipts(school, "A"), {"bId": "p", "operation": "create", "Payment": school.payment("1.00")}]
    assert school.call("POST", "batch", json={"BatchItemRequest": items}).status_code == 500
    assert school.batch(items)[1]["Payment"]["TotalAmt"] == 1


def test_an_expired_token_hits_a_read(school: School) -> None:
    school.server.arm("expired_token")
    assert school.call("GET", "preferences").status_code == 401
    assert school.call("GET", "preferences").status_code == 200


def test_faults_are_listed_cleared_and_checked(server: Emulator) -> None:
    server.arm("503", count=3)
    server.arm("500", entity="Invoice")
    assert server.http.get("/emulator/faults").json() == [
        {"fault": "503", "entity": None, "count": 3},
        {"fault": "500", "entity": "Invoice", "count": 1},
    ]
    assert "503" in server.http.get("/").text
    server.disarm()
    assert server.http.get("/emulator/faults").json() == []
    for wrong in (
        {"fault": "nope"},
        {"fault": "500", "count": 0},
        {"fault": "500", "entity": "x"},
        {"faults": "500"},
        1,
    ):
        assert server.http.post("/emulator/faults", json=wrong).status_code == 422
    assert "hang_after_commit" in server.http.post("/emulator/faults", json={"fault": "nope"}).json()["error"]


def test_the_request_log_pages(school: School) -> None:
    after = school.server.last_request()
    for _ in range(3):
        school.count("Invoice")
    page = school.server.http.get("/emulator/requests", params={"after": after, "limit": 2}).json()
    assert [line["n"] for line in page] == [after + 1, after + 2]
    assert page[0] == {
        "n": after + 1,
        "at": page[0]["at"],
        "method": "GET",
        "path": f"/v3/company/{school.realm}/query",
        "entity": "Invoice",
        "operation": "query",
        "request_id": None,
        "replayed": False,
        "status": 200,
    }
    assert school.server.http.get("/emulator/requests", params={"after": "x"}).status_code == 422


# Processes


def test_nothing_answered_is_lost_when_the_process_is_killed_at_work(tmp_path: Path) -> None:
    data_file = tmp_path / "books.db"
    answered: list[str] = []
    for round_number in range(3):
        server = Emulator(data_file)
        school = School(server, f"{round_number}1")
        enough = threading.Event()
        writer = threading.Thread(target=_write_until_dead, args=(school, round_number, answered, enough))
        writer.start()
        assert enough.wait(timeout=30)
        server.end(kill=True)
        writer.join(timeout=30)
        assert not writer.is_alive()
    server = Emulator(data_file)
    found: list[str] = []
    for round_number in range(3):
        path = f"/v3/company/{round_number}1/query"
        text = "select DocNumber from SalesReceipt maxresults 1000"
        answer = server.http.get(path, params={"query": text}).json()["QueryResponse"]["SalesReceipt"]
        found += [receipt["DocNumber"] for receipt in answer]
        lines = server.http.get(f"/emulator/companies/{round_number}1/balances").json()
        cash = next(line["balance"] for line in lines if line["Name"] == "Till cash")
        assert cash == f"{len(answer)}.00"
    assert set(answered) <= set(found)
    assert len(found) == len(set(found))
    assert server.end() == 0


def _write_until_dead(
    school: School, round_number: int, answered: list[str], enough: threading.Event
) -> None:
    """Sends batches until the connection breaks; what was answered stands in `answered`."""
    wanted = len(answered) + 60
    with httpx.Client(base_url=school.server.url, headers=school.server.http.headers, timeout=10) as client:
        for batch in range(30):
            numbers = [f"{round_number}-{batch}-{place}" for place in range(30)]
            items = {"BatchItemRequest": receipts(school, *numbers)}
            try:
                client.post(f"/v3/company/{school.realm}/batch", json=items).raise_for_status()
            except httpx.TransportError:
                return
            answered += numbers
            if len(answered) >= wanted:
                enough.set()


def test_replays_and_armed_faults_survive_a_kill(tmp_path: Path) -> None:
    first = Emulator(tmp_path / "books.db")
    school = School(first, "1")
    before = school.post("Payment", school.payment("1.00"), requestid="r").content
    first.arm("503")
    first.end(kill=True)
    second = Emulator(tmp_path / "books.db", port=first.port)
    school.server = second
    assert school.post("Payment", school.payment("1.00"), requestid="r").status_code == 503
    assert school.post("Payment", school.payment("1.00"), requestid="r").content == before
    assert school.read("Customer", ref(school.amina)["value"])["DisplayName"] == "Amina"
    assert second.end() == 0


def test_a_hung_call_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    server = Emulator(tmp_path / "books.db")
    school = School(server, "1")
    server.arm("hang_after_commit")
    after = server.last_request()
    failures: list[Exception] = []

    def hang() -> None:
        try:
            httpx.post(
                f"{server.url}/v3/company/1/payment",
                json=school.payment("1.00"),
                headers=server.http.headers,
                timeout=60,
            )
        except httpx.TransportError as error:
            failures.append(error)

    caller = threading.Thread(target=hang)
    caller.start()
    while not server.requests(after):
        assert caller.is_alive()
    assert server.end() == 0
    caller.join(timeout=30)
    assert isinstance(failures[0], httpx.RemoteProtocolError)
