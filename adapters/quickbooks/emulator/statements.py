"""The emulator's SQL: one SQLite file holds companies, entities, postings, answers, the log and tokens."""

# A file that answers before it is synced would lose what a client was told is there.
PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 10000")

SCHEMA = """
CREATE TABLE IF NOT EXISTS company (
    realm TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    country TEXT NOT NULL,
    preferences TEXT NOT NULL,
    next_id INTEGER NOT NULL,
    receivable_id INTEGER,
    undeposited_id INTEGER,
    tax_id INTEGER,
    created_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS entity (
    realm TEXT NOT NULL,
    kind TEXT NOT NULL,
    id INTEGER NOT NULL,
    sync_token INTEGER NOT NULL,
    active INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    doc_number TEXT,
    reference TEXT,
    name TEXT COLLATE NOCASE,
    acct_num TEXT,
    category TEXT,
    txn_date TEXT,
    customer_id TEXT,
    total_minor INTEGER,
    balance_minor INTEGER,
    json TEXT NOT NULL,
    PRIMARY KEY (realm, kind, id)
);
CREATE INDEX IF NOT EXISTS entity_doc_number ON entity (realm, kind, doc_number, id) WHERE doc_number IS NOT NULL;
CREATE INDEX IF NOT EXISTS entity_reference ON entity (realm, kind, reference, id) WHERE reference IS NOT NULL;
CREATE INDEX IF NOT EXISTS entity_name ON entity (realm, kind, name, id) WHERE name IS NOT NULL;
CREATE INDEX IF NOT EXISTS entity_acct_num ON entity (realm, kind, acct_num, id) WHERE acct_num IS NOT NULL;
CREATE INDEX IF NOT EXISTS entity_open ON entity (realm, kind, customer_id) WHERE balance_minor > 0;
CREATE INDEX IF NOT EXISTS entity_updated ON entity (realm, kind, updated_ms);
CREATE TABLE IF NOT EXISTS posting (
    realm TEXT NOT NULL,
    document_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    debit_minor INTEGER NOT NULL,
    PRIMARY KEY (realm, document_id, account_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answer (
    realm TEXT NOT NULL,
    request_id TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (realm, request_id)
);
CREATE TABLE IF NOT EXISTS request (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    entity TEXT,
    operation TEXT NOT NULL,
    request_id TEXT,
    replayed INTEGER NOT NULL,
    status INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS armed (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    fault TEXT NOT NULL,
    entity TEXT,
    remaining INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS token (
    value TEXT PRIMARY KEY,
    use TEXT NOT NULL,
    family TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
);
"""

INSERT_COMPANY = """
INSERT INTO company (realm, name, country, preferences, next_id, created_ms) VALUES (?, ?, ?, ?, 1, ?)
"""
SELECT_COMPANY = """
SELECT realm, name, country, preferences, next_id, receivable_id, undeposited_id, tax_id, created_ms
FROM company WHERE realm = ?
"""
SELECT_REALMS = "SELECT realm FROM company ORDER BY created_ms, realm"
UPDATE_COMPANY_SETTINGS = "UPDATE company SET preferences = ?, country = ? WHERE realm = ?"
UPDATE_OWN_ACCOUNTS = "UPDATE company SET receivable_id = ?, undeposited_id = ?, tax_id = ? WHERE realm = ?"
TAKE_ID = "UPDATE company SET next_id = next_id + 1 WHERE realm = ? RETURNING next_id - 1"

