//! Addresses that are no addresses, but something for a shell, a program or a screen.

use std::fs;

use crate::harness::{authorize, everywhere, prove};
use crate::site::{Site, escape, request};

/// Tells how many arguments there were, and what the first was, to the byte.
const TELLING: &str = "#!/bin/sh\ncat >/dev/null\nfolder=$(dirname \"$0\")\n\
                       printf '%s\\n' \"$#\" >\"$folder/count\"\n\
                       printf '%s' \"$1\" >\"$folder/argument\"\n";

const TRICKS: [&str; 26] = [
    "$(touch pwned)@example.com",
    "`touch pwned`@example.com",
    "${HOME}@example.com",
    "a@example.com; touch pwned",
    "a@example.com | touch pwned",
    "a@example.com && touch pwned",
    "a@example.com > pwned",
    "* ? [a-z] ~",
    "'; touch pwned; '",
    "\"; touch pwned; \"",
    "\\\"; touch pwned; \\\"",
    "\\",
    "a@example.com -oX/tmp/pwned",
    "@/etc/passwd",
    "../../../../etc/passwd",
    "%s%s%s%n",
    "a@example.com\u{202e}moc.live",
    "\u{200b}a@example.com",
    "a@example.com\u{feff}",
    "a\u{301}\u{301}\u{301}@example.com",
    "\u{1f468}\u{200d}\u{1f469}@example.com",
    "{\"CONTACT_EMAIL\":\"b@example.com\"}",
    "{{pin}}{{{nonce}}}{{#host}}",
    "<script>alert(1)</script>@example.com",
    "a@example.com,b@example.com",
    "a@[127.0.0.1]:25",
];

fn challenge(site: &Site, nonce: &str, value: &str) -> (u16, String) {
    let body = format!("CONTACT_EMAIL={}", escape(value));
    let reply = site.post(&format!("challenge/{nonce}"), &[], body);
    (reply.status, reply.body)
}

#[test]
fn an_address_is_one_argument_whatever_is_in_it() {
    everywhere("", |site| {
        site.set_helper(TELLING);
        let read = |name: &str| fs::read_to_string(site.directory.path().join(name)).unwrap();
        for value in TRICKS.into_iter().chain(["-rf", "--help", "-"]) {
            site.remember(value);
            let (status, body) = challenge(site, &site.setup(), value);
            assert_eq!(status, 200, "{value}: {body}");
            assert_eq!(read("count"), "1\n", "{value}");
            let expected = serde_json::json!({"CONTACT_EMAIL": value}).to_string();
            assert_eq!(read("argument"), expected);
        }
        assert!(!site.directory.path().join("pwned").exists());
    });
}

#[test]
fn a_plain_address_is_no_option() {
    everywhere("AUTH_ADDRESS_FORMAT = plain", |site| {
        site.set_helper(TELLING);
        let read = |name: &str| fs::read_to_string(site.directory.path().join(name)).unwrap();
        for value in TRICKS {
            let (status, body) = challenge(site, &site.setup(), value);
            assert_eq!(status, 200, "{value}: {body}");
            assert_eq!((read("count").as_str(), read("argument").as_str()), ("1\n", value));
        }
        fs::remove_file(site.directory.path().join("argument")).unwrap();
        for value in ["-rf", "--help", "-", "--", "  -rf", "\t-rf", "\r\n-rf", "\u{a0}-rf"] {
            let (status, body) = challenge(site, &site.setup(), value);
            assert_eq!(status, 400, "{value}: {body}");
        }
        assert!(!site.directory.path().join("argument").exists());
    });
}

#[test]
fn addresses_that_break_lines_or_limits_are_refused_and_cost_nothing() {
    let (fits, too_long) = ("x".repeat(2048), "x".repeat(2049));
    let odd = [
        "a@example.com\nBcc: everybody@example.com",
        "a@example.com\r\nBcc: everybody@example.com",
        "a@example.com\rBcc: everybody@example.com",
        "a@example.com\n\nHello",
        "a@example.com\0",
        "\0",
        "",
        " \t\r\n ",
        &too_long,
    ];
    everywhere("", |site| {
        let nonce = site.setup();
        for value in odd {
            let (status, body) = challenge(site, &nonce, value);
            assert_eq!(status, 400, "{value:.40?}: {body:.200}");
        }
        for body in ["", "SHOE_SIZE=42", "CONTACT_EMAIL[]=a", "CONTACT_EMAIL=a&CONTACT_PHONE=1"] {
            let reply = site.post(&format!("challenge/{nonce}"), &[], body);
            assert_eq!(reply.status, 400, "{body}");
        }
        // 64 KiB are a body, but no address; more are not even a body.
        let huge = "x".repeat(65_000);
        let reply = site.post(&format!("challenge/{nonce}"), &[], format!("CONTACT_EMAIL={huge}"));
        assert_eq!(reply.refusal(), (400, 26));
        let mut peer = site.connect();
        let body = format!("CONTACT_EMAIL={huge}{huge}");
        peer.send(request("POST", &format!("challenge/{nonce}"), &[], body.as_bytes()));
        assert!(peer.reply().is_none_or(|reply| reply.refusal() == (413, 32)));
        let status = site.get(&authorize(&nonce), &[]).json();
        assert_eq!(status["changes_left"], 3);
        assert!(site.messages().is_empty());
        assert_eq!(challenge(site, &nonce, &fits).0, 200);
        prove(site);
    });
}

#[test]
fn restrictions_are_not_got_around() {
    let restrictions = "ADDRESS_RESTRICTIONS = {\"CONTACT_EMAIL\":{\"regex\":\
                        \"^[a-z]+@example[.]com$\",\"hint\":\"ours\"}}";
    everywhere(restrictions, |site| {
        let nonce = site.setup();
        for value in [
            "ada@example.com.evil.example",
            "ada@example.com\n",
            "ada@example.com\nx",
            "x\nada@example.com",
            "ADA@example.com",
            "ada@exampleXcom",
            "ada@example.com\u{2028}",
            "\u{ff41}da@example.com",
            "ada@example.com,eve@evil.example",
        ] {
            let (status, body) = challenge(site, &nonce, value);
            // A line break at the end is but a blank.
            assert_eq!(status, if value.trim() == "ada@example.com" { 200 } else { 400 }, "{body}");
        }
        // What a client proposes is judged all the same.
        let bearer = format!("Bearer {}", crate::site::SECRET);
        let proposal = "{\"CONTACT_EMAIL\":\"eve@evil.example\",\"read_only\":true}";
        let reply = site.post("setup/1", &[("Authorization", &bearer)], proposal);
        let nonce = reply.json()["nonce"].as_str().unwrap().to_owned();
        assert_eq!(challenge(site, &nonce, "eve@evil.example").0, 400);
        assert_eq!(challenge(site, &nonce, "ada@example.com").0, 403, "it cannot be changed");
    });
}
