"""The OpenAPI document: valid, committed as it is generated, its examples true, and its service not to be broken by it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from adapters.postgres.store import PostgresStore
from api import operations
from api.commands.routes import ROUTES
from api.openapi.descriptions import FIELDS, PARAMETERS
from api.openapi.introduction import GROUPS, TAGS
from api.paths import PREFIX
from api.reads.routes import reads
from api.services import Services
from application.commands import COMMANDS
from application.pipeline.writer import Writer
from domain.receipt import ReceiptSigner
from tests.support.document import DOCUMENT, OPERATIONS, check
from tests.support.service import Client, Service, fresh_name, ok

SCHEMAS = DOCUMENT["components"]["schemas"]
MAX_SUMMARY_CHARACTERS = 30

attacked = schemathesis.openapi.from_dict(DOCUMENT)


def each_operation() -> Any:
    return pytest.mark.parametrize(
        "operation", [operation for _, _, operation in OPERATIONS], ids=lambda found: found["operationId"]
    )


def resolved(found: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to."""
    while "$ref" in found:
        *_, kind, name = found["$ref"].split("/")
        found = DOCUMENT["components"][kind][name]
    return found


# --- every operation has its form

OPERATORS_ALONE = {"tenant.register", "tenant.feature", "tenant.policies", "key.create", "key.revoke"}
"""Commands that are given at the command line, and have no route."""


def served_reads() -> set[str]:
    """The paths that the service reads, from an application that never connects."""
    receipts = ReceiptSigner(key_id="", key=b"", page_url="")
    writer = Writer(PostgresStore(""), receipts=receipts)
    services = Services(writer=writer, reader_url="", receipts=receipts, version="")
    return {route.path.removeprefix(PREFIX) for route in reads(services).routes.routes}


def test_every_command_and_every_read_has_a_form():
    commands, reads = operations.COMMANDS.keys(), operations.READS.keys()
    missing = [
        *(f"a CommandForm of {action}" for action in COMMANDS.keys() - commands - OPERATORS_ALONE),
        *(f"a ReadForm of GET {path}" for path in served_reads() - reads),
        *(f"a route for the ReadForm of GET {path}" for path in reads - served_reads()),
    ]
    assert not missing, sorted(missing)


def test_every_form_has_its_examples():
    missing = [
        f"{form.id}: {name}"
        for form in (*operations.FORMS, operations.BULK)
        for name in ("answer", "key", "last_event")
        if not getattr(form, name, True)
    ]
    assert not missing, sorted(missing)


def test_no_two_forms_are_of_one_operation():
    assert len(operations.FORMS) == len(operations.COMMANDS) + len(operations.READS)
    assert len(ROUTES) == len(operations.COMMANDS)


def test_the_parameter_of_a_path_is_the_one_that_its_command_takes():
    for action, form in operations.COMMANDS.items():
        assert "".join(re.findall("{(.*?)}", form.path)) == COMMANDS[action].command_type.path


# --- it is served


def test_the_service_serves_it_each_time_the_same(service):
    for _ in range(2):
        assert ok(httpx.get(f"{service.url}/openapi.json")) == DOCUMENT


def test_home_leads_to_the_page_that_needs_nothing_from_elsewhere(service):
    home = httpx.get(service.url, follow_redirects=True)
    assert home.url.path == "/docs"
    scripts = re.findall(r'src="([^"]*)"', home.text)
    assert scripts == ["/docs/docs.js", "/docs/scalar.js"]
    for path in ("/docs", *scripts):
        answer = httpx.get(service.url + path)
        policy = answer.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'"} <= set(policy)
        assert "http" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert "http" not in home.text
    assert "'/openapi.json'" in httpx.get(service.url + scripts[0]).text


def test_the_renderer_is_packed_for_those_who_take_it_so(service):
    address = f"{service.url}/docs/scalar.js"
    packed = httpx.get(address, headers={"Accept-Encoding": "gzip"})
    plain = httpx.get(address, headers={"Accept-Encoding": "identity"})
    assert packed.content == plain.content
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    assert packed.headers["etag"] != plain.headers["etag"]
    for answer, encoding in ((packed, "gzip"), (plain, "identity")):
        assert answer.headers["vary"] == "Accept-Encoding"
        headers = {"Accept-Encoding": encoding, "If-None-Match": answer.headers["etag"]}
        again = httpx.get(address, headers=headers)
        assert (again.status_code, again.content) == (304, b"")
    assert b"Scalar" in plain.content


# --- what it says


def test_it_is_valid():
    validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1")
    assert DOCUMENT["servers"][0]["url"] == "/"


def test_everything_is_in_one_group():
    tags = [tag["name"] for tag in DOCUMENT["tags"]]
    assert tags == [*TAGS]
    assert sorted(tag for group in GROUPS.values() for tag in group) == sorted(tags)
    assert {tag for _, _, operation in OPERATIONS for tag in operation["tags"]} == set(tags)


def test_every_operation_has_a_name_of_its_own():
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in names)


