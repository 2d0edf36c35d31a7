"""Each operation, asked by each role of each of two schools: who may not is told so, whatever else is wrong."""

import pytest

from api.commands.routes import ROUTES
from api.paths import PREFIX
from application.commands import COMMANDS
from domain.capability import ROLES
from tests.support.service import fresh_name

_UUID = "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57"
READS = {
    "wallets": "wallet.read",
    "wallets/NOBODY": "wallet.read",
    "wallets/NOBODY/holds": "wallet.read",
    f"holds/{_UUID}": "wallet.read",
    "statements?account=NOBODY": "statement.read",
    "invoices": "invoice.read",
    f"invoices/{_UUID}": "invoice.read",
    "sales": "statement.read",
    f"sales/{_UUID}": "statement.read",
    "accounts": "account.read",
    "accounts/1000/balance": "account.read",
    "accounts/1000/entries": "account.read",
    "transactions": "account.read",
    f"transactions/{_UUID}": "account.read",
    "receipts": "statement.read",
    "imports": "statement.read",
    "quickbooks/exports": "export.run",
    f"quickbooks/exports/{_UUID}": "export.run",
    f"quickbooks/exports/{_UUID}/documents": "export.run",
}
COMMANDS_OF = [
    (method, path.replace("{}", _UUID), COMMANDS[action].capability)
    for (method, path), action in ROUTES.items()
]


@pytest.mark.parametrize("tenant", ["greenhill", "maple"])
@pytest.mark.parametrize("role", sorted(ROLES))
def test_who_may_do_what(service, tenant, role):
    client = service.client(role, tenant=tenant)
    with service.nothing_written():
        for path, capability in READS.items():
            check(client.get(path), role, capability)
        for method, path, capability in COMMANDS_OF:
            if capability == "export.run" and capability in ROLES[role]:
                continue  # it would be done: there is nothing about it that could be wrong
            check(client.send(method, path, {"colour": "red"}), role, capability)
    response = client.get("ping")
    assert response.status_code == 200
    assert response.json()["tenant"] == tenant
    assert client.get("tax-codes").status_code == 200, "who sells, bills or reads accounts"


def check(response, role: str, capability: str) -> None:
    if capability in ROLES[role]:
        # An empty command, an unknown name: anything but the question who asks.
        assert response.status_code in (200, 404, 422), (role, capability, response.text)
    else:
        assert response.status_code == 403, (role, capability, response.text)
        assert response.json()["code"] == "capability_missing"
        assert response.json()["capability"] == capability


def test_every_operation_is_in_the_matrix(service):
    document = service.client_of(None).http.get(f"{service.url}/openapi.json").json()
    listed = {
        (method.upper(), path.removeprefix(f"{PREFIX}/").split("{")[0])
        for path, operations in document["paths"].items()
        for method in operations
    }
    asked = {("GET", path.split("?")[0].replace("NOBODY", _UUID).split(_UUID)[0]) for path in READS}
    asked |= {(method, path.split(_UUID)[0]) for method, path, _ in COMMANDS_OF}
    asked |= {("GET", "ping"), ("GET", "tax-codes"), ("GET", "receipts/"), ("POST", "bulk")}
    asked = {(method, path.replace("accounts/1000/balance", "accounts/")) for method, path in asked}
    assert {(method, path.replace("accounts/1000/entries", "accounts/")) for method, path in asked} == listed


@pytest.mark.parametrize("role", sorted(ROLES))
def test_bulk_gives_no_role_more(service, role):
    client = service.client(role)
    actions = sorted(set(ROUTES.values()) - {"quickbooks.export"})
    elements = [
        {"action": action, "idempotency_key": fresh_name("key-key"), "data": {}} for action in actions
    ]
    with service.nothing_written():
        found = client.bulk(elements)
    for action, result in zip(actions, found, strict=True):
        allowed = COMMANDS[action].capability in ROLES[role]
        assert (result["status"], result["code"]) == (
            (422, "invalid_request") if allowed else (403, "capability_missing")
        )
