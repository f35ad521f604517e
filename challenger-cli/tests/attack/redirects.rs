//! Where a browser is sent after a proof, or by somebody who stops: to the registered URI, with
//! nothing but code or error, state and issuer.

use challenger_testkit::{Reply, code_of, escape, unescape, wrong};

use crate::grants::{ADA, HTML, token};
use crate::harness::{authorize, everywhere};
use crate::site::{ISS, REDIRECT_URI, SECRET, stderr, stdout};

/// URIs that look almost like the registered one.
pub const ELSEWHERE: [&str; 45] = [
    "https://mallory.example/",
    "https://client.example/callback",
    "https://client.example/callback?shop=2",
    "https://client.example/callback?shop=1&x=2",
    "https://client.example/callback?shop=1#x",
    "https://client.example/callback?shop=1#",
    "https://client.example/callback/?shop=1",
    "https://client.example/callback?Shop=1",
    "https://client.example/callback%3Fshop=1",
    "https://client.example/%63allback?shop=1",
    "https://client.example/./callback?shop=1",
    "https://client.example/x/../callback?shop=1",
    "https://client.example//callback?shop=1",
    "https://client.example/callback;x?shop=1",
    "https://client.example:443/callback?shop=1",
    "https://client.example:8443/callback?shop=1",
    "https://client.example:/callback?shop=1",
    "https://client.example./callback?shop=1",
    "https://Client.example/callback?shop=1",
    "https://x.client.example/callback?shop=1",
    "https://client.example.mallory.example/callback?shop=1",
    "https://user@client.example/callback?shop=1",
    "https://client.example@mallory.example/callback?shop=1",
    "https://client.example\\@mallory.example/callback?shop=1",
    "https://mallory.example\\client.example/callback?shop=1",
    "https://mallory.example/https://client.example/callback?shop=1",
    "https://mallory.example#client.example/callback?shop=1",
    "https://\u{441}lient.example/callback?shop=1",
    "https://client\u{3002}example/callback?shop=1",
    "https:client.example/callback?shop=1",
    "https:/client.example/callback?shop=1",
    "https:///client.example/callback?shop=1",
    "//client.example/callback?shop=1",
    "HTTPS://client.example/callback?shop=1",
    "http://client.example/callback?shop=1",
    " https://client.example/callback?shop=1",
    "https://client.example/callback?shop=1 ",
    "https://client.example/callback?shop=1\n",
    "https://client.example/callback?shop=1\r\nLocation: https://mallory.example/",
    "\thttps://client.example/callback?shop=1",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "client.example",
    "*",
    "https://*/callback?shop=1",
];

#[test]
fn redirects_lead_to_the_registered_uri_and_nowhere_else() {
    everywhere("", |site| {
        let nonce = site.setup();
        for uri in ELSEWHERE {
            let path = format!("{}&redirect_uri={}&state=x", authorize(&nonce), escape(uri));
            for reply in [
                site.get(&path, &[]),
                site.post(&path, &[], ""),
                site.get(&path, &[HTML]),
                site.post(&path, &[HTML], ""),
            ] {
                assert_eq!(reply.status, 400, "{uri:?}");
                assert_eq!(reply.header("Location"), None, "{uri:?}");
                assert!(!reply.body.contains("mallory"), "{uri:?}: {}", reply.body);
            }
            assert_eq!(site.get(&path, &[]).refusal(), (400, 9751), "{uri:?}");
        }
        let twice = format!("{0}&redirect_uri={1}&redirect_uri={1}", authorize(&nonce), "x");
        assert_eq!(site.get(&twice, &[]).refusal(), (400, 26));
        // In the body it means nothing: the request is in the query.
        let body = format!("redirect_uri={}", escape("https://mallory.example/"));
        assert_eq!(site.post(&authorize(&nonce), &[], body).status, 200);
        assert_eq!(site.challenge(&nonce, ADA).status, 200);
        let body = format!("pin={}&redirect_uri=https://mallory.example/", site.pin(ADA));
        let solved = site.post(&format!("solve/{nonce}?redirect_uri=//mallory"), &[], body);
        let location = solved.header("Location").unwrap();
        assert!(location.starts_with(&format!("{REDIRECT_URI}&code=")), "{location}");
        let code = code_of(location);
        for uri in ELSEWHERE {
            assert_eq!(token(site, &code, &[("redirect_uri", uri)]).refusal(), (401, 9751));
        }
        assert_eq!(token(site, &code, &[]).status, 200, "none of them spent it");
    });
}

