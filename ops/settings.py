"""Settings, from the environment: `BURSAR_…`. A process asks for those that it needs."""

from typing import Literal

import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_log = structlog.get_logger("ops")

LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(BaseSettings):
    """Everything that can be set. Secrets come from the environment and never show in logs."""

    model_config = SettingsConfigDict(env_prefix="BURSAR_")

    database_url: str = Field(default="", repr=False)
    """The superuser's, for migrations and set-up alone."""
    writer_database_url: str = Field(default="", repr=False)
    projector_database_url: str = Field(default="", repr=False)
    reader_database_url: str = Field(default="", repr=False)
    relay_database_url: str = Field(default="", repr=False)
    exporter_database_url: str = Field(default="", repr=False)
    auditor_database_url: str = Field(default="", repr=False)

    public_url: str = "http://127.0.0.1:8000"
    """What the addresses in receipts begin with."""
    receipt_key: str = Field(default="", repr=False)
    """Signs receipts; 64 hex digits, the same for all API processes of a store."""
    receipt_key_id: str = "k1"
    snapshot_key: str = Field(default="", repr=False)
    """Seals snapshots; 64 hex digits, the same for the API and the projector of a store."""
    queue_limit: int = 4_000
    """How many commands of one tenant wait at most, of all four times as many; beyond, clients hear 503."""

    kafka_bootstrap_servers: str = ""
    kafka_topic: str = "bursar"

    quickbooks_url: str = ""
    quickbooks_access_token: str = Field(default="", repr=False)
    quickbooks_emulator: bool = False
    quickbooks_realms: dict[str, str] = Field(default_factory=dict)
    """Each tenant's company, as JSON: `{"greenhill": "9130…"}`."""

    log_level: LogLevel | None = None
    """What is logged at least; `info` where it is not set, and `warning` for commands that a person gives."""

    ready_file: str = ""
    """A file that a worker makes once it works; the supervisor waits for it."""

    def sealing_key(self) -> bytes:
        """What seals snapshots; without it none are taken, and none count."""
        if not self.snapshot_key:
            _log.warning("long streams are read whole: BURSAR_SNAPSHOT_KEY is not set")
        return bytes.fromhex(self.snapshot_key)

    def need(self, name: str) -> str:
        """A setting that must be there. Raises `SystemExit` saying which is missing."""
        value = str(getattr(self, name))
        if not value:
            raise SystemExit(f"bursar: BURSAR_{name.upper()} is not set")
        return value
