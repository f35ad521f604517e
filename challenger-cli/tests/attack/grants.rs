//! Attacks on OAuth: with other people's codes, tokens and clients.

use std::collections::BTreeMap;

use challenger_testkit::{Reply, code_of, escape, request, wrong};

use crate::harness::{authorize, everywhere, prove};
use crate::site::{ISS, REDIRECT_URI, SECRET, Site, stdout};

pub const ADA: &str = "ada@example.com";
pub const HTML: (&str, &str) = ("Accept", "text/html");
pub const JSON: (&str, &str) = ("Accept", "application/json");

/// Another client.
pub const MALLORY: &str = "secret-token:K7ZQ4M0XW9T2RB8VD5NJ3YHC6P";
pub const MALLORYS_URI: &str = "https://mallory.example/";

/// Registers the other client, whose number is 2.
pub fn add_mallory(site: &Site) {
    site.remember(MALLORY);
    let added = site.run("challenger-admin", &["--add", MALLORY, MALLORYS_URI]);
    assert_eq!(stdout(&added), "Client added. Client ID is: 2\n");
}

/// A form with these fields, some of them changed or, if they are empty, left out.
pub fn form(usual: &[(&str, &str)], changes: &[(&str, &str)]) -> String {
    let mut fields: BTreeMap<&str, &str> = usual.iter().copied().collect();
    fields.extend(changes.iter().copied());
    fields.retain(|_, value| !value.is_empty());
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    pairs.join("&")
}

/// A token request of the client, with some parameters changed or left out.
pub fn token(site: &Site, code: &str, changes: &[(&str, &str)]) -> Reply {
    let usual = [
        ("grant_type", "authorization_code"),
        ("client_id", "1"),
        ("client_secret", SECRET),
        ("redirect_uri", REDIRECT_URI),
        ("code", code),
    ];
    site.remember(code);
    site.post("token", &[], form(&usual, changes))
}

/// A validation of Ada's whose authorization request has these parameters, up to the code.
fn solved_with(site: &Site, parameters: &str) -> (String, String) {
    let nonce = site.setup();
    assert_eq!(site.get(&format!("{}&{parameters}", authorize(&nonce)), &[]).status, 200);
    assert_eq!(site.challenge(&nonce, ADA).status, 200);
    let reply = site.solve(&nonce, &site.pin(ADA));
    (nonce, code_of(reply.json()["redirect_url"].as_str().unwrap()))
}

/// An answer without the parts that depend on the time.
pub fn looks(reply: &Reply) -> (u16, Vec<(String, String)>, String) {
    let mut headers = reply.headers.clone();
    for (name, _) in &mut headers {
        name.make_ascii_lowercase();
    }
    headers.retain(|(name, _)| name != "date");
    (reply.status, headers, reply.body.clone())
}

#[test]
fn another_client_neither_uses_nor_spends_a_code() {
    everywhere("", |site| {
        add_mallory(site);
        let (_, code) = solved_with(site, "state=x");
        let mallory = [("client_id", "2"), ("client_secret", MALLORY)];
        for uri in [REDIRECT_URI, MALLORYS_URI] {
            let reply = token(site, &code, &[mallory[0], mallory[1], ("redirect_uri", uri)]);
            assert_eq!(reply.refusal(), (401, 9754), "{uri}");
        }
        // Neither with one's own secret in the other's name, nor the other way round.
        assert_eq!(token(site, &code, &[mallory[0]]).refusal(), (401, 9750));
        assert_eq!(token(site, &code, &[mallory[1]]).refusal(), (401, 9750));
        let granted = token(site, &code, &[]);
        assert_eq!(granted.status, 200);
        // Nor does a replay by another client revoke what was bought.
        assert_eq!(token(site, &code, &mallory).refusal(), (401, 9754));
        let access = granted.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(site.info(&access).status, 200);
        assert_eq!(token(site, &code, &[]).refusal(), (401, 9753));
    });
}

