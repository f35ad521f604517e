-- One flow, for pgbench: the statements that the server sends to PostgreSQL, in the same order, each
-- committed by itself. Most of the server's parameters are constants here, which costs the database no
-- more. pgbench has no random bytes, so it makes them from numbers.
\set nonce random(1, 9000000000000000000)
\set token random(1, 9000000000000000000)

-- setup
SELECT id, redirect_uri, secret_salt, secret_digest, messages_per_day, open, name, disabled,
    earlier_salt, earlier_digest, earlier_until
  FROM challenger.clients WHERE id = 1 \gset
INSERT INTO challenger.validations (
    id, version, authorized, state, scope, code_challenge, code_challenge_method,
    names_redirect_uri, addresses_left, refunds_left, progress, address, salt, sent_at, transmissions_left,
    attempts_left, solved_at, renewed_at, code, token, redeemed_at,
    earlier, failure, failed_at, client, expires, redirect_uri, prefill, read_only, request_uri_until,
    created, client_name)
  SELECT sha256(int8send(:nonce)), 1, false, NULL, NULL, NULL, NULL, true, 3, 3,
    'open', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, 1, 1790003600, 'https://client.example/callback', NULL, false, NULL,
    1790000000, NULL
  FROM challenger.clients WHERE id = 1 AND secret_digest = :secret_digest AND NOT disabled
  FOR KEY SHARE
  ON CONFLICT (id) DO NOTHING;

-- authorize
SELECT id, version, authorized, state, scope, code_challenge, code_challenge_method,
    names_redirect_uri, addresses_left, refunds_left, progress, address, salt, sent_at, transmissions_left,
    attempts_left, solved_at, renewed_at, code, token, redeemed_at,
    earlier, failure, failed_at, client, expires, redirect_uri, prefill, read_only, request_uri_until,
    created, client_name
  FROM challenger.validations WHERE id = sha256(int8send(:nonce));
UPDATE challenger.validations SET version = version + 1,
    authorized = true, state = 'a1b2c3d4', scope = NULL, code_challenge = NULL,
    code_challenge_method = NULL, names_redirect_uri = false, addresses_left = 3,
    refunds_left = 3, progress = 'open', address = NULL, salt = NULL, sent_at = NULL, transmissions_left = NULL, attempts_left =
    NULL, solved_at = NULL, renewed_at = NULL, code = NULL, token = NULL, redeemed_at = NULL,
    earlier = NULL, failure = NULL, failed_at = NULL
  WHERE id = sha256(int8send(:nonce)) AND version = 1;

-- challenge
SELECT v.id, v.version, v.authorized, v.state, v.scope, v.code_challenge,
    v.code_challenge_method, v.names_redirect_uri, v.addresses_left, v.refunds_left, v.progress,
    v.address, v.salt, v.sent_at, v.transmissions_left, v.attempts_left, v.solved_at, v.renewed_at, v.code,
    v.token, v.redeemed_at, v.earlier, v.failure, v.failed_at, v.client, v.expires, v.redirect_uri,
    v.prefill, v.read_only, v.request_uri_until, v.created, v.client_name, c.id, c.redirect_uri, c.secret_salt, c.secret_digest,
    c.messages_per_day, c.open, c.name, c.disabled, c.earlier_salt, c.earlier_digest, c.earlier_until,
    l.account, l.spent, l.proved, l.messages, l.period, l.ends
  FROM (VALUES (1)) one
  LEFT JOIN challenger.validations v ON v.id = sha256(int8send(:nonce))
  LEFT JOIN challenger.clients c ON c.id = v.client
  LEFT JOIN challenger.ledger l
    ON l.account = ANY ('{address:0}'::text[] || ARRAY['client:' || v.client]);
WITH changed AS (UPDATE challenger.validations SET version = version + 1,
    authorized = true, state = 'a1b2c3d4', scope = NULL, code_challenge = NULL,
    code_challenge_method = NULL, names_redirect_uri = false, addresses_left = 2, refunds_left = 3, progress =
    'challenged', address = '{"CONTACT_EMAIL":"person1.1@bench.example"}', salt =
    sha256(int8send(:token)), sent_at = 1790000000, transmissions_left = 2, attempts_left =
    3, solved_at = NULL, renewed_at = NULL, code = NULL, token = NULL, redeemed_at = NULL,
    earlier = NULL, failure = NULL, failed_at = NULL
  WHERE id = sha256(int8send(:nonce)) AND version = 2 RETURNING id)
  INSERT INTO challenger.ledger AS l (account, spent, proved, messages, period, ends)
  SELECT :nonce, 1, 0, 10, 86400, 1790086400 FROM changed
  ON CONFLICT (account) DO UPDATE SET
    spent = excluded.spent + CASE WHEN (excluded.ends - excluded.period < l.ends
      AND l.ends - excluded.period <= excluded.ends) THEN l.spent ELSE 0 END,
    proved = excluded.proved + CASE WHEN (excluded.ends - excluded.period < l.ends
      AND l.ends - excluded.period <= excluded.ends) THEN l.proved ELSE 0 END,
    messages = excluded.messages, period = excluded.period,
    ends = CASE WHEN (excluded.ends - excluded.period < l.ends
      AND l.ends - excluded.period <= excluded.ends) THEN l.ends ELSE excluded.ends END
  WHERE CASE WHEN excluded.spent + CASE WHEN (excluded.ends - excluded.period < l.ends
      AND l.ends - excluded.period <= excluded.ends) THEN l.spent ELSE 0 END
    <= excluded.messages THEN true
    ELSE ('over the budget of ' || excluded.messages)::boolean END
  RETURNING account, spent, proved, messages, period, ends;

