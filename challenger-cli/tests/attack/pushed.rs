//! Attacks on requests that clients push (RFC 9126), and on the links that lead to them.

use challenger_testkit::{Reply, code_of, escape, request, unescape};
use rusqlite::Connection;

use crate::grants::{
    ADA, CHALLENGE, HTML, JSON, MALLORY, VERIFIER, add_mallory, form, looks, token,
};
use crate::harness::{authorize, everywhere, prove};
use crate::redirects::ELSEWHERE;
use crate::site::{ISS, REDIRECT_URI, SECRET, Site};

/// What a `request_uri` begins with.
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// The client pushes a request with some parameters changed or left out.
pub fn push(site: &Site, changes: &[(&str, &str)]) -> Reply {
    let usual = [("response_type", "code"), ("client_id", "1"), ("client_secret", SECRET)];
    site.post("par", &[], form(&usual, changes))
}

/// The nonce of a request that the client pushed.
pub fn pushed(site: &Site, changes: &[(&str, &str)]) -> String {
    let reply = push(site, changes);
    assert_eq!(reply.status, 201, "{}", reply.body);
    let uri = reply.member("request_uri").unwrap();
    uri.strip_prefix(PREFIX).unwrap().to_owned()
}

/// A browser arrives with a `request_uri`.
fn arrive(site: &Site, client: &str, uri: &str) -> Reply {
    let path = format!("authorize?client_id={client}&request_uri={}", escape(uri));
    site.get(&path, &[HTML])
}

/// The browser of the client's own person arrives.
fn arrive_with(site: &Site, nonce: &str) -> Reply {
    arrive(site, "1", &format!("{PREFIX}{nonce}"))
}

/// The database, in the hands of its operator.
pub fn database(site: &Site) -> Connection {
    let database = Connection::open(site.directory.path().join("data/challenger.sqlite")).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
    database
}

/// Changes the database, and returns how many rows.
pub fn change(site: &Site, sql: &str) -> usize {
    database(site).execute(sql, ()).unwrap()
}

/// How many validations there are.
pub fn validations(site: &Site) -> u32 {
    database(site).query_row("SELECT count(*) FROM validations", (), |row| row.get(0)).unwrap()
}

#[test]
fn a_request_uri_is_of_use_to_its_client_only() {
    everywhere("", |site| {
        add_mallory(site);
        let nonce = pushed(site, &[]);
        let uri = format!("{PREFIX}{nonce}");
        let unknown = looks(&arrive(site, "2", &format!("{PREFIX}{}", "0".repeat(52))));
        assert_eq!(unknown.0, 404);
        assert_eq!(looks(&arrive(site, "2", &uri)), unknown);
        assert_eq!(arrive(site, "99", &uri).status, 404);
        assert_eq!(site.get(&format!("authorize?request_uri={uri}"), &[]).refusal(), (400, 25));
        // Parameters beside it mean nothing, not even those of another client.
        let more = "redirect_uri=https%3A%2F%2Fmallory.example%2F&state=x&response_type=token";
        let reply = site.get(&format!("authorize?client_id=1&request_uri={uri}&{more}"), &[HTML]);
        assert_eq!(reply.header("Location"), Some(format!("authorize/{nonce}").as_str()));
        for twice in ["client_id=2", "request_uri=x"] {
            let path = format!("authorize?client_id=1&request_uri={uri}&{twice}");
            assert_eq!(site.get(&path, &[]).refusal(), (400, 26));
        }
        // Nobody pushes in another's name.
        let rows = validations(site);
        for (id, secret) in [("1", MALLORY), ("2", SECRET), ("99", SECRET)] {
            let reply = push(site, &[("client_id", id), ("client_secret", secret)]);
            assert_eq!(reply.refusal(), (401, 9750), "{id}");
            assert_eq!(reply.json()["error"], "invalid_client");
            let credentials = data_encoding::BASE64.encode(format!("{id}:{secret}").as_bytes());
            let basic = format!("Basic {credentials}");
            let basic = [("Authorization", basic.as_str())];
            let reply = site.post("par", &basic, "response_type=code");
            assert_eq!(reply.refusal(), (401, 9750), "{id}");
            assert_eq!(reply.header("WWW-Authenticate"), Some("Basic realm=\"challenger\""));
            let reply = site.post("par", &basic, format!("response_type=code&client_id=3{id}"));
            assert_eq!(reply.refusal(), (400, 26), "{id}: two names");
        }
        assert_eq!(validations(site), rows);
        assert_eq!(arrive_with(site, &nonce).status, 302);
    });
}

