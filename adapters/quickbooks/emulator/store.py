"""The emulator's file: one SQLite connection, used by one thread, synced before anything is answered."""

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from adapters.quickbooks.emulator import statements
from adapters.quickbooks.emulator.refusals import Body

# Amounts are read as decimals and written as JSON numbers: no float is ever made of them.
_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(Any, float_hook=Decimal)


def encode(value: object) -> bytes:
    return _encoder.encode(value)


def decode(text: bytes | str) -> Any:
    """What a JSON text says, its fractions as Decimal. Raises msgspec.DecodeError."""
    return _decoder.decode(text)


class Store:
    """The connection and its transactions. Not safe for threads: the server calls it from its event loop only."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in statements.PRAGMAS:
            self.db.execute(pragma)
        self.db.executescript(statements.SCHEMA)
        with self.transaction():
            if self.row(statements.SELECT_VERSION) == (0,):
                for statement in statements.UPGRADES:
                    self.run(statement)

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Everything inside happens, and is on disk, or nothing does."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    @contextmanager
    def attempt(self) -> Generator[None, None, None]:
        """Inside a transaction: what a refusal interrupts leaves nothing behind."""
        self.db.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK TO attempt")
            self.db.execute("RELEASE attempt")
            raise
        self.db.execute("RELEASE attempt")

    def rows(self, sql: str, *values: object, **named: object) -> list[Any]:
        return self.db.execute(sql, named or values).fetchall()

    def row(self, sql: str, *values: object) -> Any:
        return self.db.execute(sql, values).fetchone()

    def run(self, sql: str, *values: object) -> None:
        self.db.execute(sql, values)

    def close(self) -> None:
        self.db.close()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """The switches of a company, named as QuickBooks names them."""

    AutoApplyCredit: bool = False
    CustomTxnNumbers: bool = True
    HomeCurrency: str
    UsingSalesTax: bool = False
    BookCloseDate: str | None = None


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """A company as it was when the call began; ids from `next_id` on were made by the call itself."""

    realm: str
    name: str
    country: str
    preferences: Preferences
    next_id: int
    receivable_id: int | None
    undeposited_id: int | None
    tax_id: int | None
    created_ms: int


HOME_CURRENCY = {"KE": "KES", "CA": "CAD"}


def load_company(store: Store, realm: str) -> Company | None:
    row = store.row(statements.SELECT_COMPANY, realm)
    if row is None:
        return None
    realm, name, country, preferences, next_id, receivable_id, undeposited_id, tax_id, created_ms = row
    return Company(
        realm=realm,
        name=name,
        country=country,
        preferences=msgspec.json.decode(preferences, type=Preferences),
        next_id=next_id,
        receivable_id=receivable_id,
        undeposited_id=undeposited_id,
        tax_id=tax_id,
        created_ms=created_ms,
    )


def companies(store: Store) -> list[Company]:
    found = (load_company(store, realm) for (realm,) in store.rows(statements.SELECT_REALMS))
    return [company for company in found if company is not None]


def company_json(company: Company) -> Body:
    """What /emulator/companies tells of a company."""
    return {
        "realm": company.realm,
        "country": company.country,
        "name": company.name,
        "preferences": msgspec.to_builtins(company.preferences),
    }
