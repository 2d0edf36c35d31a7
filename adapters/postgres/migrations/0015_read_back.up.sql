-- Sales as they are looked for: by receipt, and by date, of all, of a customer, of a wallet that paid, or of both. Each
-- order is an index of its own, so that a page reads its rows alone.
CREATE INDEX finance_sales_receipt_idx ON finance_sales (tenant, receipt);
CREATE UNIQUE INDEX finance_sales_date_idx ON finance_sales (tenant, effective_date, position);
CREATE UNIQUE INDEX finance_sales_customer_idx ON finance_sales (tenant, customer, effective_date, position);
CREATE TABLE finance_sale_wallets (
    tenant text COLLATE "C",
    account text COLLATE "C",
    effective_date date,
    position bigint,
    customer text COLLATE "C",
    sale uuid NOT NULL,
    PRIMARY KEY (tenant, account, effective_date, position)
);
CREATE INDEX finance_sale_wallets_customer_idx
    ON finance_sale_wallets (tenant, account, customer, effective_date, position);
INSERT INTO finance_sale_wallets (tenant, account, effective_date, position, customer, sale)
    SELECT DISTINCT s.tenant, t.value ->> 'account', s.effective_date, s.position, s.customer, s.sale
    FROM finance_sales s CROSS JOIN LATERAL jsonb_array_elements(s.tenders) AS t
    WHERE t.value ->> 'type' = 'wallet';
ALTER TABLE finance_sale_wallets OWNER TO bursar_projector;
SELECT bursar_make_readable('finance_sale_wallets');

-- Entries by date too: of a range of an account's days no other day is read.
ALTER TABLE ledger_entries ADD COLUMN effective_date date;
UPDATE ledger_entries e SET effective_date = t.effective_date
FROM (
    SELECT tenant, code, e.position, max(t.position) OVER (ORDER BY e.position) AS began
    FROM ledger_entries e LEFT JOIN ledger_transactions t USING (tenant, position)
) AS s JOIN ledger_transactions t ON t.position = s.began
WHERE e.tenant = s.tenant AND e.code = s.code AND e.position = s.position;
ALTER TABLE ledger_entries ALTER COLUMN effective_date SET NOT NULL;
CREATE UNIQUE INDEX ledger_entries_date_idx ON ledger_entries (tenant, code, effective_date, position);

-- Transactions as they are looked for: by id, and by date, of all or of an action. last_position is the command's, position
-- that of the first posting. What a transaction says, who gave its command and why, is told from the log.
ALTER TABLE ledger_transactions ADD COLUMN last_position bigint, ADD COLUMN action text COLLATE "C";
UPDATE ledger_transactions t SET last_position = c.position, action = c.action
FROM (
    SELECT first_position, position, CASE command WHEN 'bulk.atomic' THEN 'wallet.transfer' ELSE command END AS action
    FROM commands
) AS c
WHERE t.position >= c.first_position AND t.position <= c.position;
UPDATE ledger_transactions t SET action = CASE n.event ->> 'kind'
    WHEN 'top_up' THEN 'wallet.top_up'
    WHEN 'charge' THEN 'wallet.charge'
    WHEN 'sale' THEN 'pos.checkout'
    WHEN 'refund' THEN 'pos.refund'
    WHEN 'settlement' THEN 'invoice.settle'
    WHEN 'invoice' THEN
        CASE n.event ->> 'document' WHEN t.transaction_id::text THEN 'invoice.create' ELSE 'invoice.issue' END
END
FROM (
    SELECT convert_from(e.state, 'UTF8')::jsonb AS event, b.position
    FROM commands c
    JOIN events e ON e.notification_id >= c.first_position AND e.notification_id <= c.position
    CROSS JOIN LATERAL (
        SELECT max(position) AS position FROM ledger_transactions
        WHERE position >= c.first_position AND position <= e.notification_id
    ) AS b
    WHERE c.command = 'bulk.atomic' AND e.topic = 'bursar.series.number_allocated.v1'
) AS n
WHERE t.position = n.position;
ALTER TABLE ledger_transactions ALTER COLUMN last_position SET NOT NULL, ALTER COLUMN action SET NOT NULL;
CREATE UNIQUE INDEX ledger_transactions_id_idx ON ledger_transactions (transaction_id);
CREATE UNIQUE INDEX ledger_transactions_date_idx ON ledger_transactions (tenant, effective_date, position);
CREATE UNIQUE INDEX ledger_transactions_action_idx ON ledger_transactions (tenant, action, effective_date, position);