#[test]
fn a_request_uri_ends_with_the_first_message_or_its_time() {
    everywhere("", |site| {
        let nonce = pushed(site, &[("state", "x")]);
        // Reloads and programs that look at links do no harm.
        for _ in 0..3 {
            let reply = arrive_with(site, &nonce);
            assert_eq!(reply.status, 302);
            assert_eq!(reply.header("Location"), Some(format!("authorize/{nonce}").as_str()));
            assert_eq!(reply.header("Referrer-Policy"), Some("no-referrer"));
            assert_eq!(reply.header("Cache-Control"), Some("no-store"));
            assert_eq!(site.get(&format!("authorize/{nonce}"), &[HTML]).status, 200);
        }
        let is_over = |nonce: &str, when: &str| {
            let reply = arrive_with(site, nonce);
            assert_eq!((reply.status, reply.header("Location")), (404, None), "{when}");
            assert!(!reply.body.contains(nonce), "{when}");
        };
        assert_eq!(site.challenge(&nonce, ADA).status, 200);
        is_over(&nonce, "after a message");
        let solved = site.solve(&nonce, &site.pin(ADA)).json();
        is_over(&nonce, "after the proof");
        let code = code_of(solved["redirect_url"].as_str().unwrap());
        assert_eq!(token(site, &code, &[("redirect_uri", "")]).status, 200);
        is_over(&nonce, "after the code was used");
        is_over(&site.setup(), "without a pushed request");
        let nonce = pushed(site, &[]);
        assert_eq!(arrive_with(site, &nonce).status, 302);
        let row = "WHERE request_uri_until > 0 AND expires > request_uri_until";
        assert!(change(site, &format!("UPDATE validations SET request_uri_until = 1 {row}")) > 0);
        is_over(&nonce, "after its time");
    });
}

#[test]
fn request_uris_have_one_spelling() {
    everywhere("", |site| {
        let nonce = pushed(site, &[]);
        let uri = format!("{PREFIX}{nonce}");
        for odd in [
            nonce.clone(),
            format!(":{nonce}"),
            format!("{uri}0"),
            format!("{uri} "),
            format!(" {uri}"),
            format!("{uri}\n"),
            format!("{uri}/"),
            format!("{uri}#x"),
            format!("{uri}?x"),
            format!("{uri},{uri}"),
            format!("{PREFIX}{uri}"),
            format!("{}{nonce}", PREFIX.to_uppercase()),
            uri.replace("request_uri", "request-uri"),
            uri[..uri.len() - 1].to_owned(),
            PREFIX.to_owned(),
            format!("https://challenger.example/{uri}"),
            format!("https://mallory.example/{nonce}"),
            format!("file:///{nonce}"),
            escape(&uri),
            format!("{PREFIX}../{nonce}"),
            format!("{PREFIX}{nonce}\r\nLocation: https://mallory.example/"),
            format!("{PREFIX}{}", "0".repeat(4000)),
            format!("{PREFIX}{}", "\u{430}".repeat(52)),
        ] {
            let reply = arrive(site, "1", &odd);
            assert_eq!((reply.status, reply.header("Location")), (404, None), "{odd:?}");
            assert!(!reply.body.contains("mallory"), "{odd:?}");
            let path = format!("authorize?client_id=1&request_uri={}", escape(&odd));
            assert_eq!(site.get(&path, &[JSON]).refusal(), (404, 9755), "{odd:?}");
        }
        // A nonce is read in any case, and led to in one.
        let reply = arrive(site, "1", &uri.to_lowercase());
        assert_eq!(reply.header("Location"), Some(format!("authorize/{nonce}").as_str()));
    });
}

/// The parameters of a request with PKCE.
const S256: [(&str, &str); 3] =
    [("code_challenge", CHALLENGE), ("code_challenge_method", "S256"), ("state", "hers")];

