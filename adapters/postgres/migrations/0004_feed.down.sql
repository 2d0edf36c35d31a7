DROP TABLE feed_parked;
DROP TABLE feed_tenants;
DROP TABLE feed_inbox;
DROP TABLE feed_groups;
