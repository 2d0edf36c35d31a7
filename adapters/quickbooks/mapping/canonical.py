"""A document's bytes: one canonical form, references that become QuickBooks' ids, fingerprint, equality."""

from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

import msgspec

Json = dict[str, Any]

_REFERENCE: Final = "$ref"
# msgspec, because orjson cannot write a Decimal as a JSON number, and amounts must stay exact.
_encoder: Final = msgspec.json.Encoder(decimal_format="number", order="sorted")
_decoder: Final = msgspec.json.Decoder(Any, float_hook=Decimal)


def canonical(payload: Json) -> bytes:
    """The one form of a payload in bytes: keys sorted, amounts as exact decimal numbers."""
    return _encoder.encode(payload)


def parse(payload: bytes | str) -> Any:
    """Read JSON with its fractions as Decimal. Raises `msgspec.DecodeError`."""
    return _decoder.decode(payload)


def reference(kind: str, key: str) -> Json:
    """Stand for an id of QuickBooks' until `bind` puts it there.

    An `Account` or an `Item` is named by its account code, or as `AccountOfRole` or `ItemOfRole` by a role
    that no account stands for yet; a `Customer`, a `TaxCode` or a `TaxRate` by its name, a document by its kind and
    number.
    """
    return {_REFERENCE: f"{kind}/{key}"}


def bind(template: bytes, identifier: Callable[[str], str]) -> bytes:
    """Put QuickBooks' ids in the place of the references (`kind/key`): the exact bytes to send."""
    return canonical(_bound(parse(template), identifier))


def _bound(node: Any, identifier: Callable[[str], str]) -> Any:
    if isinstance(node, dict):
        if _REFERENCE in node:
            return identifier(node[_REFERENCE])
        return {key: _bound(value, identifier) for key, value in node.items()}
    if isinstance(node, list):
        return [_bound(value, identifier) for value in node]
    return node


def fingerprint(body: bytes) -> bytes:
    """SHA-256 of a document's canonical bytes."""
    return sha256(body).digest()


def same_document(kind: str, body: bytes, document: Json) -> bool:
    """Tell whether a document in QuickBooks is the one of `body`: amount, customer and date.

    A journal entry's total always reads 0 there, so its lines are compared. Of a document that is changed, which `body`
    names by its id, the links must be those of `body` too.
    """
    ours = parse(body)
    if ours["TxnDate"] != document.get("TxnDate") or _customer_id(ours) != _customer_id(document):
        return False
    if kind == "JournalEntry":
        return _journal_lines(ours) == _journal_lines(document)
    if _total(kind, ours) != Decimal(document.get("TotalAmt", "NaN")):
        return False
    return "Id" not in ours or (ours["Id"] == document["Id"] and _links(ours) == _links(document))


def _customer_id(document: Json) -> str | None:
    return (document.get("CustomerRef") or {}).get("value")


def _total(kind: str, document: Json) -> Decimal:
    if kind == "Payment":
        return Decimal(document["TotalAmt"])
    tax = (document.get("TxnTaxDetail") or {}).get("TotalTax", 0)
    return sum((Decimal(line["Amount"]) for line in document["Line"]), Decimal(tax))


def _links(document: Json) -> list[tuple[str, str, Decimal]]:
    return sorted(
        (linked["TxnType"], linked["TxnId"], Decimal(line["Amount"]))
        for line in document["Line"]
        for linked in line["LinkedTxn"]
    )


def _journal_lines(document: Json) -> list[tuple[str, str, Decimal]]:
    details = [(line, line.get("JournalEntryLineDetail")) for line in document["Line"]]
    return sorted(
        (detail["AccountRef"]["value"], detail["PostingType"], Decimal(line["Amount"]))
        for line, detail in details
        if detail
    )
