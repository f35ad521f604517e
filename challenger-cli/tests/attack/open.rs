//! Attacks on open clients, for which any visitor may begin.

use challenger_testkit::{Reply, at_once, escape, request, unescape};

use crate::grants::{ADA, HTML, JSON, form};
use crate::harness::{everywhere, prove, under};
use crate::pushed::{change, database, push, validations};
use crate::redirects::ELSEWHERE;
use crate::site::{ISS, REDIRECT_URI, SECRET, Site, admin, stderr, told};

/// The number of messages that an open client may have sent in a day.
const BUDGET: usize = 3;

/// Opens the client for any visitor.
fn open_client(site: &Site) {
    // It says on standard error what that means.
    let opened = admin(site, &["--open", &format!("--messages-per-day={BUDGET}"), REDIRECT_URI]);
    assert!(opened.status.success(), "{}", stderr(&opened));
}

/// The path with which a visitor begins, with some parameters changed or left out.
fn path(changes: &[(&str, &str)]) -> String {
    format!("authorize?{}", form(&[("response_type", "code"), ("client_id", "1")], changes))
}

/// The nonce that a visitor is led to.
fn nonce_in(reply: &Reply) -> Option<String> {
    Some(reply.header("Location")?.strip_prefix("authorize/")?.to_owned())
}

#[test]
fn a_client_is_closed_until_it_is_opened_and_has_a_budget() {
    everywhere("", |site| {
        let rows = validations(site);
        let is_closed = |when: &str| {
            for accept in [HTML, JSON] {
                let reply = site.get(&path(&[("state", "x")]), &[accept]);
                assert_eq!((reply.status, reply.header("Location")), (400, None), "{when}");
            }
            assert_eq!(site.get(&path(&[]), &[]).refusal(), (400, 25), "{when}");
            assert_eq!(site.get(&path(&[("client_id", "99")]), &[]).refusal(), (404, 9750));
            assert_eq!(validations(site), rows, "{when}");
        };
        is_closed("at the beginning");
        // Whatever a database says: without a budget anybody could have any number of messages.
        database(site)
            .execute_batch("PRAGMA ignore_check_constraints = 1; UPDATE clients SET open = 1")
            .unwrap();
        is_closed("without a budget");
        change(site, "UPDATE clients SET open = 0, messages_per_day = 3");
        is_closed("with a budget");
        open_client(site);
        assert_eq!(site.get(&path(&[]), &[HTML]).status, 302);
        // Its secret opens no more than before.
        let reply = push(site, &[("client_secret", "wrong")]);
        assert_eq!(reply.refusal(), (401, 9750));
        let reply = site.post("setup/1", &[("Authorization", "Bearer x")], "");
        assert_eq!(reply.refusal(), (404, 9750));
        told(site, &["--close", REDIRECT_URI]);
        assert_eq!(site.get(&path(&[]), &[]).refusal(), (400, 25));
    });
}

#[test]
fn an_open_client_is_no_open_redirector() {
    let long = "x".repeat(129);
    everywhere("", |site| {
        open_client(site);
        let rows = validations(site);
        for uri in ELSEWHERE {
            for more in ["code", "token", ""] {
                let path = path(&[("redirect_uri", uri), ("response_type", more), ("state", "x")]);
                for accept in [HTML, JSON] {
                    let reply = site.get(&path, &[accept]);
                    let found = (reply.status, reply.header("Location"));
                    assert_eq!(found, (400, None), "{uri:?} {more}");
                    assert!(!reply.body.contains("mallory"), "{uri:?}: {}", reply.body);
                }
            }
        }
        for twice in ["redirect_uri=x&redirect_uri=y", "state=x&state=y", "state=%00", "state=%ff"]
        {
            let reply = site.get(&format!("{}&{twice}", path(&[])), &[HTML]);
            assert_eq!((reply.status, reply.header("Location")), (400, None), "{twice}");
        }
        // What else is wrong is the client's to know, and told at its own address.
        let states = [
            "x\r\nLocation: https://mallory.example/",
            "x&code=forged&iss=https://mallory.example",
            "x#//mallory.example/",
            "\u{202e}\u{2028}\u{feff}\u{1f600}",
            "\"><script>alert(1)</script>",
        ];
        let mistakes: [(&[(&str, &str)], &str); 6] = [
            (&[("response_type", "token")], "unsupported_response_type"),
            (&[("response_type", "")], "invalid_request"),
            (&[("code_challenge", &long)], "invalid_request"),
            (&[("code_challenge_method", "S256")], "invalid_request"),
            (&[("code_challenge", &long[..43]), ("code_challenge_method", "x")], "invalid_request"),
            (&[("login_hint", "a@b\u{2028}c")], "invalid_request"),
        ];
        for ((changes, error), state) in mistakes.iter().zip(states.iter().cycle()) {
            for uri in ["", REDIRECT_URI] {
                let more = [("state", *state), ("redirect_uri", uri)];
                let reply = site.get(&path(&[changes, &more[..]].concat()), &[HTML]);
                assert_eq!(reply.status, 302, "{changes:?}");
                let location = reply.header("Location").unwrap();
                let rest = location
                    .strip_prefix(&format!("{REDIRECT_URI}&error={error}&error_description="))
                    .and_then(|it| it.strip_suffix(ISS))
                    .unwrap_or_else(|| panic!("{changes:?}: {location}"));
                let (description, found) = rest.split_once("&state=").unwrap();
                let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"%-._~".contains(&it);
                assert!([description, found].concat().bytes().all(is_plain), "{location}");
                assert!(unescape(description).ends_with('.'), "{location}");
                assert_eq!(unescape(found), *state);
                assert_eq!(reply.header("Referrer-Policy"), Some("no-referrer"));
                assert_eq!(reply.header("Cache-Control"), Some("no-store"));
            }
        }
        assert_eq!(validations(site), rows, "a mistake opens nothing");
    });
}

