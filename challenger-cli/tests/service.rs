//! The service as people and clients meet it: real processes, a real database, a real helper.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::thread;

use challenger_testkit::{at_once, code_of, pin_in, wait_for, wrong};
use serde_json::json;
use site::{ISS, REDIRECT_URI, SECRET, Site};

const ADA: &str = "ada@example.com";
const HTML: [(&str, &str); 1] = [("Accept", "text/html")];

#[test]
fn a_person_proves_an_address_and_a_client_reads_it() {
    let mut site = Site::new("");
    site.start();
    let nonce = site.setup();
    let query = "response_type=code&client_id=1&state=a%20b%26c";
    let status = site.get(&format!("authorize/{nonce}?{query}"), &[]);
    assert_eq!(status.status, 200);
    assert_eq!(status.json()["changes_left"], 3);
    let created = site.challenge(&nonce, ADA);
    assert_eq!(created.status, 200);
    assert_eq!(created.json()["transmitted"], true);
    assert_eq!(created.json()["address"], json!({"CONTACT_EMAIL": ADA}));
    let pin = site.pin(ADA);
    let refused = site.solve(&nonce, &wrong(&pin));
    assert_eq!(refused.refusal(), (403, 9758));
    assert_eq!(refused.json()["auth_attempts_left"], 2);
    let solved = site.solve(&nonce, &pin);
    assert_eq!(solved.status, 200);
    let url = solved.json()["redirect_url"].as_str().unwrap().to_string();
    assert!(url.starts_with(&format!("{REDIRECT_URI}&code=")), "{url}");
    assert!(url.ends_with(&format!("&state=a%20b%26c{ISS}")), "{url}");
    let token = site.token(&code_of(&url));
    assert_eq!(token.status, 200, "{}", token.body);
    assert_eq!(token.header("Cache-Control"), Some("no-store"));
    assert_eq!(token.json()["token_type"], "Bearer");
    let info = site.info(token.json()["access_token"].as_str().unwrap());
    assert_eq!(info.status, 200);
    assert_eq!(info.json()["address"], json!({"CONTACT_EMAIL": ADA}));
    assert_eq!(info.json()["address_type"], "email");
    assert_eq!(site.token(&code_of(&url)).refusal(), (401, 9753));
    site.stop();
}

#[test]
fn the_same_in_a_browser() {
    let mut site = Site::new("");
    site.start();
    let nonce = site.setup();
    let query = "response_type=code&client_id=1&state=s";
    let form = site.get(&format!("authorize/{nonce}?{query}"), &HTML);
    assert_eq!(form.status, 200);
    assert_eq!(form.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(form.header("Content-Language"), Some("en"));
    let policy = form.header("Content-Security-Policy").unwrap();
    assert!(policy.contains("form-action 'self' https:;"), "{policy}");
    assert!(policy.contains("style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert!(form.body.contains(&format!("action=\"../challenge/{nonce}\"")));
    let body = "CONTACT_EMAIL=%3Ci%3E%22%27%40example.com";
    let page = site.post(&format!("challenge/{nonce}"), &HTML, body);
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("&lt;i&gt;"), "the address is escaped: {}", page.body);
    assert!(!page.body.contains("<i>"), "{}", page.body);
    let message = wait_for("a message", || {
        let outbox = std::fs::read_dir(site.directory.path().join("outbox")).unwrap();
        let mut paths = outbox.map(|entry| entry.unwrap().path());
        paths.find(|path| path.extension().is_some_and(|it| it == "message"))
    });
    let pin = pin_in(&std::fs::read_to_string(message).unwrap()).unwrap();
    let solve = |pin: &str| site.post(&format!("solve/{nonce}"), &HTML, format!("pin={pin}"));
    let refused = solve(&wrong(&pin));
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("<form"), "there is a way on: {}", refused.body);
    let solved = solve(&pin);
    assert_eq!(solved.status, 302);
    let location = solved.header("Location").unwrap();
    assert!(location.starts_with(REDIRECT_URI));
    assert_eq!(site.token(&code_of(location)).status, 200);
    let again = solve(&pin);
    assert_eq!((again.status, again.header("Location")), (200, None), "already done");
    site.stop();
}

