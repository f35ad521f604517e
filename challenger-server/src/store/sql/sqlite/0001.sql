-- Version 1 of the schema.
--
-- Nothing here opens anything by itself: nonces, PINs, codes, tokens and client secrets are kept as
-- digests only. Addresses, states and redirect URIs are in clear.
--
-- Points in time are whole seconds since 1970; 9223372036854775807 means never.
-- Addresses are compact JSON objects whose values are strings.

-- Who may ask for validations.
CREATE TABLE clients (
    -- The client identifier. AUTOINCREMENT: that of a deleted client is not used again.
    id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
    -- Where its users are sent back to.
    redirect_uri TEXT NOT NULL UNIQUE,
    -- 16 random bytes.
    secret_salt BLOB NOT NULL CHECK (length(secret_salt) = 16),
    -- SHA-256 of the salt and the secret.
    secret_digest BLOB NOT NULL CHECK (length(secret_digest) = 32),
    -- How many of its validations were deleted after their time.
    validations_collected INTEGER NOT NULL DEFAULT 0 CHECK (validations_collected >= 0),
    -- How many of its grants were deleted after their time.
    grants_collected INTEGER NOT NULL DEFAULT 0 CHECK (grants_collected >= 0)
) STRICT;

-- One row for each validation process.
CREATE TABLE validations (
    -- SHA-256 of the nonce.
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 32),
    -- Goes up by one with each change; whoever changes the row names the version it has seen.
    version INTEGER NOT NULL CHECK (version > 0),

    -- These stay as they were inserted.

    -- Who asked for it.
    client INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- From then on it is unknown to everybody, and may be deleted.
    expires INTEGER NOT NULL CHECK (expires >= 0),
    -- The client's at the time.
    redirect_uri TEXT NOT NULL,
    -- The address that the client proposed.
    prefill TEXT,
    -- 1 if no other address will do.
    read_only INTEGER NOT NULL CHECK (read_only IN (0, 1)),

    -- The latest authorization request.

    -- 1 if there was one.
    authorized INTEGER NOT NULL CHECK (authorized IN (0, 1)),
    -- The client's own, returned as it came.
    state TEXT,
    -- As it came; it means nothing to us.
    scope TEXT,
    -- PKCE (RFC 7636).
    code_challenge TEXT,
    code_challenge_method TEXT CHECK (code_challenge_method IN ('plain', 'S256')),

    -- What is left to it as a whole.

    -- Changes of the address.
    addresses_left INTEGER NOT NULL CHECK (addresses_left BETWEEN 0 AND 255),
    -- Failed messages that are not charged.
    refunds_left INTEGER NOT NULL CHECK (refunds_left BETWEEN 0 AND 255),

    -- How far it got, and what belongs to that. For each list of more than two, SQLite would make
    -- a table for every statement, which took half the time of a write.

    progress TEXT NOT NULL
        CHECK (progress IN ('open', 'challenged') OR progress IN ('solved', 'redeemed')
            OR progress = 'revoked'),
    -- The address under test, or proved.
    address TEXT,
    -- 32 random bytes, from which, with the nonce, PIN and code follow.
    salt BLOB CHECK (length(salt) = 32),
    -- When the latest message went out; NULL if the next is due at once.
    sent_at INTEGER CHECK (sent_at >= 0),
    -- How many more messages the address may get.
    transmissions_left INTEGER CHECK (transmissions_left BETWEEN 0 AND 255),
    -- How many more guesses will be judged.
    attempts_left INTEGER CHECK (attempts_left BETWEEN 0 AND 255),
    -- When the right PIN was entered first.
    solved_at INTEGER CHECK (solved_at >= 0),
    -- When it was entered last.
    renewed_at INTEGER CHECK (renewed_at >= 0),
    -- SHA-256 of the code's second half.
    code BLOB CHECK (length(code) = 32),
    -- SHA-256 of the access token that the code bought.
    token BLOB CHECK (length(token) = 32),
    -- When it did.
    redeemed_at INTEGER CHECK (redeemed_at >= 0),

    CHECK (authorized = 1 OR (state IS NULL AND scope IS NULL AND code_challenge IS NULL)),
    CHECK ((code_challenge IS NULL) = (code_challenge_method IS NULL)),
    CHECK ((address IS NULL) = (progress = 'open')),
    CHECK ((salt IS NULL) = (progress = 'open')),
    CHECK (sent_at IS NULL OR progress = 'challenged'),
    CHECK ((transmissions_left IS NOT NULL) = (progress = 'challenged')),
    CHECK ((attempts_left IS NOT NULL) = (progress = 'challenged')),
    CHECK ((solved_at IS NOT NULL) = (progress NOT IN ('open', 'challenged'))),
    CHECK ((renewed_at IS NOT NULL) = (progress NOT IN ('open', 'challenged'))),
    CHECK ((code IS NOT NULL) = (progress NOT IN ('open', 'challenged'))),
    CHECK ((token IS NOT NULL) = (progress = 'redeemed')),
    CHECK ((redeemed_at IS NOT NULL) = (progress = 'redeemed'))
) STRICT;

-- For the garbage collection. Deleting a client reads the whole table, which is rare enough.
CREATE INDEX validations_by_expiry ON validations (expires);

-- What access tokens open. A grant outlives its validation.
CREATE TABLE grants (
    -- The number that /info reports. AUTOINCREMENT: no number is used twice.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- SHA-256 of the access token.
    token BLOB NOT NULL UNIQUE CHECK (length(token) = 32),
    -- Who redeemed it.
    client INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- The address that was proved.
    address TEXT NOT NULL,
    -- Until when it counts as proved.
    valid_until INTEGER NOT NULL CHECK (valid_until >= 0),
    -- From then on the token opens nothing, and the row may be deleted.
    expires INTEGER NOT NULL CHECK (expires >= 0)
) STRICT;

CREATE INDEX grants_by_expiry ON grants (expires);