-- solve, wrong
SELECT id, version, authorized, state, scope, code_challenge, code_challenge_method,
    names_redirect_uri, addresses_left, refunds_left, progress, address, salt, sent_at, transmissions_left,
    attempts_left, solved_at, renewed_at, code, token, redeemed_at,
    earlier, failure, failed_at, client, expires, redirect_uri, prefill, read_only, request_uri_until,
    created, client_name
  FROM challenger.validations WHERE id = sha256(int8send(:nonce));
UPDATE challenger.validations SET version = version + 1,
    authorized = true, state = 'a1b2c3d4', scope = NULL, code_challenge = NULL,
    code_challenge_method = NULL, names_redirect_uri = false, addresses_left = 2, refunds_left = 3, progress =
    'challenged', address = '{"CONTACT_EMAIL":"person1.1@bench.example"}', salt =
    sha256(int8send(:token)), sent_at = 1790000000, transmissions_left = 2, attempts_left =
    2, solved_at = NULL, renewed_at = NULL, code = NULL, token = NULL, redeemed_at = NULL,
    earlier = NULL, failure = NULL, failed_at = NULL
  WHERE id = sha256(int8send(:nonce)) AND version = 3;

-- solve, right
SELECT id, version, authorized, state, scope, code_challenge, code_challenge_method,
    names_redirect_uri, addresses_left, refunds_left, progress, address, salt, sent_at, transmissions_left,
    attempts_left, solved_at, renewed_at, code, token, redeemed_at,
    earlier, failure, failed_at, client, expires, redirect_uri, prefill, read_only, request_uri_until,
    created, client_name
  FROM challenger.validations WHERE id = sha256(int8send(:nonce));
UPDATE challenger.validations SET version = version + 1,
    authorized = true, state = 'a1b2c3d4', scope = NULL, code_challenge = NULL,
    code_challenge_method = NULL, names_redirect_uri = false, addresses_left = 2,
    refunds_left = 3, progress = 'solved', address = '{"CONTACT_EMAIL":"person1.1@bench.example"}', salt =
    sha256(int8send(:token)), sent_at = NULL, transmissions_left = NULL, attempts_left =
    NULL, solved_at = 1790000000, renewed_at = 1790000000, code = sha256(int8send(:token)),
    token = NULL, redeemed_at = NULL,
    earlier = NULL, failure = NULL, failed_at = NULL
  WHERE id = sha256(int8send(:nonce)) AND version = 4;

-- token
SELECT id, redirect_uri, secret_salt, secret_digest, messages_per_day, open, name, disabled,
    earlier_salt, earlier_digest, earlier_until
  FROM challenger.clients WHERE id = 1;
SELECT id, version, authorized, state, scope, code_challenge, code_challenge_method,
    names_redirect_uri, addresses_left, refunds_left, progress, address, salt, sent_at, transmissions_left,
    attempts_left, solved_at, renewed_at, code, token, redeemed_at,
    earlier, failure, failed_at, client, expires, redirect_uri, prefill, read_only, request_uri_until,
    created, client_name
  FROM challenger.validations WHERE id = sha256(int8send(:nonce));
WITH changed AS (UPDATE challenger.validations SET version = version + 1,
    authorized = true, state = 'a1b2c3d4', scope = NULL, code_challenge = NULL,
    code_challenge_method = NULL, names_redirect_uri = false, addresses_left = 2, refunds_left = 3, progress =
    'redeemed', address = '{"CONTACT_EMAIL":"person1.1@bench.example"}', salt =
    sha256(int8send(:token)), sent_at = NULL, transmissions_left = NULL, attempts_left =
    NULL, solved_at = 1790000000, renewed_at = 1790000000, code = sha256(int8send(:token)),
    token = sha256(int8send(:token)), redeemed_at = 1790000000,
    earlier = NULL, failure = NULL, failed_at = NULL
  WHERE id = sha256(int8send(:nonce)) AND version = 5 RETURNING id)
  INSERT INTO challenger.grants (token, client, address, valid_until, expires)
  SELECT sha256(int8send(:token))::bytea, 1::bigint, '{"CONTACT_EMAIL":"person1.1@bench.example"}'::text, 1790003600::bigint, 1790003600::bigint FROM changed
  ON CONFLICT (token) DO UPDATE SET id = excluded.id, client = excluded.client,
    address = excluded.address, valid_until = excluded.valid_until, expires = excluded.expires;

-- info
SELECT id, token, client, address, valid_until, expires FROM challenger.grants
  WHERE token = sha256(int8send(:token));
