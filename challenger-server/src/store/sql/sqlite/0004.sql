-- Version 4 of the schema.

-- 1 if any visitor may begin a validation for the client, without a request that it pushed. There
-- has to be a limit to the messages that they may have sent.
ALTER TABLE clients ADD COLUMN open INTEGER NOT NULL DEFAULT 0
    CHECK (open = 0 OR (open = 1 AND messages_per_day IS NOT NULL));

-- Until when a request_uri leads to the validation, if it was opened with its authorization
-- request. It stays as it was inserted. NULL in all rows of version 3.
ALTER TABLE validations ADD COLUMN request_uri_until INTEGER CHECK (request_uri_until >= 0);

-- 1 if the latest authorization request named the redirect URI, which it had to in version 3.
ALTER TABLE validations ADD COLUMN names_redirect_uri INTEGER NOT NULL DEFAULT 1
    CHECK (names_redirect_uri IN (0, 1));
