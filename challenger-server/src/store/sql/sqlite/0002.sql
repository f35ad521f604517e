-- Version 2 of the schema.

-- 1 while the client is being deleted: its secret is void, no secret has this digest, and its
-- rows go piece by piece. It keeps its redirect URI until the last of them is gone.
ALTER TABLE clients ADD COLUMN deleting INTEGER NOT NULL DEFAULT 0 CHECK (deleting IN (0, 1));

-- For all that is done by client: to count what is open, to collect what has expired, to delete.
-- One index for each table, as before, because each row pays for them.
CREATE INDEX validations_by_client ON validations (client, expires);
DROP INDEX validations_by_expiry;

CREATE INDEX grants_by_client ON grants (client, expires);
DROP INDEX grants_by_expiry;

-- The addresses that were challenged before the current one, so that they find their budget and
-- their interval when they come back: a JSON array of objects with digests under the nonce, the
-- salt, and what was left. NULL if there are none, as in all rows of version 1.
ALTER TABLE validations ADD COLUMN earlier TEXT;
