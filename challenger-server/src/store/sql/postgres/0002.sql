-- Version 2 of the schema.

-- The addresses that were challenged before the current one, so that they find their budget and
-- their interval when they come back: a JSON array of objects with digests under the nonce, the
-- salt, and what was left. NULL if there are none, as in all rows of version 1.
ALTER TABLE challenger.validations ADD COLUMN earlier text;