#[test]
fn nothing_takes_the_place_of_what_was_pushed() {
    everywhere("", |site| {
        let nonce = pushed(site, &S256);
        let challenge = format!("code_challenge={CHALLENGE}");
        let others = [
            "state=hers".to_owned(),
            challenge.clone() + "&state=hers",
            format!("{challenge}&code_challenge_method=plain&state=hers"),
            format!("code_challenge={VERIFIER}&state=hers"),
            format!("{challenge}&code_challenge_method=S256&state=his"),
            format!("{challenge}&code_challenge_method=S256"),
            format!("{challenge}&code_challenge_method=S256&state=hers&scope=x"),
            format!("{challenge}&code_challenge_method=S256&state=hers")
                + &format!("&redirect_uri={}", escape(REDIRECT_URI)),
        ];
        let is_refused = |when: &str| {
            for parameters in &others {
                let path = format!("{}&{parameters}", authorize(&nonce));
                for reply in [
                    site.get(&path, &[HTML]),
                    site.post(&path, &[HTML], ""),
                    site.get(&path, &[JSON]),
                ] {
                    let found = (reply.status, reply.header("Location"));
                    assert_eq!(found, (400, None), "{when}: {parameters}");
                }
            }
        };
        is_refused("at the beginning");
        assert_eq!(site.challenge(&nonce, ADA).status, 200);
        is_refused("after a message");
        let reply = site.post(&format!("solve/{nonce}"), &[], format!("pin={}", site.pin(ADA)));
        let location = reply.header("Location").unwrap();
        let code = code_of(location);
        assert_eq!(location, format!("{REDIRECT_URI}&code={code}&state=hers{ISS}"));
        // What comes too late leads to the same.
        for parameters in &others {
            let reply = site.get(&format!("{}&{parameters}", authorize(&nonce)), &[HTML]);
            assert_eq!(reply.header("Location"), Some(location), "{parameters}");
        }
        let other = VERIFIER.replace('d', "D");
        for verifier in ["", CHALLENGE, other.as_str()] {
            let reply = token(site, &code, &[("redirect_uri", ""), ("code_verifier", verifier)]);
            assert_eq!(reply.refusal(), (401, 9753), "{verifier}");
        }
        let verifier = [("redirect_uri", ""), ("code_verifier", VERIFIER)];
        assert_eq!(token(site, &code, &verifier).status, 200);
    });
}

#[test]
fn what_is_no_request_is_not_pushed() {
    let long = "x".repeat(129);
    everywhere("", |site| {
        let rows = validations(site);
        let refused = |changes: &[(&str, &str)]| {
            let reply = push(site, changes);
            assert_eq!(reply.status, 400, "{changes:?}: {}", reply.body);
            let json = reply.json();
            let description = json["error_description"].as_str().unwrap();
            let plain = |it: u8| matches!(it, b' '..=b'~') && !b"\"\\".contains(&it);
            assert!(description.bytes().all(plain), "RFC 6749 5.2: {description}");
            json["error"].as_str().unwrap().to_owned()
        };
        assert_eq!(refused(&[("response_type", "token")]), "unsupported_response_type");
        assert_eq!(refused(&[("response_type", "code token")]), "unsupported_response_type");
        for (name, value) in [
            ("response_type", ""),
            ("request", "eyJhbGciOiJub25lIn0.e30."),
            ("request_uri", "https://mallory.example/request.jwt"),
            ("code_challenge", "x"),
            ("code_challenge", &long),
            ("code_challenge_method", "S256"),
            ("address", "{"),
            ("address", "[]"),
            ("address", "{\"read_only\":1}"),
            ("address", "{\"read_only\":true,\"NOBODY\":\"x\"}"),
        ] {
            assert_eq!(refused(&[(name, value)]), "invalid_request", "{name}={value}");
        }
        let both = [("address", "{}"), ("login_hint", ADA)];
        assert_eq!(refused(&both), "invalid_request");
        let plain = [("code_challenge", CHALLENGE), ("code_challenge_method", "s256")];
        assert_eq!(refused(&plain), "invalid_request");
        for uri in ELSEWHERE {
            assert_eq!(refused(&[("redirect_uri", uri)]), "invalid_request", "{uri}");
        }
        let good = form(
            &[("response_type", "code"), ("client_id", "1"), ("client_secret", SECRET)],
            &[("redirect_uri", REDIRECT_URI), ("state", "x")],
        );
        let odd_names = ["%22x%5C", "%C3%A9", "%0D%0A", "x"];
        for name in odd_names.map(str::to_owned).iter().chain(&["state".to_owned()]) {
            let body = format!("{good}&{name}=1&{name}=2");
            let reply = site.post("par", &[], body);
            assert_eq!(reply.refusal(), (400, 26), "{name}");
            let description = reply.member("error_description").unwrap();
            assert!(description.is_ascii() && !description.contains(['"', '\\', '\r']), "{name}");
        }
        // The query says nothing, so nothing in it is said twice.
        let query = "par?state=y&client_id=2&redirect_uri=https%3A%2F%2Fmallory.example%2F";
        assert_eq!(site.post(&format!("par?{good}"), &[], "").refusal(), (401, 25));
        assert_eq!(validations(site), rows);
        assert_eq!(site.post(query, &[], good).status, 201);
    });
}