#[test]
fn sixty_four_wrong_guesses_at_once_are_charged_one_by_one() {
    let mut site = Site::new("PIN_ATTEMPTS = 5");
    site.start();
    let nonce = site.setup();
    site.challenge(&nonce, ADA);
    let pin = wrong(&site.pin(ADA));
    let replies = at_once(64, || site.solve(&nonce, &pin));
    let judged = replies.iter().filter(|reply| reply.json()["exhausted"] == false).count();
    assert_eq!(judged, 5);
    assert!(replies.iter().all(|reply| reply.refusal() == (403, 9758)));
    assert_eq!(site.solve(&nonce, &site.pin(ADA)).json()["exhausted"], true);
    site.stop();
}

#[test]
fn sixty_four_redemptions_at_once_have_one_success() {
    let mut site = Site::new("");
    site.start();
    let (_, code) = site.solved(ADA);
    let replies = at_once(64, || site.token(&code));
    let granted: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(granted.len(), 1);
    let refused = replies.iter().filter(|reply| reply.status != 200);
    assert!(refused.into_iter().all(|reply| reply.refusal() == (401, 9753)));
    // They came at once, which is not a theft.
    assert_eq!(site.info(granted[0].json()["access_token"].as_str().unwrap()).status, 200);
    site.stop();
}

#[test]
fn a_message_that_cannot_be_sent_is_given_back_three_times() {
    let mut site = Site::new("");
    site.set_helper("#!/bin/sh\ncat > /dev/null\necho \"no route to $1\" >&2\nexit 75\n");
    site.start();
    let nonce = site.setup();
    let status = |site: &Site| {
        let query = "response_type=code&client_id=1";
        site.get(&format!("authorize/{nonce}?{query}"), &[]).json()
    };
    for _ in 0..3 {
        let reply = site.challenge(&nonce, ADA);
        assert_eq!(reply.refusal(), (502, 9752));
        assert_eq!(reply.json()["detail"], "the delivery may succeed later: status 75");
        assert_eq!(status(&site)["pin_transmissions_left"], 3);
        assert_eq!(status(&site)["retransmission_time"], json!({"t_s": 0}));
    }
    assert_eq!(site.challenge(&nonce, ADA).refusal(), (502, 9752));
    assert_eq!(status(&site)["pin_transmissions_left"], 2, "the fourth stays charged");
    assert_eq!(site.challenge(&nonce, ADA).json()["transmitted"], false, "and has to wait");
    let told = |log: &str| log.contains("status 75") && log.contains("no route to ***");
    wait_for("the log", || told(&site.log()).then_some(()));
    site.set_helper("#!/no/such/interpreter\n");
    let nonce = site.setup();
    assert_eq!(site.challenge(&nonce, ADA).refusal(), (502, 9752));
    site.stop();
}

#[test]
fn whatever_was_acknowledged_survives_a_kill() {
    let mut site = Site::new("");
    site.start();
    let fresh = site.setup();
    let challenged = site.setup();
    assert_eq!(site.challenge(&challenged, ADA).status, 200);
    let (_, code) = site.solved("bob@example.com");
    let (_, spent) = site.solved("eve@example.com");
    let token = site.token(&spent).json()["access_token"].as_str().unwrap().to_string();
    site.signal("KILL");
    assert_eq!(site.wait(), None);
    site.start();
    assert_eq!(site.challenge(&fresh, "carol@example.com").status, 200);
    assert_eq!(site.solve(&challenged, &site.pin(ADA)).status, 200);
    assert_eq!(site.token(&code).status, 200);
    assert_eq!(site.token(&spent).refusal(), (401, 9753));
    assert_eq!(site.info(&token).json()["address"], json!({"CONTACT_EMAIL": "eve@example.com"}));
    site.stop();
}

#[test]
fn a_signal_to_stop_lets_a_message_out() {
    let mut site = Site::new("");
    site.set_helper(
        "#!/bin/sh\ncat > /dev/null\ntouch \"$(dirname \"$0\")/begun\"\n\
         here=$(dirname \"$0\")\n\
         while [ -e \"$here/begun\" ] && [ ! -e \"$here/go\" ]; do sleep 0.05; done\n",
    );
    site.start();
    let nonce = site.setup();
    let begun = site.directory.path().join("begun");
    thread::scope(|scope| {
        let sending = scope.spawn(|| site.challenge(&nonce, ADA));
        wait_for("the helper to begin", || begun.exists().then_some(()));
        site.signal("TERM");
        wait_for("the server to begin to stop", || site.log().contains("stopping").then_some(()));
        std::fs::write(site.directory.path().join("go"), "").unwrap();
        let reply = sending.join().unwrap();
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json()["transmitted"], true);
    });
    assert_eq!(site.wait(), Some(0), "{}", site.log());
}

