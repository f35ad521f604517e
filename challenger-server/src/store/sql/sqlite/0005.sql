-- Version 5 of the schema.

-- What people read as the client's name; NULL for the host of its redirect URI.
ALTER TABLE clients ADD COLUMN name TEXT;

-- 1 if the operator has disabled it.
ALTER TABLE clients ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1));

-- When it was registered. NULL in rows of version 4.
ALTER TABLE clients ADD COLUMN created INTEGER CHECK (created >= 0);

-- The secret of before, if it may be used for a while, as the columns without earlier_; and until
-- when.
ALTER TABLE clients ADD COLUMN earlier_salt BLOB CHECK (length(earlier_salt) = 16);
ALTER TABLE clients ADD COLUMN earlier_digest BLOB CHECK (length(earlier_digest) = 32);
ALTER TABLE clients ADD COLUMN earlier_until INTEGER CHECK (earlier_until >= 0);

-- When the validation was opened. NULL in rows of version 4.
ALTER TABLE validations ADD COLUMN created INTEGER CHECK (created >= 0);

-- The client's name at the time, if it had one.
ALTER TABLE validations ADD COLUMN client_name TEXT;

-- Why the latest delivery that failed did, in one word, and when.
ALTER TABLE validations ADD COLUMN failure TEXT;
ALTER TABLE validations ADD COLUMN failed_at INTEGER CHECK (failed_at >= 0);

-- What happened to the validations of a client on a day, as servers count it every few seconds. A
-- server that is killed forgets what it has counted since.
CREATE TABLE statistics (
    -- Days since 1970, in UTC.
    day INTEGER NOT NULL,
    client INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- Validations that were opened.
    opened INTEGER NOT NULL CHECK (opened >= 0),
    -- Messages that were handed to the helper, and those of them that failed.
    messages INTEGER NOT NULL CHECK (messages >= 0),
    failed INTEGER NOT NULL CHECK (failed >= 0),
    -- Addresses that were proved.
    proved INTEGER NOT NULL CHECK (proved >= 0),
    -- Codes that were exchanged for an access token.
    redeemed INTEGER NOT NULL CHECK (redeemed >= 0),
    PRIMARY KEY (day, client)
) STRICT, WITHOUT ROWID;
