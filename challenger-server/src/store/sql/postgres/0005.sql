-- Version 5 of the schema.

ALTER TABLE challenger.clients
    -- What people read as its name; NULL for the host of its redirect URI.
    ADD COLUMN name text,
    -- Whether the operator has disabled it.
    ADD COLUMN disabled boolean NOT NULL DEFAULT false,
    -- When it was registered. NULL in rows of version 4.
    ADD COLUMN created bigint,
    -- The secret of before, if it may be used for a while, as the columns without earlier_; and
    -- until when.
    ADD COLUMN earlier_salt bytea CHECK (octet_length(earlier_salt) = 16),
    ADD COLUMN earlier_digest bytea CHECK (octet_length(earlier_digest) = 32),
    ADD COLUMN earlier_until bigint;

ALTER TABLE challenger.validations
    -- When it was opened. NULL in rows of version 4.
    ADD COLUMN created bigint,
    -- The client's name at the time, if it had one.
    ADD COLUMN client_name text,
    -- Why the latest delivery that failed did, in one word, and when.
    ADD COLUMN failure text,
    ADD COLUMN failed_at bigint;

-- What happened to the validations of a client on a day, as servers count it every few seconds. A
-- server that is killed forgets what it has counted since.
CREATE TABLE challenger.statistics (
    -- Days since 1970, in UTC.
    day bigint NOT NULL,
    client bigint NOT NULL REFERENCES challenger.clients (id) ON DELETE CASCADE,
    -- Validations that were opened.
    opened bigint NOT NULL,
    -- Messages that were handed to the helper, and those of them that failed.
    messages bigint NOT NULL,
    failed bigint NOT NULL,
    -- Addresses that were proved.
    proved bigint NOT NULL,
    -- Codes that were exchanged for an access token.
    redeemed bigint NOT NULL,
    PRIMARY KEY (day, client)
);