@each_operation()
def test_an_operation_is_described(operation):
    assert 0 < len(operation["summary"]) <= MAX_SUMMARY_CHARACTERS
    assert operation["description"]
    for parameter in operation["parameters"]:
        found = resolved(parameter)
        name = found["name"]
        own = PARAMETERS.get(f"{operation['operationId']}.{name}")
        assert found["description"] == (own or PARAMETERS[name])
        assert "null" not in str(found["schema"])
    for response in operation["responses"].values():
        assert response["description"]
        assert "X-Request-Id" in response["headers"]
        assert all(resolved(header)["description"] for header in response["headers"].values())


def test_every_field_is_described():
    missing = [
        f"{name}.{field}"
        for name, schema in SCHEMAS.items()
        for field, found in schema.get("properties", {}).items()
        if not found.get("description") and not resolved(found).get("description")
    ]
    assert missing == []
    assert [name for name, schema in SCHEMAS.items() if not schema.get("description")] == []


def test_no_description_is_of_a_field_that_is_not_there():
    own = {f"{name}.{field}" for name, schema in SCHEMAS.items() for field in schema.get("properties", {})}
    everywhere = {name.partition(".")[2] for name in own} | SCHEMAS.keys()
    assert [name for name in FIELDS if name not in (own if "." in name else everywhere)] == []


def test_every_component_is_used():
    text = str(DOCUMENT)
    unused = [
        f"#/components/{kind}/{name}"
        for kind, components in DOCUMENT["components"].items()
        for name in components
        if kind != "securitySchemes" and f"'#/components/{kind}/{name}'" not in text
    ]
    assert unused == []


def test_nothing_is_offered_that_is_always_refused():
    for action in ROUTES.values():
        kind = COMMANDS[action].command_type
        assert not SCHEMAS[kind.__name__]["properties"].keys() & {*kind.not_yet, kind.path}
    assert SCHEMAS["TaxCode"]["enum"] == ["A", "C", "D"]
    assert SCHEMAS["InvoiceStatus"]["enum"] == ["draft", "issued", "paid", "partially_paid"]
    assert "x-taken" not in str(DOCUMENT)
    assert r"\Z" not in str(DOCUMENT)


@each_operation()
def test_each_operation_has_examples_that_fit_its_schemas(operation):
    contents = [operation["requestBody"]["content"]] if "requestBody" in operation else []
    contents += [response["content"] for response in operation["responses"].values()]
    for content in contents:
        (media,) = content.values()
        schema = {**media["schema"], "components": DOCUMENT["components"]}
        found = [media["example"]] if "example" in media else []
        found += [resolved(example)["value"] for example in media.get("examples", {}).values()]
        assert found
        for example in found:
            OAS31Validator(schema).validate(example)


@each_operation()
def test_each_code_of_an_operation_stands_at_its_status(operation):
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            continue
        found = response["content"]["application/problem+json"]["examples"]
        for code, example in found.items():
            value = resolved(example)["value"]
            assert (value["code"], str(value["status"])) == (code, status)
            assert f"`{code}`" in response["description"]
    assert {"422", "500", "503"} <= operation["responses"].keys()


@pytest.mark.parametrize(
    ("status", "media_type", "content"),
    [
        (418, "application/json", b"{}"),
        (404, "application/problem+json", b'{"code": "sale_not_found"}'),
        (200, "text/plain", b"{}"),
        (200, "application/json", b'{"account": "STU-0042"}'),
    ],
)
def test_an_answer_that_is_not_promised_is_seen(status, media_type, content):
    example = operations.READS["/wallets/{account}"].answer
    check("GET", f"{PREFIX}/wallets/A", 200, "application/json", str(example).replace("'", '"').encode())
    with pytest.raises(Exception, match=r"GET /v2|is a required property"):
        check("GET", f"{PREFIX}/wallets/A", status, media_type, content)


def test_a_member_that_is_not_promised_is_seen():
    example = {**operations.READS["/wallets/{account}"].answer, "colour": "red"}
    with pytest.raises(Exception, match="colour"):
        check("GET", f"{PREFIX}/wallets/A", 200, "application/json", str(example).replace("'", '"').encode())


# --- the examples are tried


