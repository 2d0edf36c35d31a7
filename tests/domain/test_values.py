"""Ids, receipt tokens, and rules that hold for the whole package."""

import ast
import hmac
import re
from base64 import urlsafe_b64decode
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import domain
from domain import ids
from domain.errors import Code, DomainError
from domain.receipt import ReceiptSigner

SIGNER = ReceiptSigner(key_id="k1", key=b"secret", page_url="https://pay.example/v2/finance/receipts")
SOURCES = sorted(Path(domain.__path__[0]).rglob("*.py"))


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_uuid7_is_what_rfc_9562_says(unix_milliseconds: int, entropy: bytes) -> None:
    text = ids.uuid7(unix_milliseconds, entropy)
    value = UUID(text)
    assert re.fullmatch(ids.UUID_PATTERN, text)
    assert (value.version, value.variant) == (7, "specified in RFC 4122")
    assert value.int >> 80 == unix_milliseconds


def test_a_uuid7_holds_all_of_its_entropy_where_rfc_9562_puts_it() -> None:
    """The example of its appendix A.6; the bits of version and variant are not of the entropy."""
    entropy = bytes.fromhex("0cc318c4dc0c0c07398f")
    assert ids.uuid7(0x017F22E279B0, entropy) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
    filled = bytes.fromhex("fcc3d8c4dc0c0c07398f")
    assert ids.uuid7(0x017F22E279B0, filled) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_an_error_reads_as_its_detail() -> None:
    assert str(DomainError(Code.WALLET_EXISTS, "Wallet A is already there.")) == "Wallet A is already there."


def test_streams_begin_with_the_tenant() -> None:
    assert ids.tenant_stream("t") == "t/tenant"
    assert ids.wallet_stream("t", "A") == "t/wallet/A"
    assert ids.hold_stream("t", "h") == "t/hold/h"
    assert ids.invoice_stream("t", "i") == "t/invoice/i"
    assert ids.account_stream("t", "1000") == "t/account/1000"
    assert ids.sale_stream("t", "s") == "t/sale/s"
    assert ids.series_stream("t", "receipt") == "t/series/receipt"
    assert ids.provider_receipt_stream("t", "mpesa", "R") == "t/receipt/mpesa/R"
    assert ids.export_stream("t", "b") == "t/export/b"


def test_a_receipt_token_is_the_mac_over_what_stands_before_it() -> None:
    token = SIGNER.token("greenhill", "RCT-2026-000001")
    signed, _, mac = token.rpartition(".")
    assert signed == "k1.greenhill.RCT-2026-000001"
    assert len(mac) == 22, "without padding, which an address would have to escape"
    assert urlsafe_b64decode(mac + "==") == hmac.new(b"secret", signed.encode(), sha256).digest()[:16]
    assert SIGNER.qr("greenhill", "RCT-2026-000001") == f"https://pay.example/v2/finance/receipts/{token}"


def test_a_token_is_good_for_its_own_receipt_alone() -> None:
    token = SIGNER.token("greenhill", "RCT-2026-000001")
    assert SIGNER.is_genuine(token, "greenhill", "RCT-2026-000001")
    assert not SIGNER.is_genuine(token, "greenhill", "RCT-2026-000002")
    assert not SIGNER.is_genuine(token, "riverside", "RCT-2026-000001")
    assert not SIGNER.is_genuine(
        token[:-1] + ("A" if token[-1] != "A" else "B"), "greenhill", "RCT-2026-000001"
    )
    assert not SIGNER.is_genuine("é", "greenhill", "RCT-2026-000001")


def test_a_dry_run_signs_a_token_that_never_checks() -> None:
    unsigned = SIGNER.unsigned()
    assert unsigned == ReceiptSigner(key_id="dry-run", key=b"", page_url=SIGNER.page_url)
    token = unsigned.token("greenhill", "RCT-2026-000001")
    assert not SIGNER.is_genuine(token, "greenhill", "RCT-2026-000001")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_there_is_no_float_in_the_domain(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text())):
        where = f"{source.name}:{getattr(node, 'lineno', 0)}"
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), where
        assert not (isinstance(node, ast.Name) and node.id in ("float", "round")), where
        assert not isinstance(node, ast.Div), f"{source.name} divides; use allocate or //"


def test_the_domain_was_found() -> None:
    assert {"money.py", "holds.py"} <= {path.name for path in SOURCES}


def test_commands_that_commit_together_have_ids_by_which_the_whole_is_found() -> None:
    whole = ids.whole_id(ids.uuid7(1_700_000_000_000, bytes(9) + b"\xff"))
    assert whole.endswith("00")
    parts = [ids.part_id(whole, number) for number in (1, 100, 255)]
    assert [part[-2:] for part in parts] == ["01", "64", "ff"]
    assert {ids.whole_id(part) for part in parts} == {whole}
    assert all(re.match(ids.UUID_PATTERN, part) for part in parts)


@pytest.mark.parametrize("number", [0, 256])
def test_no_more_commands_commit_together_than_there_are_ids(number: int) -> None:
    with pytest.raises(AssertionError):
        ids.part_id(ids.whole_id(ids.uuid7(0, bytes(10))), number)
    with pytest.raises(AssertionError):
        ids.part_id(ids.uuid7(0, bytes(9) + b"\x01"), 1)
