-- Under whose keys an import's rows lie, with which options it read them, and a sample of how it read them.
-- Nothing is known of those that were recorded before.

ALTER TABLE finance_imports
    ADD COLUMN client text COLLATE "C",
    ADD COLUMN options text COLLATE "C",
    ADD COLUMN readings text[] COLLATE "C" NOT NULL DEFAULT '{}';
