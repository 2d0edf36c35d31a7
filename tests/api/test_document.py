"""The OpenAPI document: valid, committed as it is generated, its examples true, and its service not to be broken by it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from api.commands.routes import PREFIX, ROUTES
from api.openapi import examples
from application.commands import COMMANDS
from tests.support.service import Client, Service, fresh_name, ok

COMMITTED = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
OPERATIONS = [
    (method, path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]

attacked = schemathesis.openapi.from_dict(DOCUMENT)


def test_the_service_serves_it_each_time_the_same(service):
    client = service.client_of(None)
    for _ in range(2):
        assert ok(client.http.get(f"{service.url}/openapi.json")) == DOCUMENT
        page = client.http.get(f"{service.url}/docs")
        assert page.status_code == 200
        for method, path, _operation in OPERATIONS:
            assert f"<b>{method.upper()}</b> {path}" in page.text


def test_it_is_valid():
    validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1")


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=lambda value: str(value)[:40])
def test_each_operation_has_examples_that_fit_its_schemas(method, path, operation):
    contents = [operation["requestBody"]["content"]] if method != "get" else []
    contents += [
        response["content"]
        for status, response in operation["responses"].items()
        if status.startswith("2") and "content" in response
    ]
    assert len(contents) == (1 if method == "get" else 2)
    for content in contents:
        media = content["application/json"]
        schema = {**media["schema"], "components": DOCUMENT["components"]}
        OAS31Validator(schema).validate(media["example"])
    assert {"400", "401", "403", "404", "422", "503"} <= operation["responses"].keys()


# --- the examples are tried


def normal(value: Any, name: str = "") -> Any:
    """A value without what no two runs have in common: ids, numbers, addresses, times and positions."""
    if isinstance(value, dict):
        return {key: normal(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [normal(one) for one in value]
    if name in ("position", "qr", "recorded_at", "version"):
        return name
    if isinstance(value, str):
        value = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", value)
        return re.sub(r"(RCT|INV)-\d{4}-\d{6}", r"\1", value)
    return value


@pytest.fixture(scope="module")
def school(service: Service) -> Client:
    """A school of its own, in which the examples are the first that happens."""
    service.register("examples", "KE")
    return service.client_of(service.create_key("examples", "office", "admin"))


@pytest.fixture(scope="module")
def tried(school: Client) -> dict[str, Any]:
    """The answers to the examples of all commands, each in the state that it needs."""
    requests = examples.REQUESTS
    account = requests["wallet.open"]["account"]
    found: dict[str, Any] = {}

    def ask(action: str, parameter: str = "", **changes: Any) -> Any:
        method, path = next(route for route, name in ROUTES.items() if name == action)
        response = school.send(method, path.replace("{}", parameter), {**requests[action], **changes})
        found[action] = ok(response, COMMANDS[action].status)
        return found[action]

    for action in ("wallet.open", "wallet.top_up", "wallet.charge"):
        ask(action, account)
    draft = school.send("POST", "invoices", {**requests["invoice.create"], "issue": False}).json()
    invoice = ask("invoice.create")
    ask("invoice.issue", draft["id"])
    ask("invoice.settle", invoice["id"])
    ok(school.top_up(account, 20000))
    sale = ask("pos.checkout")
    ask("pos.refund", sale=sale["sale"]["id"])
    ask("quickbooks.export")
    found["bulk"] = school.bulk(
        [
            {**one, "data": {**one["data"], "source": {"type": "mpesa", "reference": fresh_name("RKT")}}}
            for one in examples.BULK_REQUEST
        ]
    )
    found["invoice"] = invoice["id"]
    return found


@pytest.mark.parametrize("action", sorted(examples.REQUESTS))
def test_what_a_command_answers_is_its_example(tried, action):
    assert normal(tried[action]) == normal(examples.ANSWERS[action])


def test_what_bulk_answers_is_its_example(tried):
    expected = normal(examples.BULK_ANSWER)["data"]
    found = normal(tried["bulk"])
    for one in (*expected, *found):
        for amount in ("balance", "available"):
            one["data"]["wallet"].pop(amount)
    assert found == expected


def shape(value: Any, name: str = "") -> Any:
    """Names and types of a value; what a member may count by is left out."""
    if isinstance(value, dict):
        if name in ("documents", "projections"):
            return name
        return {key: shape(one, key) for key, one in value.items()}
    if isinstance(value, list):
        assert value, name
        return [shape(value[0])]
    return "none or text" if value is None or isinstance(value, str) else type(value).__name__


@pytest.mark.parametrize("path", sorted(examples.READS))
def test_what_a_read_answers_has_the_form_of_its_example(school, tried, path):
    parameters = {
        "account": "STU-0042",
        "invoice": tried["invoice"],
        "code": "2100",
        "batch": tried["quickbooks.export"]["batch_id"],
        "token": tried["wallet.top_up"]["receipt"]["qr"].rsplit("/", 1)[-1],
    }
    query = {"account": "STU-0042"} if path == "/statements" else {}
    found = ok(school.get(path.format(**parameters).lstrip("/"), **query))
    if path == "/quickbooks/exports":
        assert found.keys() == examples.READS[path].keys()  # it lists what an exporter has taken up
    else:
        assert shape(found) == shape(examples.READS[path])


# --- the attack


@pytest.fixture(scope="module")
def attacker(service: Service) -> Iterator[requests.Session]:
    """Administers a school that the attack may do with as it likes."""
    service.register("victim", "KE")
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {service.create_key('victim', 'attacker', 'admin')}"
        yield session


@attacked.parametrize()
@settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_is_no_failure(case, service, attacker):
    # A position that the log never had is waited for, and then 503 by right.
    (case.headers or {}).pop("Bursar-Min-Position", None)
    response = case.call(base_url=service.url, session=attacker)
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        body = response.json()
        assert response.headers["content-type"] == ["application/problem+json"]
        assert body["code"] in DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
        assert str(response.status_code) in case.operation.definition.raw["responses"] or (
            response.status_code == 405
        )
    else:
        assert str(response.status_code) in case.operation.definition.raw["responses"]
    assert case.path.startswith(PREFIX)