-- What transactions of the reader's tenant say: their events, from the first posting to where the next one begins, and of
-- the first of a command also what stands before it. Its reversal is told as far as the ledger is projected. Of all
-- indexes that begin with the tenant none fits, so that a plan from when there was little takes the one of ids.
CREATE FUNCTION bursar_transactions(ids uuid[]) RETURNS TABLE (
    transaction_id uuid, action text, effective_date date, recorded_at timestamptz, "position" bigint, actor text,
    reason text, description text, receipt text, wallet text, postings jsonb, documents jsonb, reverses text,
    reversed_by text, metadata jsonb
)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off
    AS $$
    SELECT t.transaction_id, t.action, t.effective_date, t.recorded_at, t.position, c.actor,
        coalesce(nullif(c.reason, ''), e.reversal_reason, ''),
        coalesce(e.words, 'Reversal: ' || e.reversal_reason, CASE e.kind
            WHEN 'sale' THEN 'Sale ' || e.receipt
            WHEN 'refund' THEN 'Refund ' || e.receipt
            WHEN 'settlement' THEN 'Payment of invoice ' || e.settled
            WHEN 'invoice' THEN 'Invoice ' || e.number
        END, ''),
        e.receipt, CASE e.wallet WHEN e.last_wallet THEN e.wallet END, e.postings,
        coalesce(e.made, '[]') || coalesce(e.about, '[]'), e.reverses,
        (
            SELECT convert_from(state, 'UTF8')::jsonb ->> 'transaction_id' FROM events
            WHERE originator_id = t.tenant || '/transaction/' || t.transaction_id AND originator_version = 1
                AND notification_id <= (
                    SELECT p.position FROM projection_positions p WHERE name = 'ledger' ORDER BY p.position DESC LIMIT 1
                )
        ),
        coalesce((
            SELECT convert_from(state, 'UTF8')::jsonb -> 'metadata' FROM events
            WHERE originator_id = t.tenant || '/annotation/' || t.transaction_id AND originator_version = 1
        ), '{}')
    FROM unnest(ids) AS w (id)
    CROSS JOIN LATERAL (
        SELECT * FROM ledger_transactions
        WHERE ledger_transactions.transaction_id = w.id AND tenant || '' = current_setting('bursar.tenant', true) OFFSET 0
    ) AS t
    CROSS JOIN LATERAL (SELECT * FROM commands WHERE commands.position = t.last_position OFFSET 0) AS c
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN EXISTS (
                SELECT FROM ledger_transactions p WHERE p.position >= c.first_position AND p.position < t.position
            ) THEN t.position ELSE c.first_position END AS since,
            coalesce((
                SELECT min(n.position) - 1 FROM ledger_transactions n
                WHERE n.position > t.position AND n.position <= t.last_position
            ), t.last_position) AS upto
    ) AS b
    CROSS JOIN LATERAL (
        SELECT
            jsonb_agg(jsonb_build_object('code', event ->> 'code', 'role', event ->> 'role', 'side',
                CASE topic WHEN 'bursar.account.debited.v1' THEN 'debit' ELSE 'credit' END,
                'amount', event -> 'amount', 'currency', event ->> 'currency') ORDER BY place)
                FILTER (WHERE topic IN ('bursar.account.debited.v1', 'bursar.account.credited.v1')) AS postings,
            jsonb_agg(jsonb_build_object('kind', event ->> 'kind', 'id', event ->> 'document', 'number',
                event ->> 'number') ORDER BY place) FILTER (WHERE is_number) AS made,
            jsonb_agg(DISTINCT jsonb_build_object('kind', CASE topic WHEN 'bursar.sale.refunded.v1' THEN 'sale'
                ELSE 'invoice' END, 'id', coalesce(event ->> 'invoice', event ->> 'sale'), 'number', event ->> 'number'))
                FILTER (WHERE topic IN ('bursar.invoice.payment_applied.v1', 'bursar.invoice.payment_reversed.v1',
                    'bursar.sale.refunded.v1')) AS about,
            max(event ->> 'kind') FILTER (WHERE is_number) AS kind,
            max(event ->> 'number') FILTER (WHERE is_number) AS number,
            max(event ->> 'number') FILTER (WHERE is_number AND event ->> 'series' = 'receipt') AS receipt,
            max(event ->> 'number') FILTER (WHERE topic = 'bursar.invoice.payment_applied.v1') AS settled,
            (array_agg(event ->> 'description' ORDER BY place) FILTER (WHERE moves_wallet))[1] AS words,
            min(event ->> 'account') FILTER (WHERE moves_wallet) AS wallet,
            max(event ->> 'account') FILTER (WHERE moves_wallet) AS last_wallet,
            max(event ->> 'reverses') FILTER (WHERE is_reversal) AS reverses,
            max(event ->> 'reason') FILTER (WHERE is_reversal) AS reversal_reason
        FROM (
            SELECT notification_id AS place, topic, convert_from(state, 'UTF8')::jsonb AS event,
                topic = 'bursar.series.number_allocated.v1' AS is_number,
                topic = 'bursar.transaction.reversed.v1' AS is_reversal,
                topic LIKE 'bursar.wallet.%' AND convert_from(state, 'UTF8')::jsonb ? 'description' AS moves_wallet
            FROM events WHERE notification_id >= b.since AND notification_id <= b.upto
            OFFSET 0
        ) AS said
    ) AS e
$$;
ALTER FUNCTION bursar_transactions OWNER TO bursar_projector;
REVOKE ALL ON FUNCTION bursar_transactions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bursar_transactions TO bursar_reader;

-- Wallets of a payer, of a status, and of both.
CREATE UNIQUE INDEX wallet_accounts_payer_idx ON wallet_accounts (tenant, payer, account);
CREATE UNIQUE INDEX wallet_accounts_status_idx ON wallet_accounts (tenant, status, account);
CREATE UNIQUE INDEX wallet_accounts_both_idx ON wallet_accounts (tenant, payer, status, account);
