-- Version 3 of the schema.

-- How many messages its validations may cost in a day; NULL for any number.
ALTER TABLE challenger.clients ADD COLUMN messages_per_day bigint
    CHECK (messages_per_day >= 0);

-- What messages cost, across all validations: one row for each account that was charged in its
-- window. No address can be read from it, but whoever has the table can find out whether a given
-- address is in it.
CREATE TABLE challenger.ledger (
    -- address:DIGEST, client:ID, service, or a destination: prefix:…, domain:… or country:…
    -- The digest is the SHA-256 of the address without what distinguishes spellings of a mailbox.
    account text COLLATE "C" PRIMARY KEY NOT NULL,
    -- The messages of the window.
    spent bigint NOT NULL,
    -- The addresses that were proved in the window.
    proved bigint NOT NULL,
    -- The budget: messages in a period, in seconds.
    messages bigint NOT NULL,
    period bigint NOT NULL,
    -- When the window ends.
    ends bigint NOT NULL,
    -- A statement that would overdraw an account is undone, with the row that it was to pay for.
    CONSTRAINT within_budget CHECK (spent <= messages)
-- A row changes with each message, and no index has to follow it.
) WITH (fillfactor = 70);
