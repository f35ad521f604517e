-- Version 4 of the schema.

-- Whether any visitor may begin a validation for the client, without a request that it pushed.
-- There has to be a limit to the messages that they may have sent.
ALTER TABLE challenger.clients ADD COLUMN open boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT open_within_budget CHECK (NOT open OR messages_per_day IS NOT NULL);

-- Until when a request_uri leads to the validation, if it was opened with its authorization
-- request. It stays as it was inserted. NULL in all rows of version 3.
ALTER TABLE challenger.validations ADD COLUMN request_uri_until bigint;

-- Whether the latest authorization request named the redirect URI, which it had to in version 3.
ALTER TABLE challenger.validations ADD COLUMN names_redirect_uri boolean NOT NULL DEFAULT true;