#[test]
fn no_parameter_writes_a_header_or_another_parameter() {
    let long = "\u{20ac}".repeat(400);
    let values = [
        "x\r\nSet-Cookie: evil=1",
        "x\r\n\r\n<script>alert(1)</script>",
        "x\nX: y",
        "x\rX: y",
        "\u{560a}\u{560d}Set-Cookie: evil=1",
        "\u{85}\u{2028}\u{2029}",
        "x&code=forged",
        "x#fragment",
        "x;code=forged",
        "x?code=forged",
        "%0d%0aSet-Cookie: evil=1",
        "a+b c%20d",
        "\"><script>",
        "\u{202e}\u{feff}\u{1f600}",
        &long,
    ];
    everywhere("", |site| {
        for (number, value) in values.into_iter().enumerate() {
            let email = format!("ada{number}@example.com");
            let nonce = site.setup();
            let parameters = ["state", "scope"].map(|name| format!("{name}={}", escape(value)));
            let path = format!("{}&{}", authorize(&nonce), parameters.join("&"));
            assert_eq!(site.get(&path, &[]).status, 200, "{value:?}");
            assert_eq!(site.challenge(&nonce, &email).status, 200);
            let pin = site.pin(&email);
            let solved = site.post(&format!("solve/{nonce}"), &[], format!("pin={pin}"));
            assert_eq!(solved.status, 302);
            let location = solved.header("Location").unwrap();
            let (before, state) = location.rsplit_once("&state=").unwrap();
            let state = state.strip_suffix(ISS).unwrap();
            assert_eq!(before, format!("{REDIRECT_URI}&code={}", code_of(location)));
            assert!(state.bytes().all(|it| it.is_ascii_alphanumeric() || b"%-._~".contains(&it)));
            assert_eq!(unescape(state), value);
            assert_eq!(solved.header("Set-Cookie"), None);
            let names: Vec<&str> = solved.headers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names.len(), 10, "{names:?}");
        }
    });
}

#[test]
fn a_state_as_long_as_may_be_comes_back() {
    everywhere("", |site| {
        let nonce = site.setup();
        // In an answer, each of these takes three bytes.
        let state = "!".repeat(8000);
        let path = format!("{}&state={state}", authorize(&nonce));
        assert_eq!(site.get(&path, &[HTML]).status, 200);
        assert_eq!(site.challenge(&nonce, ADA).status, 200);
        let body = format!("pin={}", site.pin(ADA));
        let page = site.post(&format!("solve/{nonce}"), &[], format!("pin={}", wrong(&body[4..])));
        assert_eq!(page.status, 403);
        let solved = site.post(&format!("solve/{nonce}"), &[], body);
        let (_, found) = solved.header("Location").unwrap().rsplit_once("&state=").unwrap();
        assert_eq!(unescape(found.strip_suffix(ISS).unwrap()), state);
        let longer = format!("{}&state={state}{state}", authorize(&nonce));
        assert_eq!(site.get(&longer, &[]).refusal(), (414, 31));
    });
}

/// Where the links of a page lead that leave the service, as a browser reads them.
fn ways_out(page: &Reply) -> Vec<String> {
    let links = page.body.split("<a ").skip(1).map(|tag| {
        let (_, rest) = tag.split_once("href=\"").unwrap();
        let href = rest.split('"').next().unwrap();
        href.replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
    });
    links.filter(|href| !href.starts_with("../")).collect()
}

/// The only way out of the page leads to the registered URI, with this state.
fn leads_back(page: &Reply, state: &str) {
    let ways = ways_out(page);
    let back = format!("{REDIRECT_URI}&error=access_denied&state=");
    let found = ways.first().and_then(|it| it.strip_prefix(&back)).unwrap_or_default();
    let (found, issuer) = found.split_once('&').unwrap_or((found, ""));
    assert_eq!(ways.len(), 1, "{ways:?}: {}", page.body);
    assert!(["", "iss=https%3A%2F%2Fchallenger.example"].contains(&issuer), "{ways:?}");
    assert!(found.bytes().all(|it| it.is_ascii_alphanumeric() || b"%-._~".contains(&it)));
    assert_eq!(unescape(found), state, "{ways:?}");
}

