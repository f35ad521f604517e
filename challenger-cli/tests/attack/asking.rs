//! Attacks on the endpoints where clients ask: about tokens (RFC 7009, RFC 7662), about a
//! validation, and about the service (RFC 8414).

use challenger_testkit::{Reply, at_once, request};
use data_encoding::BASE64;
use serde_json::json;

use crate::grants::{ADA, HTML, MALLORY, add_mallory, form, looks, token};
use crate::harness::{everywhere, everywhere_with, under};
use crate::pushed::{change, push, pushed};
use crate::site::{SECRET, Site};

/// A client asks about a token, or gives it up.
fn ask(site: &Site, path: &str, client: (&str, &str), token: &str) -> Reply {
    let (id, secret) = client;
    let fields = [("client_id", id), ("client_secret", secret), ("token", token)];
    site.post(path, &[], form(&fields, &[]))
}

const CLIENT: (&str, &str) = ("1", SECRET);
const MALLORYS: (&str, &str) = ("2", MALLORY);

/// A token of the client for Ada's address, with the code that it was bought with.
fn granted(site: &Site) -> (String, String) {
    let (_, code) = site.solved(ADA);
    let access = token(site, &code, &[]).member("access_token").unwrap();
    site.remember(&access);
    (code, access)
}

#[test]
fn a_client_asks_about_its_own_tokens_only() {
    everywhere("", |site| {
        add_mallory(site);
        let (code, access) = granted(site);
        let inactive = |reply: Reply, what: &str| {
            assert_eq!(reply.status, 200, "{what}");
            assert_eq!(reply.json(), json!({"active": false}), "{what}");
            looks(&reply)
        };
        let nonce = site.setup();
        let unknown = inactive(ask(site, "introspect", CLIENT, &"0".repeat(52)), "unknown");
        assert_eq!(inactive(ask(site, "introspect", MALLORYS, &access), "another's"), unknown);
        for odd in [&code, &nonce, SECRET, "x", &format!("{access}0"), &access[1..], "\u{e9}"] {
            assert_eq!(inactive(ask(site, "introspect", CLIENT, odd), odd), unknown, "{odd}");
        }
        let hint = form(
            &[("client_id", "1"), ("client_secret", SECRET), ("token", &access)],
            &[("token_type_hint", "refresh_token")],
        );
        let reply = site.post("introspect", &[], hint);
        let answer = reply.json();
        assert_eq!((&answer["active"], &answer["client_id"]), (&json!(true), &json!("1")));
        assert_eq!(answer["iss"], "https://challenger.example");
        assert_eq!(answer["sub"], site.info(&access).json()["sub"]);
        assert!(!reply.body.contains(ADA), "{}", reply.body);
        assert_eq!(reply.header("Cache-Control"), Some("no-store"));
        // The token itself is no credential here, and neither is nothing.
        let bearer = format!("Bearer {access}");
        let bearer = [("Authorization", bearer.as_str())];
        let body = format!("token={access}");
        for path in ["introspect", "revoke"] {
            let reply = site.post(path, &bearer, &body);
            assert_eq!(reply.refusal(), (401, 25), "{path}");
            assert!(reply.header("WWW-Authenticate").is_some(), "{path}");
            assert_eq!(site.post(path, &[], &body).refusal(), (401, 25), "{path}");
            for (id, secret) in [("1", MALLORY), ("2", SECRET), ("99", SECRET)] {
                let reply = ask(site, path, (id, secret), &access);
                assert_eq!(reply.refusal(), (401, 9750), "{path} {id}");
            }
        }
        assert_eq!(change(site, "UPDATE grants SET expires = 1"), 1);
        assert_eq!(inactive(ask(site, "introspect", CLIENT, &access), "expired"), unknown);
    });
}

