-- HMAC-SHA256 of the row, with a key that the processes have and the database has not. Rows without it count for nothing.
ALTER TABLE snapshots ADD COLUMN seal bytea NOT NULL DEFAULT '';
