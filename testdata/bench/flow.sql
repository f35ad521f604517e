-- One flow, for pgbench: the statements that the server sends to PostgreSQL, in their order, each
-- committed by itself. Where the server sends parameters, most are constants here, which costs the
-- database no more; pgbench has no random bytes, so it makes them from numbers.
\set nonce random(1, 9000000000000000000)
\set token random(1, 9000000000000000000)

-- setup
SELECT c.id, c.redirect_uri, c.secret_salt, c.secret_digest,
    v.id, v.version, v.authorized, v.state, v.scope, v.code_challenge,
    v.code_challenge_method, v.addresses_left, v.refunds_left, v.progress, v.address, v.salt,
    v.sent_at, v.transmissions_left, v.attempts_left, v.solved_at, v.renewed_at, v.code,
    v.token, v.redeemed_at, v.client, v.expires, v.redirect_uri, v.prefill, v.read_only,
    g.id, g.token, g.client, g.address, g.valid_until, g.expires
  FROM (VALUES (1::bigint, NULL::bytea, NULL::bytea)) AS asked (client, validation, token)
    LEFT JOIN challenger.clients c ON c.id = asked.client
    LEFT JOIN challenger.validations v ON v.id = asked.validation
    LEFT JOIN challenger.grants g ON g.token = asked.token;
INSERT INTO challenger.validations (
    id, version, authorized, state, scope, code_challenge, code_challenge_method,
    addresses_left, refunds_left, progress, address, salt, sent_at, transmissions_left,
    attempts_left, solved_at, renewed_at, code, token, redeemed_at,
    client, expires, redirect_uri, prefill, read_only)
  VALUES (sha256(int8send(:nonce)), 1, false, NULL, NULL, NULL, NULL, 3, 3,
    'open', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    1, 1790003600, 'https://client.example/callback', NULL, false)
  ON CONFLICT (id) DO NOTHING;

-- authorize
SELECT c.id, c.redirect_uri, c.secret_salt, c.secret_digest,
    v.id, v.version, v.authorized, v.state, v.scope, v.code_challenge,
    v.code_challenge_method, v.addresses_left, v.refunds_left, v.progress, v.address, v.salt,
    v.sent_at, v.transmissions_left, v.attempts_left, v.solved_at, v.renewed_at, v.code,
    v.token, v.redeemed_at, v.client, v.expires, v.redirect_uri, v.prefill, v.read_only,
    g.id, g.token, g.client, g.address, g.valid_until, g.expires
  FROM (VALUES (NULL::bigint, sha256(int8send(:nonce))::bytea, NULL::bytea)) AS asked (client, validation, token)
    LEFT JOIN challenger.clients c ON c.id = asked.client
    LEFT JOIN challenger.validations v ON v.id = asked.validation
    LEFT JOIN challenger.grants g ON g.token = asked.token;
UPDATE challenger.validations SET version = version + 1,
    authorized = true, state = 'a1b2c3d4', scope = NULL, code_challenge = NULL,
    code_challenge_method = NULL, addresses_left = 3, refunds_left = 3, progress = 'open',
    address = NULL, salt = NULL, sent_at = NULL, transmissions_left = NULL, attempts_left =
    NULL, solved_at = NULL, renewed_at = NULL, code = NULL, token = NULL, redeemed_at = NULL
  WHERE id = sha256(int8send(:nonce)) AND version = 1;

-- challenge
SELECT c.id, c.redirect_uri, c.secret_salt, c.secret_digest,
    v.id, v.version, v.authorized, v.state, v.scope, v.code_challenge,
    v.code_challenge_method, v.addresses_left, v.refunds_left, v.progress, v.address, v.salt,
    v.sent_at, v.transmissions_left, v.attempts_left, v.solved_at, v.renewed_at, v.code,
    v.token, v.redeemed_at, v.client, v.expires, v.redirect_uri, v.prefill, v.read_only,
    g.id, g.token, g.client, g.address, g.valid_until, g.expires
  FROM (VALUES (NULL::bigint, sha256(int8send(:nonce))::bytea, NULL::bytea)) AS asked (client, validation, token)
    LEFT JOIN challenger.clients c ON c.id = asked.client
    LEFT JOIN challenger.validations v ON v.id = asked.validation
    LEFT JOIN challenger.grants g ON g.token = asked.token;
UPDATE challenger.validations SET version = version + 1,
    authorized = true, state = 'a1b2c3d4', scope = NULL, code_challenge = NULL,
    code_challenge_method = NULL, addresses_left = 2, refunds_left = 3, progress =
    'challenged', address = '{"CONTACT_EMAIL":"person1.1@bench.example"}', salt =
    sha256(int8send(:token)), sent_at = 1790000000, transmissions_left = 2, attempts_left =
    3, solved_at = NULL, renewed_at = NULL, code = NULL, token = NULL, redeemed_at = NULL
  WHERE id = sha256(int8send(:nonce)) AND version = 2;

-- solve, wrong
SELECT c.id, c.redirect_uri, c.secret_salt, c.secret_digest,
    v.id, v.version, v.authorized, v.state, v.scope, v.code_challenge,
    v.code_challenge_method, v.addresses_left, v.refunds_left, v.progress, v.address, v.salt,
    v.sent_at, v.transmissions_left, v.attempts_left, v.solved_at, v.renewed_at, v.code,
    v.token, v.redeemed_at, v.client, v.expires, v.redirect_uri, v.prefill, v.read_only,
    g.id, g.token, g.client, g.address, g.valid_until, g.expires
  FROM (VALUES (NULL::bigint, sha256(int8send(:nonce))::bytea, NULL::bytea)) AS asked (client, validation, token)
    LEFT JOIN challenger.clients c ON c.id = asked.client
    LEFT JOIN challenger.validations v ON v.id = asked.validation
    LEFT JOIN challenger.grants g ON g.token = asked.token;