#[test]
fn bad_input_gets_a_clear_no_and_nothing_else_suffers() {
    let mut site = Site::new("");
    site.start();
    let nonce = site.setup();
    let bearer = format!("Bearer {SECRET}");
    let auth = [("Authorization", bearer.as_str())];
    let zlib = [("Authorization", bearer.as_str()), ("Content-Encoding", "deflate")];
    let big = vec![b'x'; 65 * 1024];
    let json = [("Accept", "application/json")];
    let setup = "setup/1".to_string();
    let challenge = format!("challenge/{nonce}");
    let solve = format!("solve/{nonce}");
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], (u16, u64));
    let cases: [Case<'_>; 22] = [
        (&setup, &auth, b"{", (400, 22)),
        (&setup, &auth, b"[]", (400, 22)),
        (&setup, &auth, b"\xff", (400, 22)),
        (&setup, &auth, b"{\"read_only\":1}", (400, 26)),
        (&setup, &auth, b"{\"CONTACT_EMAIL\":\"a\\u0000b\"}", (400, 26)),
        (&setup, &zlib, b"not zlib", (400, 28)),
        (&setup, &auth, &big, (413, 32)),
        (&setup, &[], b"", (400, 25)),
        ("setup/1x", &auth, b"", (400, 26)),
        ("setup/99", &auth, b"", (404, 9750)),
        (&challenge, &[], b"CONTACT_EMAIL=%zz", (400, 26)),
        (&challenge, &[], b"CONTACT_EMAIL=%ff", (400, 26)),
        (&challenge, &[], b"CONTACT_EMAIL=a%00b", (400, 26)),
        (&challenge, &[], b"CONTACT_EMAIL=a&CONTACT_EMAIL=b", (400, 26)),
        (&challenge, &[], b"", (400, 25)),
        (&challenge, &[], b"SHOE_SIZE=42", (400, 26)),
        ("challenge/wild", &[], b"CONTACT_EMAIL=a", (404, 9755)),
        ("challenge/%00%ff", &[], b"CONTACT_EMAIL=a", (404, 9755)),
        (&solve, &json, b"pin=1234567", (400, 26)),
        (&solve, &json, b"", (400, 25)),
        ("nowhere", &[], b"", (404, 21)),
        ("config", &[], b"", (405, 20)),
    ];
    for (path, headers, body, expected) in cases {
        let reply = site.post(path, headers, body);
        assert_eq!(reply.refusal(), expected, "{path} {:?}", String::from_utf8_lossy(body));
    }
    for token in ["x", "%00", &"0".repeat(52), "a b", "Ω"] {
        let reply = site.get("info", &[("Authorization", &format!("Bearer {}", percent(token)))]);
        assert!(matches!(reply.status, 403 | 404), "{token}");
        assert!(reply.json()["error"].is_string() && reply.json()["error_description"].is_string());
    }
    let token = site.post("token", &[], "grant_type=authorization_code");
    assert_eq!(token.refusal(), (400, 25));
    assert_eq!(token.json()["error"], "invalid_request");
    let status = site.get(&format!("authorize/{nonce}?response_type=code&client_id=1"), &[]);
    assert_eq!(status.json()["changes_left"], 3, "nothing was charged");
    let log = site.log();
    assert!(!log.contains("panicked") && !log.contains(" bug "), "{log}");
    site.stop();
}

