"""Messages as Kafka records: the public JSON, and CloudEvents 1.0 headers in binary mode."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from application.feed.message import FORMAT, Message
from application.feed.port import Origin, Undecodable

CONTENT_TYPE: Final = b"application/json"
_SOURCE: Final = "/bursar/"
_TRACE_ID_DIGITS: Final = 32

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Message)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is produced. The key is the tenant, so that its messages share a partition and stay in order."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def encode(message: Message) -> Record:
    """Make the record of a message."""
    return Record(key=message.tenant.encode(), value=_encoder.encode(message), headers=_headers(message))


def decode_value(value: bytes) -> Message | Undecodable:
    """Read a record's value by itself."""
    try:
        message = _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Undecodable(reason=f"{type(error).__name__}: {error}", origin=None)
    if message.format != FORMAT:
        return Undecodable(reason=f"format {message.format} is not {FORMAT}", origin=None)
    return message


def decode(value: bytes, headers: Iterable[tuple[str, bytes]]) -> Message | Undecodable:
    """Read a record; where its value cannot be read, its headers still say whose it is."""
    content = decode_value(value)
    if isinstance(content, Undecodable):
        return msgspec.structs.replace(content, origin=_origin(dict(headers)))
    return content


def _headers(message: Message) -> list[tuple[str, bytes]]:
    """Make the headers of the CloudEvents Kafka binding. Spelt out one by one: this runs for each message."""
    tenant = message.tenant.encode()
    headers = [
        ("content-type", CONTENT_TYPE),
        ("ce_specversion", b"1.0"),
        ("ce_id", message.command_id.encode()),
        ("ce_source", f"{_SOURCE}{message.store}/{message.epoch}".encode()),
        ("ce_type", f"bursar.{message.command}.v1".encode()),
        ("ce_subject", message.events[-1].stream.encode()),
        ("ce_time", message.recorded_at.isoformat().replace("+00:00", "Z").encode()),
        ("ce_sequence", b"%020d" % message.position),  # the specification orders sequences as text
        ("ce_partitionkey", tenant),
        ("ce_tenant", tenant),
    ]
    # An attribute that is empty may not be sent.
    if len(message.trace_id) == _TRACE_ID_DIGITS:
        headers.append(("ce_traceparent", _trace_parent(message)))
    if message.correlation_id:
        headers.append(("ce_correlationid", message.correlation_id.encode()))
    return headers


def _trace_parent(message: Message) -> bytes:
    """Continue the request's trace (W3C Trace Context): its trace id, and the command as the parent span."""
    return f"00-{message.trace_id}-{message.command_id.replace('-', '')[16:]}-01".encode()


def _origin(headers: Mapping[str, bytes]) -> Origin | None:
    try:
        store, epoch = headers["ce_source"].decode().removeprefix(_SOURCE).split("/")
        return Origin(
            store=store,
            epoch=int(epoch),
            tenant=headers["ce_tenant"].decode(),
            position=int(headers["ce_sequence"]),
        )
    except (KeyError, ValueError):
        return None