#[test]
fn clients_get_forms_only_by_post_and_only_as_forms() {
    let json = format!("{{\"response_type\":\"code\",\"client_secret\":\"{SECRET}\"}}");
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"client_id\"\r\n\r\n1\r\n--x--";
    everywhere("", |site| {
        for path in ["par", "token", "revoke", "introspect"] {
            for (kind, body) in [
                ("application/json", json.as_str()),
                ("application/json", &format!("\n {json}")),
                ("multipart/form-data; boundary=x", multipart),
                ("application/x-www-form-urlencoded", json.as_str()),
            ] {
                let reply = site.post(path, &[("Content-Type", kind)], body);
                assert_eq!(reply.status, 400, "{path} {kind}");
                let description = reply.member("error_description").unwrap();
                assert!(description.contains("application/x-www-form-urlencoded"), "{description}");
            }
            let nobody = if path == "token" { 400 } else { 401 };
            for body in ["[]", "null", "\"x\"", "<xml/>", "=", "&&&", "\u{feff}"] {
                assert_eq!(site.post(path, &[], body).refusal(), (nobody, 25), "{path} {body}");
            }
            for body in ["client_id=%", "client_id=%ff", "client_id=%00", "x=1&x=2"] {
                assert_eq!(site.post(path, &[], body).refusal(), (400, 26), "{path} {body}");
            }
            let long = "x".repeat(64 * 1024 + 1);
            assert_eq!(site.post(path, &[], long).refusal(), (413, 32), "{path}");
            for method in ["GET", "HEAD", "PUT", "DELETE"] {
                let mut peer = site.connect();
                peer.send(request(method, path, &[], b""));
                let reply = peer.reply_to(method).unwrap();
                assert_eq!(reply.status, 405, "{path}");
                assert_eq!(reply.header("Allow"), Some("POST, OPTIONS"), "{path}");
            }
        }
        prove(site);
    });
}

#[test]
fn a_pushed_state_comes_back_however_long() {
    everywhere("", |site| {
        for state in ["!".repeat(8000), "\u{20ac}\r\n\"<&".repeat(300)] {
            let nonce = pushed(site, &[("state", &state)]);
            let email = format!("ada{}@example.com", state.len());
            assert_eq!(site.get(&format!("authorize/{nonce}"), &[HTML]).status, 200);
            assert_eq!(site.challenge(&nonce, &email).status, 200);
            let pin = format!("pin={}", site.pin(&email));
            let solved = site.post(&format!("solve/{nonce}"), &[], pin);
            let location = solved.header("Location").unwrap().strip_suffix(ISS).unwrap();
            let (_, found) = location.rsplit_once("&state=").unwrap();
            assert_eq!(unescape(found), state);
        }
        for name in ["state", "scope"] {
            let longer = "x".repeat(60_000);
            let reply = push(site, &[(name, &longer)]);
            assert_eq!(reply.status, 400, "{name}");
        }
    });
}