#[test]
fn a_client_gives_up_its_own_tokens_only() {
    everywhere("", |site| {
        add_mallory(site);
        let (code, access) = granted(site);
        let reply = ask(site, "revoke", MALLORYS, &access);
        assert_eq!(reply.refusal(), (400, 9753));
        assert_eq!(reply.json()["error"], "invalid_grant");
        assert!(!reply.body.contains(&access), "{}", reply.body);
        for odd in [code.as_str(), SECRET, "x", &"0".repeat(52), &access[1..]] {
            let reply = ask(site, "revoke", CLIENT, odd);
            assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{odd}");
        }
        assert_eq!(site.info(&access).status, 200, "it is still good");
        for when in ["first", "again"] {
            let reply = ask(site, "revoke", CLIENT, &access);
            assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{when}");
            assert_eq!(site.info(&access).refusal(), (404, 9753), "{when}");
            let answer = ask(site, "introspect", CLIENT, &access).json();
            assert_eq!(answer, json!({"active": false}), "{when}");
        }
        // The code that it was bought with does not buy another.
        assert_eq!(token(site, &code, &[]).refusal(), (401, 9753));
        // Of a crowd that gives one token up, all succeed, and none of another's goes with it.
        let (_, first) = granted(site);
        let (_, second) = granted(site);
        let crowd = at_once(16, || ask(site, "revoke", CLIENT, &first).status);
        assert_eq!(crowd, [200; 16]);
        assert_eq!(site.info(&first).status, 404);
        assert_eq!(site.info(&second).status, 200);
    });
}

/// A client asks how a validation stands.
fn status(site: &Site, nonce: &str, credentials: &str) -> Reply {
    site.get(&format!("status/{nonce}"), &[("Authorization", credentials)])
}

#[test]
fn a_client_sees_how_its_own_validations_stand() {
    let bearer = format!("Bearer {SECRET}");
    everywhere("", |site| {
        add_mallory(site);
        site.remember("a-session-of-hers");
        let nonce = pushed(site, &[("login_hint", ADA), ("state", "a-session-of-hers")]);
        let basic = |id: &str, secret: &str| {
            format!("Basic {}", BASE64.encode(format!("{id}:{secret}").as_bytes()))
        };
        let before = status(site, &nonce, &bearer);
        assert_eq!((before.status, &before.json()["state"]), (200, &json!("open")));
        let (_, access) = granted(site);
        for odd in [
            format!("Bearer {MALLORY}"),
            format!("Bearer {access}"),
            format!("Bearer {nonce}"),
            format!("Bearer {SECRET}0"),
            format!("Bearer {}", &SECRET[..SECRET.len() - 1]),
            "Bearer".to_owned(),
            SECRET.to_owned(),
            basic("2", MALLORY),
            basic("1", MALLORY),
            basic("2", SECRET),
        ] {
            let reply = status(site, &nonce, &odd);
            assert_eq!(reply.status, 401, "{odd}");
            assert_eq!(reply.json()["error"], "invalid_client", "{odd}");
            assert!(reply.header("WWW-Authenticate").is_some(), "{odd}");
        }
        let path = format!("status/{nonce}?client_secret={SECRET}&access_token={SECRET}");
        assert_eq!(site.get(&path, &[]).status, 401);
        assert_eq!(site.get(&path, &[HTML, ("Cookie", &bearer)]).status, 401);
        assert_eq!(site.post(&path, &[("Authorization", &bearer)], "").refusal(), (405, 20));
        // Whether a nonce is known is not for those who have it to find out.
        let unknown = looks(&status(site, &"0".repeat(52), &bearer));
        assert_eq!(unknown.0, 404);
        for odd in ["x", "%00", &format!("{nonce}0"), &"0".repeat(5000)] {
            assert_eq!(looks(&status(site, odd, &bearer)), unknown, "{odd:.60}");
            let wrong = format!("Bearer {MALLORY}");
            assert_eq!(looks(&status(site, odd, &wrong)), unknown, "{odd:.60}");
        }
        let mut peer = site.connect();
        let authorization = [("Authorization", bearer.as_str())];
        peer.send(request("HEAD", &format!("status/{nonce}"), &authorization, b""));
        assert_eq!(peer.reply_to("HEAD").unwrap().status, 200);
        // It is no personal data, and asking changes nothing.
        let after = status(site, &nonce, &bearer);
        assert_eq!(looks(&after), looks(&before));
        for private in [ADA, "a-session-of-hers", &nonce] {
            assert!(!after.body.contains(private), "{}", after.body);
        }
        assert_eq!(site.challenge(&nonce, ADA).status, 200);
        assert_eq!(status(site, &nonce, &bearer).json()["state"], "message_sent");
        assert_eq!(site.solve(&nonce, &site.pin(ADA)).status, 200);
        let proved = status(site, &nonce, &bearer);
        assert_eq!(proved.json()["state"], "proved");
        for private in [ADA, "a-session-of-hers", "code", &site.pin(ADA)] {
            assert!(!proved.body.contains(private), "{}", proved.body);
        }
    });
}

