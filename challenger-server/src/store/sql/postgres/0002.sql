-- Version 2 of the schema.

-- Whether the client is being deleted: its secret is void, no secret has this digest, and its
-- rows go piece by piece. It keeps its redirect URI until the last of them is gone.
ALTER TABLE challenger.clients ADD COLUMN deleting boolean NOT NULL DEFAULT false;

-- For all that is done by client: to count what is open, to collect what has expired, to delete.
-- One index for each table, as before, because each row pays for them.
CREATE INDEX validations_by_client ON challenger.validations (client, expires);
DROP INDEX challenger.validations_by_expiry;

CREATE INDEX grants_by_client ON challenger.grants (client, expires);
DROP INDEX challenger.grants_by_expiry;

-- The addresses that were challenged before the current one, so that they find their budget and
-- their interval when they come back: a JSON array of objects with digests under the nonce, the
-- salt, and what was left. NULL if there are none, as in all rows of version 1.
ALTER TABLE challenger.validations ADD COLUMN earlier text;
