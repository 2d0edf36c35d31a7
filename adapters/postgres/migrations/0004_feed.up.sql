-- Where each consumer group is with the feed. A group's effects, its offset and its places change together.

-- Whose messages a group has applied. It never changes: after a restore the epoch does, and the two do not mix.
CREATE TABLE feed_groups (
    consumer_group text COLLATE "C" PRIMARY KEY,
    store text COLLATE "C" NOT NULL,
    epoch integer NOT NULL
);

-- One row per partition. Whoever holds it FOR UPDATE and finds next_offset unmoved is the owner.
CREATE TABLE feed_inbox (
    consumer_group text COLLATE "C" NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    last_position bigint NOT NULL,
    PRIMARY KEY (consumer_group, topic, partition)
) WITH (fillfactor = 10);

-- How far the group is with each tenant, whichever feed it read: a message is applied once, and a hole shows.
CREATE TABLE feed_tenants (
    consumer_group text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    position bigint NOT NULL,
    waits boolean NOT NULL,
    PRIMARY KEY (consumer_group, tenant)
) WITH (fillfactor = 10);

-- What was put aside: messages that cannot be applied, and those of their tenant that wait behind them.
CREATE TABLE feed_parked (
    consumer_group text COLLATE "C" NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    reason text NOT NULL,
    value bytea NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    released_at timestamptz,
    PRIMARY KEY (consumer_group, topic, partition, record_offset)
);
CREATE INDEX feed_parked_waiting_idx ON feed_parked (consumer_group, tenant, position) WHERE released_at IS NULL;

ALTER TABLE feed_groups OWNER TO bursar_owner;
ALTER TABLE feed_inbox OWNER TO bursar_owner;
ALTER TABLE feed_tenants OWNER TO bursar_owner;
ALTER TABLE feed_parked OWNER TO bursar_owner;
REVOKE ALL ON feed_groups, feed_inbox, feed_tenants, feed_parked FROM bursar_owner, PUBLIC;
GRANT SELECT, INSERT ON feed_groups TO bursar_exporter;
GRANT SELECT, INSERT, UPDATE ON feed_inbox, feed_tenants, feed_parked TO bursar_exporter;
GRANT SELECT ON feed_groups, feed_inbox, feed_tenants, feed_parked TO bursar_auditor;