#[test]
fn clients_that_do_not_exist_look_like_wrong_secrets_everywhere() {
    everywhere("", |site| {
        for path in ["par", "revoke", "introspect"] {
            let usual = [("response_type", "code"), ("token", "x")];
            let by_form = |id: &str| {
                let client = [("client_id", id), ("client_secret", "secret-token:wrong")];
                site.post(path, &[], form(&usual, &client))
            };
            assert_eq!(by_form("1").refusal(), (401, 9750), "{path}");
            assert_eq!(looks(&by_form("1")), looks(&by_form("99")), "{path}");
            assert_eq!(looks(&by_form("1")), looks(&by_form("9223372036854775807")), "{path}");
            let by_basic = |id: &str| {
                let credentials = BASE64.encode(format!("{id}:secret-token:wrong").as_bytes());
                let basic = format!("Basic {credentials}");
                site.post(path, &[("Authorization", &basic)], form(&usual, &[]))
            };
            assert_eq!(by_basic("1").refusal(), (401, 9750), "{path}");
            assert_eq!(looks(&by_basic("1")), looks(&by_basic("99")), "{path}");
            // Two ways of authentication at once are refused, unless they say the same.
            let right = format!("Basic {}", BASE64.encode(format!("1:{SECRET}").as_bytes()));
            for more in [("client_secret", "secret-token:wrong"), ("client_id", "2")] {
                let both = form(&usual, &[more]);
                let reply = site.post(path, &[("Authorization", &right)], both);
                assert_eq!(reply.refusal(), (400, 26), "{path} {more:?}");
            }
            let wrong = format!("Basic {}", BASE64.encode(b"1:secret-token:wrong"));
            let both = form(&usual, &[("client_secret", SECRET)]);
            let reply = site.post(path, &[("Authorization", &wrong)], both);
            assert_eq!(reply.refusal(), (400, 26), "{path}");
        }
    });
}

const METADATA: &str = ".well-known/oauth-authorization-server";

#[test]
fn no_stranger_decides_who_the_issuer_is() {
    let evil = [
        HTML,
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Prefix", "/evil.example"),
        ("Forwarded", "host=evil.example;proto=http"),
        ("X-Original-URL", "/evil.example"),
        ("Origin", "https://evil.example"),
        ("Referer", "https://evil.example/"),
    ];
    everywhere("", |site| {
        let found = site.get(METADATA, &[]);
        assert_eq!(found.status, 200);
        let json = found.json();
        assert_eq!(json["issuer"], "https://challenger.example");
        for (name, value) in json.as_object().unwrap() {
            let is_url = name.ends_with("_endpoint") || name.ends_with("_uri");
            let is_ours = value.as_str().unwrap_or("").starts_with("https://challenger.example/");
            assert_eq!(is_url, is_ours, "{name}: {value}");
        }
        assert_eq!(looks(&site.get(METADATA, &evil)), looks(&found));
        assert_eq!(looks(&site.get(&format!("{METADATA}?issuer=x&iss=x"), &[])), looks(&found));
        let mut peer = site.connect();
        peer.send(format!("GET http://evil.example/{METADATA} HTTP/1.1\r\nHost: evil\r\n\r\n"));
        assert_eq!(peer.reply().unwrap().body, found.body);
        for odd in ["/", "/x", "%2Fx", ";x", "//"] {
            assert_eq!(site.get(&format!("{METADATA}{odd}"), &[]).status, 404, "{odd}");
        }
        // The issuer that a client is told is that one, whatever it asked for.
        let forged = [("iss", "https://evil.example"), ("state", "x&iss=https://evil.example")];
        let nonce = pushed(site, &forged);
        let path = format!(
            "authorize?client_id=1&iss=evil&request_uri=\
                            urn:ietf:params:oauth:request_uri:{nonce}"
        );
        let reply = site.get(&path, &evil);
        assert_eq!(reply.header("Location"), Some(format!("authorize/{nonce}").as_str()));
        assert_eq!(site.challenge(&nonce, ADA).status, 200);
        let body = format!("pin={}&iss=evil", site.pin(ADA));
        let solved = site.post(&format!("solve/{nonce}?iss=evil"), &evil[1..], body);
        let location = solved.header("Location").unwrap();
        assert!(location.ends_with("&iss=https%3A%2F%2Fchallenger.example"), "{location}");
        assert_eq!(location.matches("iss=").count(), 1, "{location}");
    });
}

