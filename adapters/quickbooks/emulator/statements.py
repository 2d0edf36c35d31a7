"""The emulator's SQL: one SQLite file holds companies, entities, postings, answers, the log and tokens.

What only the pages ask is in `pages/queries.py`.
"""

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
CREATE INDEX IF NOT EXISTS entity_document ON entity (realm, id) WHERE txn_date IS NOT NULL;
CREATE INDEX IF NOT EXISTS entity_number
    ON entity (realm, COALESCE(doc_number, reference) COLLATE NOCASE, id) WHERE txn_date IS NOT NULL;
CREATE TABLE IF NOT EXISTS posting (
    realm TEXT NOT NULL,
    document_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    debit_minor INTEGER NOT NULL,
    PRIMARY KEY (realm, document_id, account_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS posting_account ON posting (realm, account_id, document_id);
-- The documents of a customer, each with what it adds to what the customer owes.
CREATE TABLE IF NOT EXISTS customer_line (
    realm TEXT NOT NULL,
    customer_id INTEGER NOT NULL,
    document_id INTEGER NOT NULL,
    owed_minor INTEGER NOT NULL,
    PRIMARY KEY (realm, customer_id, document_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS customer_line_document ON customer_line (realm, document_id);
-- Sums of the two, kept by triggers so that no page and no balance adds up all documents.
CREATE TABLE IF NOT EXISTS account_total (
    realm TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    debit_minor INTEGER NOT NULL,
    credit_minor INTEGER NOT NULL,
    PRIMARY KEY (realm, account_id)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS posting_inserted AFTER INSERT ON posting BEGIN
    INSERT INTO account_total (realm, account_id, debit_minor, credit_minor)
    VALUES (NEW.realm, NEW.account_id, MAX(NEW.debit_minor, 0), MAX(-NEW.debit_minor, 0))
    ON CONFLICT DO UPDATE SET
        debit_minor = debit_minor + excluded.debit_minor, credit_minor = credit_minor + excluded.credit_minor;
END;
CREATE TRIGGER IF NOT EXISTS posting_deleted AFTER DELETE ON posting BEGIN
    UPDATE account_total SET
        debit_minor = debit_minor - MAX(OLD.debit_minor, 0),
        credit_minor = credit_minor - MAX(-OLD.debit_minor, 0)
    WHERE realm = OLD.realm AND account_id = OLD.account_id;
END;
CREATE TABLE IF NOT EXISTS customer_total (
    realm TEXT NOT NULL,
    customer_id INTEGER NOT NULL,
    owed_minor INTEGER NOT NULL,
    PRIMARY KEY (realm, customer_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS customer_total_owed
    ON customer_total (realm, owed_minor, customer_id) WHERE owed_minor <> 0;
CREATE TRIGGER IF NOT EXISTS customer_line_inserted AFTER INSERT ON customer_line WHEN NEW.owed_minor <> 0 BEGIN
    INSERT INTO customer_total (realm, customer_id, owed_minor)
    VALUES (NEW.realm, NEW.customer_id, NEW.owed_minor)
    ON CONFLICT DO UPDATE SET owed_minor = owed_minor + excluded.owed_minor;
END;
CREATE TRIGGER IF NOT EXISTS customer_line_deleted AFTER DELETE ON customer_line WHEN OLD.owed_minor <> 0 BEGIN
    UPDATE customer_total SET owed_minor = owed_minor - OLD.owed_minor
    WHERE realm = OLD.realm AND customer_id = OLD.customer_id;
END;
-- Documents and customers as pages list them. A deleted document is in no list; a journal's own total always
-- reads 0, so its debits are told.
CREATE TEMP VIEW document AS SELECT
    id, kind, COALESCE(doc_number, reference) AS number, txn_date AS date,
    CAST(customer_id AS INTEGER) AS customer_id,
    (
        SELECT customer.name FROM main.entity AS customer
        WHERE customer.realm = entity.realm AND customer.kind = 'Customer'
            AND customer.id = CAST(entity.customer_id AS INTEGER)
    ) AS customer,
    CASE kind WHEN 'JournalEntry' THEN (
        SELECT COALESCE(SUM(MAX(debit_minor, 0)), 0) FROM main.posting
        WHERE posting.realm = entity.realm AND posting.document_id = entity.id
    ) ELSE total_minor END AS total_minor,
    CASE WHEN kind IN ('Invoice', 'CreditMemo') THEN balance_minor END AS open_minor, realm
FROM main.entity WHERE txn_date IS NOT NULL;
CREATE TEMP VIEW customer AS SELECT
    id, name, active,
    COALESCE((
        SELECT owed_minor FROM main.customer_total AS total
        WHERE total.realm = entity.realm AND total.customer_id = entity.id
    ), 0) AS owed_minor,
    (
        SELECT MAX(document_id) FROM main.customer_line AS line
        WHERE line.realm = entity.realm AND line.customer_id = entity.id
    ) AS last_document_id,
    realm
FROM main.entity WHERE kind = 'Customer' AND name IS NOT NULL;
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

SELECT_VERSION = "PRAGMA user_version"
# What a file of before the sums lacks is worked out once from its documents; a new file has none.
UPGRADES = (
    """
    INSERT INTO account_total (realm, account_id, debit_minor, credit_minor)
    SELECT realm, account_id, SUM(MAX(debit_minor, 0)), SUM(MAX(-debit_minor, 0))
    FROM posting GROUP BY realm, account_id
    """,
    """
    INSERT INTO customer_line (realm, customer_id, document_id, owed_minor)
    SELECT document.realm, document.customer_id, document.id, COALESCE(posting.debit_minor, 0)
    FROM entity AS document
    JOIN company ON company.realm = document.realm
    LEFT JOIN posting ON posting.realm = document.realm AND posting.document_id = document.id
        AND posting.account_id = company.receivable_id
    WHERE document.txn_date IS NOT NULL AND document.customer_id IS NOT NULL
    """,
    """
    INSERT INTO customer_line (realm, customer_id, document_id, owed_minor)
    SELECT realm, customer_id, document_id, SUM(CASE side WHEN 'Debit' THEN minor ELSE -minor END)
    FROM (
        SELECT document.realm, document.id AS document_id,
            CAST(ROUND(json_extract(line.value, '$.Amount') * 100) AS INTEGER) AS minor,
            json_extract(line.value, '$.JournalEntryLineDetail.PostingType') AS side,
            COALESCE(
                json_extract(line.value, '$.JournalEntryLineDetail.Entity.EntityRef.value'),
                json_extract(line.value, '$.JournalEntryLineDetail.Entity.EntityRef')
            ) AS customer_id
        FROM entity AS document
        JOIN json_each(document.json, '$.Line') AS line
        JOIN entity AS account ON account.realm = document.realm AND account.kind = 'Account'
            AND account.id = json_extract(line.value, '$.JournalEntryLineDetail.AccountRef.value')
        WHERE document.kind = 'JournalEntry' AND NOT document.deleted
            AND account.category = 'Accounts Receivable'
    )
    WHERE customer_id IS NOT NULL
    GROUP BY realm, document_id, customer_id
    """,
    "PRAGMA user_version = 1",
)

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

DELETE_POSTINGS = "DELETE FROM posting WHERE realm = ? AND document_id = ?"
INSERT_POSTING = "INSERT INTO posting (realm, document_id, account_id, debit_minor) VALUES (?, ?, ?, ?)"
DELETE_CUSTOMER_LINES = "DELETE FROM customer_line WHERE realm = ? AND document_id = ?"
INSERT_CUSTOMER_LINE = """
INSERT INTO customer_line (realm, customer_id, document_id, owed_minor) VALUES (?, ?, ?, ?)
"""
SELECT_ACCOUNTS = """
SELECT account.id, account.acct_num, account.name, account.category,
    COALESCE(total.debit_minor, 0), COALESCE(total.credit_minor, 0)
FROM entity AS account
LEFT JOIN account_total AS total ON total.realm = account.realm AND total.account_id = account.id
WHERE account.realm = ? AND account.kind = 'Account'
ORDER BY account.acct_num IS NULL, account.acct_num, account.id
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
