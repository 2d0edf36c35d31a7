"""The contract that is published says what the code does."""

import json
from typing import Any

import jsonschema
import psycopg
import pytest

from adapters.kafka.contract import document, render
from adapters.kafka.records import encode
from adapters.postgres.log_reader import read_commands, store_identity
from application.feed.message import build
from domain.aggregates import TOPICS
from domain.ids import tenant_stream
from domain.tenant import KeyAdded
from tests.conftest import Database
from tests.support.log import append, append_all, top_up


def test_every_event_is_described() -> None:
    described = document()["components"]["schemas"]["PublicEvent"]["oneOf"]
    assert {event["properties"]["type"]["const"] for event in described} == set(TOPICS)


@pytest.fixture
def published(database: Database) -> list[tuple[Any, dict[str, bytes]]]:
    """Value and headers of a top-up and of a key."""
    with psycopg.connect(database.url("bursar_writer")) as connection:
        append_all(connection, [top_up("greenhill", "STU-1", 1)])
        [(now,)] = connection.execute("SELECT now()").fetchall()
        key = KeyAdded(
            client="till", prefix="bk_1", key_hash="secret", role="cashier", capabilities=("pos",),
            expires_at=None, recorded_at=now,
        )  # fmt: skip
        append(connection, "greenhill", "key.create", [(tenant_stream("greenhill"), 1, key)])
        store, epoch = store_identity(connection)
        records = [
            encode(build(logged, store=store, epoch=epoch)) for logged in read_commands(connection, 0, 10)
        ]
    return [(json.loads(record.value), dict(record.headers)) for record in records]


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema, "components": document()["components"]})


def test_what_is_published_fits_the_document(published: list[tuple[Any, dict[str, bytes]]]) -> None:
    message = document()["components"]["messages"]["command"]
    for value, headers in published:
        validator(message["payload"]).validate(value)
        validator(message["headers"]).validate({name: text.decode() for name, text in headers.items()})
        assert set(headers) <= set(message["headers"]["properties"])


def test_what_is_not_of_the_contract_is_told_apart(published: list[tuple[Any, dict[str, bytes]]]) -> None:
    value, _ = published[0]
    value["events"][0]["data"]["amount"] = "1.00"
    assert not validator(document()["components"]["messages"]["command"]["payload"]).is_valid(value)


def test_the_hash_of_a_key_is_neither_published_nor_described(
    published: list[tuple[Any, dict[str, bytes]]],
) -> None:
    value, _ = published[1]
    assert "secret" not in json.dumps(value)
    assert "key_hash" not in render()
