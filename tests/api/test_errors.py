"""Codes and their statuses."""

from api.errors import STATUS, HttpCode
from domain.errors import Code


def test_every_code_has_a_status():
    assert set(STATUS) == {*Code, *HttpCode}
    assert all(400 <= status < 600 for status in STATUS.values())


def test_a_code_is_its_text():
    assert Code.UNAVAILABLE == "unavailable" == f"{Code.UNAVAILABLE}"
    assert Code("unavailable") is Code.UNAVAILABLE
    assert STATUS[Code.UNAVAILABLE] == 503
    assert len({str(code) for code in STATUS}) == len(Code) + len(HttpCode)


def test_every_meaning_is_a_sentence():
    for code in STATUS:
        assert code.meaning.endswith("."), code
        assert code.meaning[0].isupper(), code