#[test]
fn codes_are_not_found_by_changing_some() {
    everywhere("", |site| {
        let (_, code) = solved_with(site, "state=x");
        let (_, other) = solved_with(site, "state=y");
        let (id, proof) = code.split_once('-').unwrap();
        let (other_id, other_proof) = other.split_once('-').unwrap();
        let changed = proof.chars().map(|it| if it == '7' { '8' } else { '7' });
        for wrong in [
            format!("{id}-{other_proof}"),
            format!("{other_id}-{proof}"),
            format!("{id}-"),
            format!("{id}-{id}"),
            id.to_owned(),
            format!("{id}-{}", changed.collect::<String>()),
            format!("{id}-{proof}0"),
            format!("{id}-{proof} "),
            format!("{id}--{proof}"),
            "0".repeat(10_000),
            format!("{}-{proof}", "0".repeat(52)),
        ] {
            let reply = token(site, &wrong, &[]);
            assert!(matches!(reply.refusal(), (401, 9754 | 9755)), "{wrong:.99}: {}", reply.body);
            assert_eq!(reply.json()["error"], "invalid_grant");
        }
        assert_eq!(token(site, &code, &[]).status, 200, "none of them spent it");
        assert_eq!(token(site, &other, &[]).status, 200);
    });
}

/// RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[test]
fn nothing_gets_around_a_code_challenge() {
    let s256 = format!("code_challenge={CHALLENGE}&code_challenge_method=S256");
    everywhere("", |site| {
        let (nonce, code) = solved_with(site, &s256);
        // Once it is solved, the nonce alone does not take the challenge away.
        for parameters in
            ["state=x", &format!("code_challenge={VERIFIER}"), &s256.replace('E', "F")]
        {
            let reply = site.get(&format!("{}&{parameters}", authorize(&nonce)), &[]);
            assert_eq!(reply.json()["solved"], true);
        }
        let long = "x".repeat(129);
        for (verifier, expected) in [
            ("", (401, 9753)),
            (CHALLENGE, (401, 9753)),
            (&VERIFIER.replace('d', "D"), (401, 9753)),
            (&format!("{VERIFIER}x"), (401, 9753)),
            (&VERIFIER[1..], (400, 26)),
            (&long, (400, 26)),
            (&format!("{VERIFIER}="), (400, 26)),
            (&format!("{VERIFIER} "), (400, 26)),
            (&format!("{VERIFIER}\u{e9}"), (400, 26)),
        ] {
            let reply = token(site, &code, &[("code_verifier", verifier)]);
            assert_eq!(reply.refusal(), expected, "{verifier}");
        }
        assert_eq!(token(site, &code, &[("code_verifier", VERIFIER)]).status, 200);
        // A verifier for which there was no challenge: somebody took that away.
        let (_, code) = solved_with(site, "state=x");
        let reply = token(site, &code, &[("code_verifier", VERIFIER)]);
        assert_eq!(reply.refusal(), (401, 9753));
        // A plain challenge is not that of another method.
        let (_, code) = solved_with(site, &format!("code_challenge={CHALLENGE}"));
        let reply = token(site, &code, &[("code_verifier", VERIFIER)]);
        assert_eq!(reply.refusal(), (401, 9753));
        assert_eq!(token(site, &code, &[("code_verifier", CHALLENGE)]).status, 200);
        let nonce = site.setup();
        for parameters in [
            "code_challenge_method=S256".to_owned(),
            format!("code_challenge={CHALLENGE}&code_challenge_method=s256"),
            format!("code_challenge={CHALLENGE}&code_challenge_method=none"),
            format!("code_challenge={CHALLENGE}%3D&code_challenge_method=S256"),
            format!("code_challenge={CHALLENGE}&code_challenge={VERIFIER}"),
            format!("code_challenge={}&code_challenge_method=S256", &CHALLENGE[1..]),
        ] {
            let reply = site.get(&format!("{}&{parameters}", authorize(&nonce)), &[]);
            assert_eq!(reply.status, 400, "{parameters}");
        }
    });
}

