"""Exports as somebody at a shell asks for them and follows them."""

import json
import secrets
from pathlib import Path

import httpx
import pytest

from tests.support.service import Service
from tests.support.shell import Shell


@pytest.fixture(scope="module")
def key_of_a_school(ready_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """A new school at a running `up`: its address, its key, its company in the emulator."""
    from adapters.quickbooks.settings import QuickBooksSettings

    name = f"exports-{secrets.token_hex(4)}"
    ready = json.loads(ready_file.read_text())
    shell = Shell(tmp_path_factory.mktemp("shell"), {})
    (shell.folder / ".bursar").symlink_to(ready_file.parent / "up")
    shell.run("tenant", "register", name, "--country", "KE")
    key = shell.facts("key", "create", "--tenant", name, "--client", "office", "--role", "admin")["key"]
    settings = QuickBooksSettings.for_emulator(url=ready["quickbooks"]["url"], access_token="")
    return ready["url"], key, settings.realm_for(name)


def test_an_export_is_requested_followed_and_its_documents_listed(
    at_up: Shell, ready_file: Path, key_of_a_school: tuple[str, str, str]
) -> None:
    url, key, realm = key_of_a_school
    there = ("--url", url, "--key", key)
    _, told = at_up.run("export", "status", *there, code=1)
    assert told == "bursar: the exporter has taken up no export of this school\n"
    assert at_up.facts("export", "run", *there)["documents"] == {}
    with httpx.Client(base_url=f"{url}/v2/finance/", headers={"Authorization": f"Bearer {key}"}) as client:
        for number, (path, body) in enumerate(
            (
                ("wallets", {"account": "STU-1", "currency": "KES"}),
                (
                    "wallets/STU-1/top-up",
                    {"amount": 150_000, "currency": "KES", "source": {"type": "cash"}},
                ),
            )
        ):
            sent = client.post(path, json=body, headers={"Idempotency-Key": f"export-test-{number}"})
            sent.raise_for_status()
    quickbooks = json.loads(ready_file.read_text())["quickbooks"]
    with httpx.Client(
        base_url=quickbooks["url"], headers={"Authorization": f"Bearer {quickbooks['access_token']}"}
    ) as client:
        customers = f"/v3/company/{realm}/customer"
        made = client.post(customers, json={"DisplayName": "STU-1"}).raise_for_status().json()["Customer"]
        client.post(customers, json={**made, "Active": False}).raise_for_status()
        needs = at_up.facts("export", "run", *there, code=3)
        assert (needs["status"], needs["documents"]) == ("needs_attention", {"needs_mapping": 1})
        assert at_up.facts("export", "status", *there) == needs
        assert at_up.facts("export", "status", needs["batch_id"], *there) == needs
        (document,) = at_up.facts("export", "documents", *there)
        assert document["code"] == "customer_inactive"
        assert at_up.facts("export", "documents", *there, "--state", "confirmed") == []
        out, _ = at_up.run("export", "documents", needs["batch_id"], *there)
        header, row, _, remedy = out.splitlines()
        assert header.split() == ["NUMBER", "KIND", "AMOUNT", "STATE", "CODE", "REASON"]
        assert row.split(maxsplit=5) == [
            document["number"],
            "SalesReceipt",
            "1500.00",
            "needs_mapping",
            "customer_inactive",
            "The customer STU-1 is inactive in QuickBooks.",
        ]
        assert remedy == f"customer_inactive: {document['remedy']}"
        inactive = client.get(f"{customers}/{made['Id']}").json()["Customer"]
        client.post(customers, json={**inactive, "Active": True}).raise_for_status()
    done, _ = at_up.run("export", "run", *there)
    assert "status     completed" in done
    assert "documents  1 confirmed" in done
    (document,) = at_up.facts("export", "documents", *there)
    assert (document["state"], document["code"]) == ("confirmed", None)


def test_what_is_wrong_is_said_in_a_line(bare: Shell, service: Service) -> None:
    there = ("--url", service.url, "--key", service.keys["admin"])
    _, told = bare.run("export", "documents", "1", *there, code=1)
    assert told == "bursar: export_not_found: There is no export batch 1.\n"
    _, told = bare.run("export", "documents", *there, "--state", "lost", code=2)
    assert "needs_mapping" in told
    _, told = bare.run("export", "--data", "nowhere", "status", *there, code=2)
    assert "it stands behind the command" in told


def test_export_alone_is_the_exporter(bare: Shell) -> None:
    _, told = bare.run("export", code=2)
    assert told.startswith("bursar: BURSAR_EXPORTER_DATABASE_URL, ")