#[test]
fn a_message_is_in_the_language_of_who_asks_and_the_helper_knows_its_settings() {
    let mut site = Site::new("[challenger-helper]\nsmtp_password = hunter2-hunter2");
    site.remember("hunter2-hunter2");
    site.set_helper(
        "#!/bin/sh\nexec >\"$(dirname \"$0\")/told\"\n\
         echo \"$CHALLENGER_LANGUAGE|$CHALLENGER_SUBJECT|$SMTP_PASSWORD\"\n\
         cat\necho \"login failed: $SMTP_PASSWORD\" >&2\nexit 1\n",
    );
    site.start();
    let nonce = site.setup();
    for (accepted, subject, reference) in [
        ("de-CH, fr;q=0.9", "de|Ihr Code für client.example (Referenz ", "\n\nReferenz: "),
        ("it", "it|Il Suo codice per client.example (riferimento ", "\n\nRiferimento: "),
        ("ja", "en|Your code for client.example (reference ", "\n\nReference: "),
    ] {
        let headers = [("Accept", "text/html"), ("Accept-Language", accepted)];
        let body = format!("CONTACT_EMAIL={}", percent(ADA));
        let page = site.post(&format!("challenge/{nonce}"), &headers, &body);
        assert_eq!(page.status, 502);
        assert_eq!(page.header("Content-Language"), subject.split('|').next());
        let told = std::fs::read_to_string(site.directory.path().join("told")).unwrap();
        let (first, message) = told.split_once('\n').unwrap();
        let (_, after) = message.split_once(reference).unwrap();
        let six = after.lines().next().unwrap();
        assert_eq!(first, format!("{subject}{six})|hunter2-hunter2"));
    }
    site.stop();
    assert!(site.log().contains("said=\"login failed: ***\""), "{}", site.log());
}

#[test]
fn an_sms_ends_with_the_code_for_the_browser() {
    let snippet = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/address-types/phone.conf");
    let mut site = Site::new(&format!("@inline@ {snippet}"));
    site.start();
    let nonce = site.setup();
    let phone = |number: &str| {
        site.post(&format!("challenge/{nonce}"), &[], format!("CONTACT_PHONE={number}"))
    };
    assert_eq!(phone("0791234567").refusal(), (400, 26));
    assert_eq!(phone("%2B41791234567").status, 200);
    let [message] = &site.messages()[..] else { panic!("{:?}", site.messages()) };
    let pin = pin_in(message).unwrap();
    assert!(message.ends_with(&format!("\n\n@challenger.example #{pin}")), "{message}");
    assert!(message.contains("client.example") && message.len() <= 160, "{message}");
    assert_eq!(site.solve(&nonce, &pin).status, 200);
    site.stop();
}

#[test]
fn each_event_is_a_line_of_keys_and_values() {
    let mut site = Site::new("");
    site.start();
    let (nonce, _) = site.solved(ADA);
    site.solve(&nonce, "1234");
    site.stop();
    let log = site.log();
    for expected in [
        " INFO serving place=127.0.0.1:",
        " INFO request method=POST route=/setup/$CLIENT_ID status=200 ms=",
        " INFO message program=",
        " INFO request method=POST route=/challenge/$NONCE status=200 ms=",
        " INFO request method=POST route=/solve/$NONCE status=400 refusal=ParameterMalformed ms=",
        " INFO stopping\n",
    ] {
        assert!(log.contains(expected), "{expected} in {log}");
    }
}

#[test]
fn logs_tell_no_secrets() {
    let mut site = Site::new("");
    site.start();
    let (nonce, code) = site.solved(ADA);
    let token = site.token(&code).json()["access_token"].as_str().unwrap().to_string();
    site.info(&token);
    site.get(&format!("authorize/{nonce}?response_type=code&client_id=1&state=hush-hush"), &[]);
    site.set_helper("#!/bin/sh\ncat\necho \"$1\"\nexit 1\n");
    let leaky = site.setup();
    site.challenge(&leaky, "leaky@example.com");
    site.stop();
    let log = site.log();
    assert!(log.contains("/solve/$NONCE") && log.contains("status 1"), "{log}");
    let pin = site.pin(ADA);
    let spelled = format!("{}-{}", &pin[..4], &pin[4..]);
    let secrets =
        [&nonce, &leaky, &code, &token, &pin, &spelled, "ada@", "leaky@", SECRET, "hush-hush"];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    assert!(pin_in(&log).is_none(), "a PIN in {log}");
}

#[test]
fn no_secret_is_in_the_database() {
    let mut site = Site::new("");
    site.start();
    let (nonce, code) = site.solved(ADA);
    let token = site.token(&code).json()["access_token"].as_str().unwrap().to_string();
    let pin = site.pin(ADA);
    site.stop();
    let data = site.directory.path().join("data");
    let files = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let bytes: Vec<u8> = files.flat_map(|file| std::fs::read(file).unwrap()).collect();
    let (_, proof) = code.split_once('-').unwrap();
    for secret in [nonce.as_str(), proof, &token, &pin, SECRET] {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret}");
    }
    assert!(bytes.windows(ADA.len()).any(|window| window == ADA.as_bytes()), "the right files");
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_graphic() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