PUT_ENTITY = """
INSERT OR REPLACE INTO entity (
    realm, kind, id, sync_token, active, deleted, created_ms, updated_ms, doc_number, reference, name, acct_num,
    category, txn_date, customer_id, total_minor, balance_minor, json
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_ENTITY = """
SELECT id, sync_token, deleted, created_ms, json FROM entity WHERE realm = ? AND kind = ? AND id = ?
"""
SELECT_BY_NUMBER = """
SELECT id FROM entity WHERE realm = ? AND kind = ? AND doc_number = ? AND id <> ? AND NOT deleted LIMIT 1
"""
SELECT_BY_NAME = """
SELECT id FROM entity WHERE realm = ? AND kind = ? AND name = ? AND id <> ? AND NOT deleted LIMIT 1
"""
SELECT_BY_ACCT_NUM = """
SELECT id FROM entity WHERE realm = ? AND kind = ? AND acct_num = ? AND id <> ? AND NOT deleted LIMIT 1
"""
SELECT_OPEN_INVOICES = """
SELECT id, balance_minor FROM entity
WHERE realm = ? AND kind = 'Invoice' AND customer_id = ? AND balance_minor > 0 AND NOT deleted
ORDER BY txn_date, id
"""
SELECT_CHANGED = """
SELECT id, deleted, updated_ms, json FROM entity
WHERE realm = ? AND kind = ? AND updated_ms >= ? ORDER BY updated_ms, id LIMIT ?
"""
SELECT_RECENT_DOCUMENTS = """
SELECT kind, id, COALESCE(doc_number, reference), txn_date, total_minor, balance_minor, deleted FROM entity
WHERE realm = ? AND txn_date IS NOT NULL ORDER BY id DESC LIMIT ?
"""

DELETE_POSTINGS = "DELETE FROM posting WHERE realm = ? AND document_id = ?"
INSERT_POSTING = "INSERT INTO posting (realm, document_id, account_id, debit_minor) VALUES (?, ?, ?, ?)"
SELECT_BALANCES = """
SELECT account.acct_num, account.name, account.category, COALESCE(SUM(posting.debit_minor), 0)
FROM entity AS account
LEFT JOIN (
    SELECT account_id, SUM(debit_minor) AS debit_minor FROM posting WHERE realm = ?1 GROUP BY account_id
) AS posting ON posting.account_id = account.id
WHERE account.realm = ?1 AND account.kind = 'Account'
GROUP BY account.id ORDER BY account.acct_num IS NULL, account.acct_num, account.id
"""

SELECT_ANSWER = "SELECT body FROM answer WHERE realm = ? AND request_id = ?"
INSERT_ANSWER = "INSERT INTO answer (realm, request_id, body) VALUES (?, ?, ?)"
DELETE_ANSWER = "DELETE FROM answer WHERE realm = ? AND request_id = ?"

INSERT_REQUEST = """
INSERT INTO request (at, method, path, entity, operation, request_id, replayed, status)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_REQUESTS = """
SELECT n, at, method, path, entity, operation, request_id, replayed, status
FROM request WHERE n > ? ORDER BY n LIMIT ?
"""
SELECT_RECENT_REQUESTS = """
SELECT n, at, method, path, entity, operation, request_id, replayed, status FROM request ORDER BY n DESC LIMIT ?
"""

INSERT_ARMED = "INSERT INTO armed (fault, entity, remaining) VALUES (?, ?, ?)"
SELECT_ARMED = "SELECT n, fault, entity, remaining FROM armed ORDER BY n"
SPEND_ARMED = "UPDATE armed SET remaining = remaining - 1 WHERE n = ?"
DELETE_SPENT = "DELETE FROM armed WHERE remaining <= 0"
DELETE_ARMED = "DELETE FROM armed"

INSERT_TOKEN = "INSERT INTO token (value, use, family, expires_ms) VALUES (?, ?, ?, ?)"  # noqa: S105 - SQL, no secret
SELECT_TOKEN = "SELECT family FROM token WHERE value = ? AND use = ? AND expires_ms > ?"  # noqa: S105 - SQL, no secret
DELETE_TOKEN = "DELETE FROM token WHERE value = ?"  # noqa: S105 - SQL, no secret
DELETE_FAMILY = "DELETE FROM token WHERE family IN (SELECT family FROM token WHERE value = ?)"
