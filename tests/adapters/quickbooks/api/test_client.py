"""The client against the emulator over HTTP."""

import socket
from collections.abc import Iterator
from decimal import Decimal
from itertools import count

import pytest

from adapters.quickbooks.api.client import Answered, BatchItem, Client, Created, batch_body, quoted
from adapters.quickbooks.api.errors import CallError, Fault, Lost, Refused, SignIn, Throttled
from adapters.quickbooks.mapping.canonical import canonical
from tests.support.emulator import TOKEN, Emulator, School, emulator

_realms = count(8000)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("emulator") / "books.db") as started:
        yield started


@pytest.fixture
def school(running: Emulator) -> Iterator[School]:
    yield School(running, str(next(_realms)))
    running.disarm()


@pytest.fixture
def client(school: School) -> Iterator[Client]:
    made = client_of(school)
    yield made
    made.session.close()


def client_of(school: School, token: str = TOKEN) -> Client:
    return Client(url=school.server.url, realm=school.realm, access_token=token, timeout_seconds=1.0)


def receipts(school: School, *numbers: str) -> list[BatchItem]:
    bodies = [school.sale("1.00", DocNumber=number) for number in numbers]
    return [BatchItem(kind="SalesReceipt", body=canonical(body)) for body in bodies]


def send(client: Client, items: list[BatchItem], request_id: str = "r1") -> object:
    return client.send_batch(batch_body(items), request_id=request_id, count=len(items))


def test_a_batch_names_what_was_made_in_order(client: Client, school: School) -> None:
    outcome = send(client, receipts(school, "A-1", "A-2"))
    assert isinstance(outcome, Answered)
    found = client.find("SalesReceipt", "DocNumber", ["A-2", "A-1", "A-3"])
    assert {d["DocNumber"]: d["Id"] for d in found} == {
        number: made.id for number, made in zip(("A-1", "A-2"), outcome.outcomes, strict=True)
    }
    assert all(document["TotalAmt"] == Decimal("1.00") for document in found)
    assert all(isinstance(document["TotalAmt"], Decimal) for document in found)


def test_the_same_request_id_answers_the_same(client: Client, school: School) -> None:
    first = send(client, receipts(school, "B-1"))
    assert send(client, receipts(school, "B-1")) == first
    assert school.count("SalesReceipt") == 1


def test_a_refused_item_does_not_hide_the_others(client: Client, school: School) -> None:
    send(client, receipts(school, "C-1"), "r1")
    outcome = send(client, receipts(school, "C-1", "C-2"), "r2")
    assert isinstance(outcome, Answered)
    refused, made = outcome.outcomes
    assert isinstance(refused, Fault)
    assert refused.code == "6140"
    assert isinstance(made, Created)


@pytest.mark.parametrize("fault", ["429", "429_xml"])
def test_throttling_says_how_long(client: Client, school: School, fault: str) -> None:
    school.server.arm(fault)
    assert send(client, receipts(school, "D-1")) == Throttled(seconds=1.0)


@pytest.mark.parametrize("fault", ["500", "503", "drop_after_commit", "hang_after_commit"])
def test_an_answer_that_is_lost_is_lost(client: Client, school: School, fault: str) -> None:
    school.server.arm(fault)
    assert isinstance(send(client, receipts(school, "E-1")), Lost)
    assert isinstance(send(client, receipts(school, "E-1")), Answered)
    assert school.count("SalesReceipt") == 1


def test_a_token_that_is_not_taken(school: School) -> None:
    stranger = client_of(school, "another")
    assert isinstance(send(stranger, receipts(school, "F-1")), SignIn)
    with pytest.raises(CallError) as raised:
        stranger.preferences()
    assert isinstance(raised.value.failure, SignIn)
    stranger.session.close()


def test_a_company_that_is_not_ours(school: School) -> None:
    stranger = Client(url=school.server.url, realm="1", access_token=TOKEN, timeout_seconds=1.0)
    with pytest.raises(CallError) as raised:
        stranger.preferences()
    assert isinstance(raised.value.failure, Refused)
    assert raised.value.failure.fault.code == "3100"
    assert raised.value.intuit_tid
    stranger.session.close()


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        client = Client(url=url, realm="1", access_token=TOKEN, timeout_seconds=1.0)
        assert isinstance(client.send_batch(b"{}", request_id="r", count=1), Lost)
        client.session.close()


def test_preferences(client: Client, school: School) -> None:
    school.switch(BookCloseDate="2026-01-31", AutoApplyCredit=True)
    read = client.preferences()
    assert (read.closed_until, read.auto_apply_credit, read.custom_numbers) == ("2026-01-31", True, True)
    assert (read.home_currency, read.uses_sales_tax) == ("KES", False)


def test_texts_are_quoted(client: Client, school: School) -> None:
    name = "O'Neill \\ sons"
    school.made("Customer", DisplayName=name)
    assert [found["DisplayName"] for found in client.find("Customer", "DisplayName", [name])] == [name]
    assert quoted("it's") == r"'it\'s'"


def test_all_pages_are_read(client: Client, school: School) -> None:
    for start in range(0, 1020, 30):
        items = [
            BatchItem(kind="Customer", body=canonical({"DisplayName": f"C-{start + n}"})) for n in range(30)
        ]
        assert isinstance(send(client, items, f"page-{start}"), Answered)
    names = {customer["DisplayName"] for customer in client.select("Customer", where="Active = true")}
    assert len(names) == 1020 + 2