def normal(value: Any, name: str = "") -> Any:
    """A value without what no two runs have in common: ids, numbers, addresses, times and positions."""
    if isinstance(value, dict):
        return {key: normal(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [normal(one) for one in value]
    if name in ("effective_date", "expires_at", "position", "qr", "recorded_at", "stream", "version"):
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
    requests = {action: form.request for action, form in operations.COMMANDS.items()}
    account = requests["wallet.open"]["account"]
    found: dict[str, Any] = {"dry_run": {}}

    def ask(action: str, parameter: str = "", **changes: Any) -> Any:
        method, path = next(route for route, name in ROUTES.items() if name == action)
        path, body = path.replace("{}", parameter), {**requests[action], **changes}
        why = {"Bursar-Reason": "tried"} if COMMANDS[action].reason_required else {}
        found["dry_run"][action] = ok(school.send(method, path, body, headers=why, dry_run="true"), 200)
        response = school.send(method, path, body, headers=why)
        found[action] = ok(response, COMMANDS[action].status)
        return found[action]

    for action in ("wallet.open", "wallet.top_up", "wallet.freeze", "wallet.unfreeze", "wallet.charge"):
        ask(action, account)
    hold = ask("wallet.hold", account)["hold"]["id"]
    ask("hold.capture", hold)
    ok(school.top_up(account, 25000))
    again = school.send("POST", f"wallets/{account}/holds", requests["wallet.hold"])
    ask("hold.release", ok(again)["hold"]["id"])
    again = ok(school.send("POST", f"wallets/{account}/charge", requests["wallet.charge"]))
    ask("transaction.reverse", again["transaction_id"])
    ok(school.post("wallets", {"account": "STU-0043", "currency": "KES", "payer": account}))
    ask("wallet.transfer")
    ok(school.top_up(account, 5000))
    draft = school.send("POST", "invoices", {**requests["invoice.create"], "issue": False}).json()
    invoice = ask("invoice.create")
    ask("invoice.issue", draft["id"])
    ask("invoice.settle", invoice["id"])
    ok(school.top_up(account, 20000))
    ask("tax_code.set", "E")
    sale = ask("pos.checkout")
    ask("pos.refund", sale=sale["sale"]["id"])
    ask("quickbooks.export")
    ask("import.record")
    found["bulk"] = school.bulk(
        [
            {**one, "data": {**one["data"], "source": {"type": "mpesa", "reference": fresh_name("RKT")}}}
            for one in operations.BULK.request
        ]
    )
    rest = {"amount": school.balance(account), "currency": "KES", "description": "Trip"}
    ok(school.post(f"wallets/{account}/charge", rest))
    ask("wallet.close", account)
    found["invoice"], found["hold"] = invoice["id"], hold
    return found


@pytest.mark.parametrize("action", sorted(operations.COMMANDS))
def test_what_a_command_answers_is_its_example(tried, action):
    assert normal(tried[action]) == normal(operations.COMMANDS[action].answer)


@pytest.mark.parametrize("action", sorted(operations.COMMANDS))
def test_what_a_dry_run_answers_is_its_example(tried, action):
    found, expected = tried["dry_run"][action], operations.COMMANDS[action].dry_run()
    assert normal({**found, "events": found["events"][-1:]}) == normal(expected)
    (event,), last = expected["events"], found["events"][-1]
    assert normal(event["stream"].partition("/")[2]) == normal(last["stream"].partition("/")[2])


def test_what_bulk_answers_is_its_example(tried):
    expected = normal(operations.BULK.answer)["data"]
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


@pytest.mark.parametrize("path", sorted(operations.READS))
def test_what_a_read_answers_has_the_form_of_its_example(school, tried, path):
    parameters = {
        "account": "STU-0042",
        "hold": tried["hold"],
        "invoice": tried["invoice"],
        "code": "2100",
        "sale": tried["pos.checkout"]["sale"]["id"],
        "transaction": tried["wallet.top_up"]["transaction_id"],
        "batch": tried["quickbooks.export"]["batch_id"],
        "token": tried["wallet.top_up"]["receipt"]["qr"].rsplit("/", 1)[-1],
    }
    form = operations.READS[path]
    found = ok(school.get(path.format(**parameters).lstrip("/"), **form.query))
    if path == "/tax-codes":
        found["data"] = [one for one in found["data"] if one["components"]]
    if path in ("/quickbooks/exports", "/quickbooks/exports/{batch}/documents"):
        assert found.keys() == form.answer.keys()  # it lists what an exporter has taken up
    else:
        assert shape(found) == shape(form.answer)


# --- the samples are run


def sample(operation_id: str, label: str) -> str:
    (found,) = [operation for _, _, operation in OPERATIONS if operation["operationId"] == operation_id]
    return next(one["source"] for one in found["x-codeSamples"] if one["label"] == label)


@pytest.mark.parametrize(
    ("label", "program"), [("curl", ["bash", "-euc"]), ("Python (httpx)", [sys.executable, "-c"])]
)
def test_the_samples_work_as_they_stand(service, label, program):
    tenant = f"samples-{label[:4].lower()}"
    service.register(tenant, "KE")
    environment = {
        "PATH": "/usr/bin:/bin",
        "BURSAR_URL": service.url,
        "BURSAR_API_KEY": service.create_key(tenant, "office", "admin"),
    }
    printed = {}
    for name in (
        "ping",
        "open_wallet",
        "top_up_wallet",
        "charge_wallet",
        "create_invoice",
        "run_bulk",
        "list_wallets",
        "get_wallet",
        "get_statement",
        "list_account_entries",
        "request_export",
    ):
        done = subprocess.run(
            [*program, sample(name, label)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "urn:bursar:problem" not in done.stdout
        printed[name] = done.stdout
    assert tenant in printed["ping"]
    assert "145000" in printed["get_wallet"]
    assert "queued" in printed["request_export"]


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
        if response.status_code == 405 or body["code"] == "not_found":
            return  # what was made of the path is another one
    assert str(response.status_code) in case.operation.definition.raw["responses"]
    (media_type,) = response.headers["content-type"]
    path = response.request.path_url.partition("?")[0]
    check(response.request.method, path, response.status_code, media_type, response.content)
    assert case.path.startswith(PREFIX)