#[test]
fn the_way_back_leads_to_the_registered_uri_and_nowhere_else() {
    let evil = "https://mallory.example/";
    let headers = [
        HTML,
        ("Origin", "https://mallory.example"),
        ("Referer", evil),
        ("Forwarded", "host=mallory.example;proto=https"),
        ("X-Forwarded-Host", "mallory.example"),
    ];
    let names = ["cancel_url", "home_url", "back_url", "change_url", "client", "iss", "error"];
    let more: Vec<String> = names.iter().map(|it| format!("{it}={}", escape(evil))).collect();
    let more = more.join("&");
    everywhere("ADDRESS_MESSAGES = 2\nRETRANSMISSION_INTERVAL = 0 s", |site| {
        let nonce = site.setup();
        let is_good = |status: u16, page: Reply| {
            assert_eq!(page.status, status, "{}", page.body);
            assert!(!page.body.contains("mallory"), "{}", page.body);
            leads_back(&page, "x");
        };
        is_good(200, site.get(&format!("{}&state=x&{more}", authorize(&nonce)), &headers));
        let to = |step: &str| format!("{step}/{nonce}?{more}");
        let mut peer = site.connect();
        let head = format!("GET /{} HTTP/1.1\r\nAccept: text/html\r\n", to("authorize"));
        assert!(peer.send(format!("{head}Host: mallory.example\r\n\r\n")));
        is_good(200, peer.reply().unwrap());
        // In the body of a form, nothing but the form's own fields counts.
        let ada = format!("CONTACT_EMAIL={}", escape(ADA));
        is_good(200, site.post(&to("challenge"), &headers, &ada));
        is_good(400, site.post(&to("solve"), &headers, format!("pin=1&{more}")));
        let code = wrong(&site.pin(ADA));
        is_good(403, site.post(&to("solve"), &headers, format!("pin={code}&{more}")));
        is_good(200, site.post(&to("challenge"), &headers, &ada));
        is_good(429, site.post(&to("challenge"), &headers, &ada));
        // Neither a foreign nonce nor a foreign client leads anywhere.
        let unknown = "0".repeat(52);
        for path in [authorize(&unknown), authorize(&nonce).replace("id=1", "id=2")] {
            let page = site.get(&format!("{path}&{more}"), &headers);
            assert_eq!((page.status, ways_out(&page)), (404, Vec::new()), "{}", page.body);
        }
        let page = site.post(&format!("challenge/{unknown}"), &headers, &ada);
        assert_eq!((page.status, ways_out(&page)), (404, Vec::new()), "{}", page.body);
    });
}

#[test]
fn no_state_leads_elsewhere_or_out_of_the_link() {
    let long = "\"><a href=//mallory.example>".repeat(150);
    let states = [
        "\"><a href=\"https://mallory.example/\">",
        "' onclick='alert(1)",
        "x\r\nLocation: https://mallory.example/\r\n\r\n",
        "javascript:alert(1)",
        "&error=none&code=forged&iss=https://mallory.example",
        "&amp;quot;&#34;&#x22;",
        "#x?y\\z",
        "{{nonce}}{{{cancel_url}}}",
        "\u{202e}\u{2028}\u{feff}\u{1f600}",
        "",
        &long,
    ];
    everywhere("", |site| {
        for (number, state) in states.into_iter().enumerate() {
            let nonce = site.setup();
            let path = format!("{}&state={}", authorize(&nonce), escape(state));
            leads_back(&site.get(&path, &[HTML]), state);
            let form = format!("CONTACT_EMAIL=ada{number}%40example.com");
            leads_back(&site.post(&format!("challenge/{nonce}"), &[HTML], form), state);
            leads_back(&site.post(&format!("solve/{nonce}"), &[HTML], "pin=1"), state);
        }
    });
}

#[test]
fn an_app_is_not_called_by_a_host_it_has_not() {
    everywhere("", |site| {
        let uri = "com.evil.app://accounts.google.com/cb";
        let added = site.run("challenger-admin", &["-q", "--add", SECRET, uri]);
        assert!(added.status.success(), "{}", stderr(&added));
        let id = stdout(&added);
        let bearer = format!("Bearer {SECRET}");
        let bearer = [("Authorization", bearer.as_str())];
        let reply = site.post(&format!("setup/{}", id.trim()), &bearer, "");
        let nonce = reply.json()["nonce"].as_str().unwrap().to_owned();
        let path = format!("authorize/{nonce}?response_type=code&client_id={}", id.trim());
        let email = format!("evil{}@example.com", id.trim());
        let body = format!("CONTACT_EMAIL={}", escape(&email));
        for page in
            [site.get(&path, &[HTML]), site.post(&format!("challenge/{nonce}"), &[HTML], body)]
        {
            assert_eq!(page.status, 200);
            assert!(page.body.contains(" com.evil.app</a>"), "{}", page.body);
            assert!(!page.body.contains(">accounts.google.com"), "{}", page.body);
        }
        let message = site.message(&email).unwrap();
        assert!(message.contains("com.evil.app") && !message.contains("google"), "{message}");
    });
}

#[test]
fn uris_that_mislead_are_not_registered() {
    everywhere("", |site| {
        for (uri, says) in [
            ("com.evil.app://accounts.google.com@x/cb", "names no user"),
            ("https://client.example:65536/cb", "from 1 to 65535"),
            ("https://client.example:0/cb", "from 1 to 65535"),
            ("mailto:ada@example.com", "a scheme of its own"),
            ("INTENT://x#Intent;end", "fragment"),
            ("intent://x/", "a scheme of its own"),
            ("view-source:https://client.example/", "a scheme of its own"),
            ("wss://client.example/", "a scheme of its own"),
            ("https://client.example/cb?shop=1&code=x", "must not have code"),
            ("https://client.example/cb?%73tate=x", "must not have code"),
            ("https://client.example/cb?error=access_denied", "must not have code"),
            ("https://client.example/cb?iss=https://mallory.example/", "must not have code"),
        ] {
            let added = site.run("challenger-admin", &["--add", SECRET, uri]);
            assert!(!added.status.success(), "{uri}");
            assert!(stderr(&added).contains(says), "{uri}: {}", stderr(&added));
        }
    });
}