#[test]
fn an_unknown_client_looks_like_a_wrong_secret() {
    let long = "x".repeat(10_000);
    everywhere("", |site| {
        add_mallory(site);
        let setup = |id: &str, secret: &str| {
            site.post(&format!("setup/{id}"), &[("Authorization", &format!("Bearer {secret}"))], "")
        };
        let unknown = setup("99", SECRET);
        assert_eq!(unknown.refusal(), (404, 9750));
        for secret in [
            MALLORY,
            &SECRET[..SECRET.len() - 1],
            &SECRET[1..],
            &SECRET["secret-token:".len()..],
            &SECRET.to_uppercase(),
            &format!("{SECRET}0"),
            &format!("{SECRET}%00"),
            "null",
            &long,
        ] {
            assert_eq!(looks(&setup("1", secret)), looks(&unknown), "{secret:.60}");
        }
        // At /token the protocol distinguishes them, unless the client uses HTTP Basic.
        let basic = |id: &str, secret: &str| {
            let credentials = data_encoding::BASE64.encode(format!("{id}:{secret}").as_bytes());
            let basic = format!("Basic {credentials}");
            let body = "grant_type=authorization_code&code=x&redirect_uri=x";
            site.post("token", &[("Authorization", &basic)], body)
        };
        assert_eq!(basic("1", "wrong").refusal(), (401, 9750));
        assert_eq!(looks(&basic("1", "wrong")), looks(&basic("99", "wrong")));
        // In a form it is the status and a sentence that differ, and nothing else.
        let form = |id: &str| {
            token(site, "x", &[("client_id", id), ("client_secret", "secret-token:wrong")])
        };
        let (wrong, unknown) = (form("1"), form("99"));
        assert_eq!((wrong.refusal(), unknown.refusal()), ((401, 9750), (404, 9750)));
        let shape = |reply: &Reply| {
            let mut names: Vec<String> =
                reply.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
            names.extend(reply.json().as_object().unwrap().keys().cloned());
            names
        };
        assert_eq!(shape(&wrong), shape(&unknown));
        assert_eq!(wrong.json()["error"], unknown.json()["error"]);
    });
}

#[test]
fn unknown_nonces_all_look_the_same() {
    everywhere("", |site| {
        add_mallory(site);
        let nonce = site.setup();
        let last = nonce.chars().last().unwrap();
        let other = if last == '0' { 'G' } else { '0' };
        let near = format!("{}{other}", &nonce[..nonce.len() - 1]);
        let unknown =
            ["0".repeat(52), near, "x".into(), "%00".into(), "0".repeat(5000), "'".into()];
        for accept in [HTML, JSON] {
            let ask = |nonce: &str| {
                [
                    site.get(&authorize(nonce), &[accept]),
                    site.post(&format!("challenge/{nonce}"), &[accept], "CONTACT_EMAIL=a%40b"),
                    site.post(&format!("solve/{nonce}"), &[accept], "pin=12345678"),
                ]
                .map(|reply| looks(&reply))
            };
            let first = ask(&unknown[0]);
            assert!(first.iter().all(|(status, ..)| *status == 404));
            for nonce in &unknown {
                assert_eq!(ask(nonce), first, "{nonce:.60}");
            }
            // A validation of another client does not exist for this one.
            let foreign = authorize(&nonce).replace("client_id=1", "client_id=2");
            assert_eq!(looks(&site.get(&foreign, &[accept])), first[0]);
            let nobody = authorize(&nonce).replace("client_id=1", "client_id=99");
            assert_eq!(looks(&site.get(&nobody, &[accept])), first[0]);
        }
    });
}