#[test]
fn a_service_that_does_not_know_its_address_names_no_issuer() {
    let without = |site: &Site| {
        let text = std::fs::read_to_string(site.config()).unwrap();
        std::fs::write(site.config(), text.replace("BASE_URL", "#BASE_URL")).unwrap();
        site.server()
    };
    everywhere_with("", without, |site| {
        let evil = [("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example")];
        let reply = site.get(METADATA, &evil);
        assert_eq!(reply.refusal(), (404, 21));
        assert!(!reply.body.contains("evil"), "{}", reply.body);
        let nonce = pushed(site, &[]);
        assert_eq!(site.challenge(&nonce, ADA).status, 200);
        let solved = site.solve(&nonce, &site.pin(ADA));
        let url = solved.member("redirect_url").unwrap();
        assert!(!url.contains("iss="), "{url}");
    });
}

#[test]
fn a_script_in_a_browser_gets_no_further_than_any_stranger() {
    everywhere("", |site| {
        let (_, access) = granted(site);
        for path in ["par", "revoke", "introspect", "token", "status/x", METADATA, "authorize"] {
            let mut peer = site.connect();
            let asks = [
                ("Origin", "https://evil.example"),
                ("Access-Control-Request-Method", "POST"),
                ("Access-Control-Request-Headers", "authorization"),
            ];
            peer.send(request("OPTIONS", path, &asks, b""));
            let reply = peer.reply().unwrap();
            assert_eq!(reply.status, 204, "{path}");
            assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"), "{path}");
            // By the CORS protocol, neither cookies nor remembered passwords go with the request,
            // and `*` does not stand for `Authorization`.
            assert_eq!(reply.header("Access-Control-Allow-Credentials"), None, "{path}");
            assert_eq!(reply.header("Access-Control-Allow-Headers"), Some("*"), "{path}");
        }
        // What a page can send without being asked about it is a form, which needs the secret.
        let evil = [("Origin", "https://evil.example"), ("Content-Type", "text/plain")];
        for path in ["par", "introspect", "revoke"] {
            let reply = site.post(path, &evil, format!("response_type=code&token={access}"));
            assert_eq!(reply.refusal(), (401, 25), "{path}");
        }
        assert_eq!(site.info(&access).status, 200);
    });
}

#[test]
fn an_address_that_is_pushed_is_judged_like_any_other() {
    let bomb = format!("{{\"a\":[{}0]}}", "{\"\":0},".repeat(2500));
    let deep = "{\"a\":".repeat(4000);
    let wide: String = (0..2500).map(|it| format!("\"{it}\":1,")).collect();
    everywhere("", |site| {
        under(site, || {
            for address in [
                bomb.as_str(),
                &deep,
                &"[".repeat(20_000),
                &format!("{{{wide}\"x\":1}}"),
                "{\"CONTACT_EMAIL\":\"a@b\",\"CONTACT_EMAIL\":\"c@d\"}",
                "{\"read_only\":true,\"read_only\":false,\"CONTACT_EMAIL\":\"a@b\"}",
                "{\"read_only\":true,\"\\u0072ead_only\":false,\"CONTACT_EMAIL\":\"a@b\"}",
                "{\"CONTACT_EMAIL\":\"\\u0000\"}",
                "{\"Read_Only\":true,\"CONTACT_EMAIL\":\"a@b\"}",
                "{\"CONTACT_EMAIL\":\"a@b\\nBcc: c@d\"}",
            ] {
                // Whoever pushes it: the most costly part comes before the secret is compared.
                let crowd = at_once(8, || {
                    push(site, &[("address", address), ("client_secret", "wrong")]).status
                });
                assert!(crowd.iter().all(|it| [400, 401].contains(it)), "{address:.60}");
                let reply = push(site, &[("address", address)]);
                assert_eq!(reply.status, 400, "{address:.60}");
                assert_eq!(reply.json()["error"], "invalid_request", "{address:.60}");
            }
        });
        let long = "x".repeat(4097);
        for hint in ["a@b\r\nBcc: c@d", "a@b\u{2028}c", "\u{1b}[2J@b", &long] {
            let reply = push(site, &[("login_hint", hint)]);
            assert_eq!(reply.refusal(), (400, 26), "{hint:.30?}");
            assert!(!reply.body.contains("Bcc"), "{}", reply.body);
        }
        // A hint is a proposal, and never more than that.
        for hint in ["x", "not an address", "{\"read_only\":true}", "a@b&read_only=true"] {
            let nonce = pushed(site, &[("login_hint", hint)]);
            let status = site.get(&format!("authorize/{nonce}"), &[]).json();
            assert_eq!(status["fix_address"], false, "{hint}");
            assert_eq!(status["last_address"]["CONTACT_EMAIL"], hint, "{hint}");
        }
    });
}
