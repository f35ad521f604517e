-- Version 3 of the schema.

-- How many messages its validations may cost in a day; NULL for any number.
ALTER TABLE clients ADD COLUMN messages_per_day INTEGER CHECK (messages_per_day >= 0);

-- What messages cost, across all validations: one row for each account that was charged in its
-- window. No address can be read from it, but whoever has the table can find out whether a given
-- address is in it.
CREATE TABLE ledger (
    -- address:DIGEST, client:ID, service, or a destination: prefix:…, domain:… or country:…
    -- The digest is the SHA-256 of the address without what distinguishes spellings of a mailbox.
    account TEXT PRIMARY KEY NOT NULL,
    -- The messages of the window.
    spent INTEGER NOT NULL CHECK (spent >= 0),
    -- The addresses that were proved in the window.
    proved INTEGER NOT NULL CHECK (proved >= 0),
    -- The budget: messages in a period, in seconds.
    messages INTEGER NOT NULL CHECK (messages >= 0),
    period INTEGER NOT NULL CHECK (period >= 0),
    -- When the window ends.
    ends INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