UPDATE challenger.validations SET version = version + 1,
    authorized = true, state = 'a1b2c3d4', scope = NULL, code_challenge = NULL,
    code_challenge_method = NULL, addresses_left = 2, refunds_left = 3, progress =
    'challenged', address = '{"CONTACT_EMAIL":"person1.1@bench.example"}', salt =
    sha256(int8send(:token)), sent_at = 1790000000, transmissions_left = 2, attempts_left =
    2, solved_at = NULL, renewed_at = NULL, code = NULL, token = NULL, redeemed_at = NULL
  WHERE id = sha256(int8send(:nonce)) AND version = 3;

-- solve, right
SELECT c.id, c.redirect_uri, c.secret_salt, c.secret_digest,
    v.id, v.version, v.authorized, v.state, v.scope, v.code_challenge,
    v.code_challenge_method, v.addresses_left, v.refunds_left, v.progress, v.address, v.salt,
    v.sent_at, v.transmissions_left, v.attempts_left, v.solved_at, v.renewed_at, v.code,
    v.token, v.redeemed_at, v.client, v.expires, v.redirect_uri, v.prefill, v.read_only,
    g.id, g.token, g.client, g.address, g.valid_until, g.expires
  FROM (VALUES (NULL::bigint, sha256(int8send(:nonce))::bytea, NULL::bytea)) AS asked (client, validation, token)
    LEFT JOIN challenger.clients c ON c.id = asked.client
    LEFT JOIN challenger.validations v ON v.id = asked.validation
    LEFT JOIN challenger.grants g ON g.token = asked.token;
UPDATE challenger.validations SET version = version + 1,
    authorized = true, state = 'a1b2c3d4', scope = NULL, code_challenge = NULL,
    code_challenge_method = NULL, addresses_left = 2, refunds_left = 3, progress = 'solved',
    address = '{"CONTACT_EMAIL":"person1.1@bench.example"}', salt =
    sha256(int8send(:token)), sent_at = NULL, transmissions_left = NULL, attempts_left =
    NULL, solved_at = 1790000000, renewed_at = 1790000000, code = sha256(int8send(:token)),
    token = NULL, redeemed_at = NULL
  WHERE id = sha256(int8send(:nonce)) AND version = 4;

-- token
SELECT c.id, c.redirect_uri, c.secret_salt, c.secret_digest,
    v.id, v.version, v.authorized, v.state, v.scope, v.code_challenge,
    v.code_challenge_method, v.addresses_left, v.refunds_left, v.progress, v.address, v.salt,
    v.sent_at, v.transmissions_left, v.attempts_left, v.solved_at, v.renewed_at, v.code,
    v.token, v.redeemed_at, v.client, v.expires, v.redirect_uri, v.prefill, v.read_only,
    g.id, g.token, g.client, g.address, g.valid_until, g.expires
  FROM (VALUES (1::bigint, sha256(int8send(:nonce))::bytea, NULL::bytea)) AS asked (client, validation, token)
    LEFT JOIN challenger.clients c ON c.id = asked.client
    LEFT JOIN challenger.validations v ON v.id = asked.validation
    LEFT JOIN challenger.grants g ON g.token = asked.token;
WITH changed AS (UPDATE challenger.validations SET version = version + 1,
    authorized = true, state = 'a1b2c3d4', scope = NULL, code_challenge = NULL,
    code_challenge_method = NULL, addresses_left = 2, refunds_left = 3, progress =
    'redeemed', address = '{"CONTACT_EMAIL":"person1.1@bench.example"}', salt =
    sha256(int8send(:token)), sent_at = NULL, transmissions_left = NULL, attempts_left =
    NULL, solved_at = 1790000000, renewed_at = 1790000000, code = sha256(int8send(:token)),
    token = sha256(int8send(:token)), redeemed_at = 1790000000
  WHERE id = sha256(int8send(:nonce)) AND version = 5 RETURNING id)
  INSERT INTO challenger.grants (token, client, address, valid_until, expires)
  SELECT sha256(int8send(:token))::bytea, 1::bigint, '{"CONTACT_EMAIL":"person1.1@bench.example"}'::text, 1790003600::bigint, 1790003600::bigint FROM changed
  ON CONFLICT (token) DO UPDATE SET id = excluded.id, client = excluded.client,
    address = excluded.address, valid_until = excluded.valid_until, expires = excluded.expires;

-- info
SELECT c.id, c.redirect_uri, c.secret_salt, c.secret_digest,
    v.id, v.version, v.authorized, v.state, v.scope, v.code_challenge,
    v.code_challenge_method, v.addresses_left, v.refunds_left, v.progress, v.address, v.salt,
    v.sent_at, v.transmissions_left, v.attempts_left, v.solved_at, v.renewed_at, v.code,
    v.token, v.redeemed_at, v.client, v.expires, v.redirect_uri, v.prefill, v.read_only,
    g.id, g.token, g.client, g.address, g.valid_until, g.expires
  FROM (VALUES (NULL::bigint, NULL::bytea, sha256(int8send(:token))::bytea)) AS asked (client, validation, token)
    LEFT JOIN challenger.clients c ON c.id = asked.client
    LEFT JOIN challenger.validations v ON v.id = asked.validation
    LEFT JOIN challenger.grants g ON g.token = asked.token;
