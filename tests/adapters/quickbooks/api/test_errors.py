"""What QuickBooks answers where it does not do what it was asked: how it is read, and what it means."""

import pytest

from adapters.quickbooks.api.errors import (
    Barred,
    Fault,
    Lost,
    Refused,
    SignIn,
    Throttled,
    classify,
    pauses,
    read_fault,
)


@pytest.mark.parametrize("code", ["120", "3100", "6190", "3200"])
def test_what_a_person_must_mend_pauses_the_tenant(code: str) -> None:
    assert pauses(Fault(code=code, message=""))
    assert not pauses(Fault(code="6000", message=""))


def test_http_answers() -> None:
    fault = Fault(code="6000", message="business")
    page = Fault(code="", message="Bad Gateway")
    assert classify(status=429, fault=None, retry_after_seconds=7.0) == Throttled(seconds=7.0)
    assert classify(status=400, fault=Fault(code="3001", message=""), retry_after_seconds=None) == Throttled(
        seconds=None
    )
    assert isinstance(classify(status=401, fault=None, retry_after_seconds=None), SignIn)
    assert isinstance(classify(status=502, fault=page, retry_after_seconds=None), Lost)
    assert isinstance(classify(status=500, fault=fault, retry_after_seconds=None), Lost)
    assert isinstance(classify(status=200, fault=page, retry_after_seconds=None), Lost)
    assert isinstance(classify(status=408, fault=None, retry_after_seconds=None), Lost)
    assert classify(status=400, fault=fault, retry_after_seconds=None) == Refused(fault=fault)
    assert classify(status=413, fault=page, retry_after_seconds=None) == Barred(
        reason="HTTP status 413: Bad Gateway"
    )
    assert isinstance(classify(status=403, fault=None, retry_after_seconds=None), Barred)


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b'{"Fault":{"Error":[{"Message":"m","Detail":"d","code":"6000"}],"type":"x"}}', "6000", "m: d"),
        (
            b'{"fault":{"error":[{"message":"m","detail":"d","code":"3200"}],"type":"AUTHENTICATION"}}',
            "3200",
            "m: d",
        ),
        (
            b'{"Fault":{"Error":[{"Message":"a","code":"1"},{"Message":"b","code":"2"}]}}',
            "1",
            "a: 2 b",
        ),
        (
            (
                b'<IntuitResponse xmlns="http://schema.intuit.com/finance/v3"><Fault><Error code="3001">'
                b"<Message>Throttled</Message><Detail>later</Detail></Error></Fault></IntuitResponse>"
            ),
            "3001",
            "Throttled: later",
        ),
        (b"<html><head><title>502 Bad&amp;Gateway</title></head><br></html>", "", "502 Bad&Gateway"),
        (b"  <html><title>odd<b></title>", "", "odd<b>"),
    ],
)
def test_a_fault_in_each_of_its_forms(content: bytes, code: str, words: str) -> None:
    fault = read_fault(content)
    assert fault is not None
    assert fault.code == code
    assert words in str(fault)


@pytest.mark.parametrize("content", [b"", b"{}", b"{broken", b"plain", b"<html></html>", b"[1]"])
def test_what_is_no_fault(content: bytes) -> None:
    assert read_fault(content) is None
