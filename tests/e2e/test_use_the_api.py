"""Every command of docs/how-to/use-the-api.md, run as written, in order, in one shell."""

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from api.commands.routes import BULK_ACTIONS, ROUTES
from domain.chart import INCOME_ROLES
from tests.support.service import REPOSITORY, Service

PAGE = (REPOSITORY / "docs" / "how-to" / "use-the-api.md").read_text()
MARK = "---- next block ----"


@pytest.fixture(scope="module")
def printed(service: Service) -> Iterator[str]:
    """What each block prints for a school of its own."""
    first, *blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert first == 'eval "$(.venv/bin/bursar env)"\n'
    service.register("guide", "KE")
    environment = {
        "PATH": "/usr/bin:/bin",
        "BURSAR_URL": service.url,
        "BURSAR_API_KEY": service.create_key("guide", "office", "admin"),
    }
    done = subprocess.run(
        ["bash", "-eu", "-c", "".join(f"{block}echo '{MARK}'\n" for block in blocks)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return iter(done.stdout.split(f"{MARK}\n")[:-1])


def last_json(text: str) -> dict:
    return json.loads(text.strip().splitlines()[-1])


def test_the_commands_do_what_the_page_says(printed: Iterator[str]) -> None:
    assert next(printed) == ""
    assert last_json(next(printed))["tenant"] == "guide"
    assert last_json(next(printed))["payer"] == "FAM-API"
    first, again = next(printed).replace("\r", "").strip().split("HTTP/1.1 201 Created\n")[1:]
    assert "idempotency-replayed" not in first
    assert "idempotency-replayed: true" in again
    assert last_json(first) == last_json(again)
    assert last_json(again)["wallet"]["balance"] == 150000
    assert last_json(next(printed))["account"] == "API-3"
    shown = last_json(next(printed))
    assert (shown["dry_run"], shown["answer"]["wallet"]["balance"]) == (True, 145000)
    refused, sold = map(json.loads, next(printed).strip().splitlines())
    assert (refused["code"], refused["available"], refused["required"]) == (
        "insufficient_funds",
        150000,
        180000,
    )
    assert sold["sale"]["tenders"] == [
        {"type": "wallet", "amount": 150000},
        {"type": "cash", "amount": 30000},
    ]
    taxed = last_json(next(printed))["sale"]
    assert (taxed["discount"], taxed["net"], taxed["tax"], taxed["total"]) == (14080, 108310, 9410, 117720)
    invoice = last_json(next(printed))
    assert (invoice["status"], invoice["total"]) == ("issued", 2300000)
    taken_back = last_json(next(printed))
    assert [wallet["balance"] for wallet in taken_back["wallets"]] == [0]
    results = last_json(next(printed))["data"]
    assert [result["code"] for result in results] == [None, None, "insufficient_funds"]
    together = last_json(next(printed))["data"]
    assert [result["data"]["wallet"]["balance"] for result in together] == [15000, 5000]
    captured = last_json(next(printed))
    assert (captured["hold"]["status"], captured["hold"]["captured"]) == ("captured", 2500)
    assert captured["wallet"]["available"] == 15000 - 2500
    assert [wallet["account"] for wallet in last_json(next(printed))["data"]] == ["API-2"]
    assert [sale["receipt"] for sale in last_json(next(printed))["data"]] == [sold["sale"]["receipt"]]
    assert last_json(next(printed))["answer"]["sale"] == sold["sale"] | {"refunded": 10000}
    assert [one["transaction_id"] for one in last_json(next(printed))["data"]] == [sold["transaction_id"]]
    receipts, held = (json.loads(line)["data"] for line in next(printed).strip().splitlines())
    assert [one["sale"] for one in receipts] == [sold["sale"]["id"]]
    assert [(one["account"], one["balance"]) for one in held] == [("API-1", 5000)]
    assert last_json(next(printed))["closing_balance"] == 5000
    wrong = last_json(next(printed))
    assert [error["pointer"] for error in wrong["errors"]] == ["/amount", "/source/type"]
    assert next(printed, None) is None


def test_the_page_names_every_action_of_bulk_with_its_route() -> None:
    listed = dict(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| `([A-Z]+ [^`]+)` \|$", PAGE, re.MULTILINE))
    routes = {action: f"{method} {path}" for (method, path), action in ROUTES.items()}
    assert {action: re.sub("{.*?}", "{}", route) for action, route in listed.items()} == {
        action: routes[action] for action in BULK_ACTIONS
    }


def test_the_page_names_every_income_role() -> None:
    assert all(f"`{role}`" in PAGE for role in INCOME_ROLES)
