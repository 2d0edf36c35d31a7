"""Each part of `up` has the secrets that it needs, and none that its starter's shell happens to hold."""

from pathlib import Path

import pytest

from adapters.postgres.roles import LOGIN_ROLES
from ops.settings import Settings
from ops.up import plan as it

SECRETS = {
    "quickbooks": {"BURSAR_QUICKBOOKS_ACCESS_TOKEN"},
    "api": {
        "BURSAR_WRITER_DATABASE_URL",
        "BURSAR_READER_DATABASE_URL",
        "BURSAR_RECEIPT_KEY",
        "BURSAR_SNAPSHOT_KEY",
    },
    "projector": {"BURSAR_PROJECTOR_DATABASE_URL", "BURSAR_SNAPSHOT_KEY"},
    "relay": {"BURSAR_RELAY_DATABASE_URL"},
    "exporter": {"BURSAR_EXPORTER_DATABASE_URL", "BURSAR_QUICKBOOKS_ACCESS_TOKEN"},
}
HARMLESS = {"BURSAR_LOG_LEVEL", "BURSAR_QUEUE_LIMIT", "BURSAR_RECEIPT_KEY_ID", "BURSAR_PUBLIC_URL"}
"""What a part may take from its starter's environment as it is there."""


def plan(data: Path) -> it._Plan:
    return it._Plan(
        data=data,
        port=8000,
        quickbooks_port=8001,
        cluster=None,
        database_url="postgresql://superuser:ours@db/postgres",
        database_urls={role: f"postgresql://{role}:ours@db/postgres" for role in LOGIN_ROLES},
        passwords={},
        kafka={"BURSAR_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "BURSAR_KAFKA_TOPIC": "bursar-1"},
        secrets=it._Secrets(receipt_key="ours", quickbooks_access_token="ours", snapshot_key="ours"),
    )


def test_each_part_has_the_secrets_that_it_needs_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {f"BURSAR_{name.upper()}" for name in Settings.model_fields}
    # The last two: what `bursar env` puts into a shell, and what nobody has thought of yet.
    for name in (settings | {"BURSAR_API_KEY", "BURSAR_NEW_SECRET"}) - HARMLESS:
        monkeypatch.setenv(name, "theirs")
    parts = {part.name: part.env for part in it._parts(plan(tmp_path), set_up=lambda: None)}
    assert parts.keys() == SECRETS.keys()
    for name, env in parts.items():
        assert [variable for variable, value in env.items() if value == "theirs"] == [], name
        assert {variable for variable, value in env.items() if "ours" in value} == SECRETS[name], name