#[test]
fn visitors_of_an_open_client_have_no_more_than_it_may() {
    const MOST: usize = 20;
    everywhere(&format!("CLIENT_VALIDATIONS_MAX = {MOST}"), |site| {
        open_client(site);
        let other = site.run("challenger-admin", &["-q", "--add", SECRET, "https://o.example/"]);
        assert!(other.status.success());
        let replies = at_once(64, || site.get(&path(&[("state", "s")]), &[HTML]));
        let nonces: Vec<String> = replies.iter().filter_map(nonce_in).collect();
        assert!(nonces.len() >= MOST, "{}", nonces.len());
        assert_eq!(validations(site) as usize, nonces.len());
        // A crowd at the same moment may have a few more, as at /setup; then it is over.
        let full = format!("{REDIRECT_URI}&error=temporarily_unavailable&error_description=");
        let reply = site.get(&path(&[("state", "s")]), &[HTML]);
        let location = reply.header("Location").unwrap();
        assert!(location.starts_with(&full), "{location}");
        assert!(location.ends_with(&format!("&state=s{ISS}")), "{location}");
        assert_eq!(push(site, &[]).refusal(), (429, 9757));
        let bearer = format!("Bearer {SECRET}");
        let bearer = [("Authorization", bearer.as_str())];
        assert_eq!(site.post("setup/1", &bearer, "").refusal(), (429, 9757));
        assert_eq!(site.post("setup/2", &bearer, "").status, 200, "it is nobody else's loss");
        // However many validations, there are as many messages as in the budget.
        let sent = nonces.iter().enumerate().map(|(number, nonce)| {
            site.challenge(nonce, &format!("victim{number}@example.com")).status
        });
        let sent: Vec<u16> = sent.collect();
        assert_eq!(sent.iter().filter(|it| **it == 200).count(), BUDGET, "{sent:?}");
        assert!(sent.iter().all(|it| [200, 429].contains(it)), "{sent:?}");
        assert_eq!(site.messages().len(), BUDGET);
    });
}

#[test]
fn a_visitors_link_is_no_request_uri_and_its_request_stays() {
    everywhere("", |site| {
        open_client(site);
        let first = nonce_in(&site.get(&path(&[("state", "hers")]), &[HTML])).unwrap();
        let second = nonce_in(&site.get(&path(&[("state", "hers")]), &[HTML])).unwrap();
        assert_ne!(first, second, "nobody is led to another visitor's validation");
        let uri = format!("urn:ietf:params:oauth:request_uri:{first}");
        let reply = site.get(&format!("authorize?client_id=1&request_uri={}", escape(&uri)), &[]);
        assert_eq!(reply.refusal(), (404, 9755));
        let other = format!("authorize/{first}?response_type=code&client_id=1&state=his");
        assert_eq!(site.get(&other, &[]).refusal(), (400, 26));
        assert_eq!(site.challenge(&first, ADA).status, 200);
        let url = site.solve(&first, &site.pin(ADA)).member("redirect_url").unwrap();
        assert!(url.ends_with(&format!("&state=hers{ISS}")), "{url}");
    });
}

#[test]
fn a_visitor_begins_by_get_and_with_the_request_in_the_query() {
    everywhere("", |site| {
        open_client(site);
        let rows = validations(site);
        for method in ["POST", "PUT", "DELETE", "TRACE", "PATCH"] {
            let mut peer = site.connect();
            peer.send(request(method, &path(&[]), &[HTML], b"response_type=code&client_id=1"));
            let reply = peer.reply_to(method).unwrap();
            assert_eq!(reply.status, 405, "{method}");
            assert_eq!(reply.header("Allow"), Some("GET, HEAD, OPTIONS"), "{method}");
        }
        let mut peer = site.connect();
        peer.send(request("OPTIONS", &path(&[]), &[], b""));
        assert_eq!(peer.reply().unwrap().status, 204);
        assert_eq!(validations(site), rows);
        for odd in
            ["authorize", "authorize?", "authorize/", "authorize?client_id=1%26x", "authorize?x"]
        {
            let reply = site.get(odd, &[HTML]);
            assert!([400, 404].contains(&reply.status), "{odd}: {}", reply.status);
            assert_eq!(reply.header("Location"), None, "{odd}");
        }
        for id in ["0", "-1", "01x", "1.0", "\u{ff11}", "9223372036854775808", "1 OR 1=1"] {
            let reply = site.get(&path(&[("client_id", id)]), &[]);
            assert_eq!(reply.refusal(), (400, 26), "{id}");
        }
        assert_eq!(validations(site), rows);
        told(site, &["--messages-per-day=1000", REDIRECT_URI]);
        under(site, || {
            let mut crowd = site.connect();
            for _ in 0..200 {
                crowd.send(request("GET", &path(&[("client_id", "99")]), &[], b""));
                assert_eq!(crowd.reply().unwrap().status, 404);
            }
        });
        prove(site);
    });
}