#[test]
fn tokens_are_taken_from_one_place_only() {
    everywhere("", |site| {
        let (_, code) = solved_with(site, "state=x");
        let granted = token(site, &code, &[]).json();
        let access = granted["access_token"].as_str().unwrap();
        let info = |headers: &[(&str, &str)]| site.get("info", headers);
        assert_eq!(site.get(&format!("info?access_token={access}"), &[]).refusal(), (403, 25));
        assert_eq!(info(&[("Cookie", &format!("access_token={access}"))]).refusal(), (403, 25));
        assert_eq!(info(&[("X-Authorization", access)]).refusal(), (403, 25));
        for credentials in [
            access,
            &format!("Basic {access}"),
            &format!("Bearer{access}"),
            &format!("Bearer {access} {access}"),
            &format!("Bearer {access},"),
            &format!("Bearer \"{access}\""),
            &format!("Bearer {access}0"),
            &format!("Bearer {}", &access[1..]),
            "Bearer",
            "Bearer ",
            &format!("Bearer {code}"),
            &format!("Bearer {SECRET}"),
        ] {
            let reply = info(&[("Authorization", credentials)]);
            assert_eq!(reply.refusal(), (403, 26), "{credentials}");
            assert_eq!(reply.json()["error"], "invalid_token");
        }
        let first = if access.starts_with('7') { "8" } else { "7" };
        let changed = format!("{first}{}", &access[1..]);
        assert_eq!(site.info(&changed).refusal(), (404, 9753));
        assert_eq!(site.info(access).status, 200);
        // It opens nothing else.
        let bearer = format!("Bearer {access}");
        let setup = site.post("setup/1", &[("Authorization", &bearer)], "");
        assert_eq!(setup.refusal(), (404, 9750));
    });
}

#[test]
fn credentials_that_come_twice_are_refused() {
    everywhere("", |site| {
        let bearer = format!("Bearer {SECRET}");
        let good = ("Authorization", bearer.as_str());
        let bad = ("authorization", "Bearer wrong");
        for headers in [[good, bad], [bad, good], [good, good]] {
            for (method, path) in [("POST", "setup/1"), ("GET", "info"), ("POST", "token")] {
                let mut peer = site.connect();
                peer.send(request(method, path, &headers, b""));
                assert_eq!(peer.reply().unwrap().refusal(), (400, 23), "{path} {headers:?}");
            }
        }
        prove(site);
    });
}

#[test]
fn reading_changes_nothing_and_sends_nothing() {
    everywhere("", |site| {
        let nonce = site.setup();
        let bearer = format!("Bearer {SECRET}");
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "post"] {
            for path in [
                format!("challenge/{nonce}?CONTACT_EMAIL=eve%40example.com"),
                format!("solve/{nonce}?pin=12345678"),
                "setup/1".to_owned(),
                "token?grant_type=authorization_code".to_owned(),
            ] {
                let mut peer = site.connect();
                peer.send(request(method, &path, &[("Authorization", &bearer)], b""));
                assert_eq!(peer.reply_to(method).unwrap().status, 405, "{method} {path}");
            }
        }
        // Fields that override a method elsewhere mean nothing here.
        let overriding = [("X-HTTP-Method-Override", "POST"), ("X-Method-Override", "POST")];
        let path = format!("challenge/{nonce}?_method=POST");
        assert_eq!(site.get(&path, &overriding).refusal(), (405, 20));
        let status = site.get(&authorize(&nonce), &[]).json();
        assert_eq!(
            (&status["changes_left"], &status["auth_attempts_left"]),
            (&3.into(), &3.into())
        );
        assert!(site.messages().is_empty());
    });
}

#[test]
fn what_was_proved_for_one_request_does_not_count_for_another() {
    everywhere("", |site| {
        let (nonce, code) = solved_with(site, "state=hers");
        // Somebody who has the link asks again, with a state of their own.
        for reply in [
            site.get(&format!("{}&state=his", authorize(&nonce)), &[HTML]),
            site.post(&format!("{}&state=his", authorize(&nonce)), &[HTML], ""),
            site.post(&format!("challenge/{nonce}"), &[HTML], "CONTACT_EMAIL=eve%40example.com"),
            site.post(&format!("solve/{nonce}"), &[HTML], format!("pin={}", wrong(&site.pin(ADA)))),
        ] {
            assert_eq!(reply.status, 302);
            let location = reply.header("Location").unwrap();
            assert_eq!(location, format!("{REDIRECT_URI}&code={code}&state=hers{ISS}"));
        }
        let granted = token(site, &code, &[]).json();
        let info = site.info(granted["access_token"].as_str().unwrap());
        assert_eq!(info.json()["address"]["CONTACT_EMAIL"], ADA);
    });
}
