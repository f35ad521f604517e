//! Budgets across validations: bombing one address, guessing at it, and taking from others
//! what is theirs.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use challenger_proto::address::Address;
use challenger_proto::store::Account;
use challenger_testkit::{Reply, at_once, escape, pin_in, wait_for, wrong};
use serde_json::Value;

use crate::harness::{authorize, everywhere, prove};
use crate::site::{DELIVER, SECRET, Site, stderr, stdout};

const ADA: &str = "ada@example.com";
const JSON: [(&str, &str); 1] = [("Accept", "application/json")];
const HTML: [(&str, &str); 1] = [("Accept", "text/html")];

/// Ada's mailbox, as those write it who want more of it.
const SPELLINGS: [&str; 10] = [
    "ada@example.com",
    "ADA@Example.COM",
    "ada%2B1@example.com",
    "ada%2Bshop%2B2@example.com.",
    "a.d.a@example.com",
    "%22ada%22@example.com",
    "%22ada%2Bx%22@example.com",
    "a%E2%80%8Bda@exam%C2%ADple.com",
    "mailto:ada@example.com",
    "%EF%BB%BFada@%EF%BD%85xample%E3%80%82com",
];

/// Registers another client, and returns its number.
fn another_client(site: &Site, uri: &str) -> String {
    let output = site.run("challenger-admin", &["--add", SECRET, "-q", uri]);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).trim().to_owned()
}

fn setup_as(site: &Site, client: &str) -> String {
    let bearer = format!("Bearer {SECRET}");
    let reply = site.post(&format!("setup/{client}"), &[("Authorization", &bearer)], "");
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.member("nonce").unwrap()
}

/// What `challenger-admin` knows to be spent, by the account's name.
pub fn spent(site: &Site, account: &str) -> u64 {
    let output = site.run("challenger-admin", &["--budgets", "--json"]);
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let budgets = json["budgets"].as_array().unwrap();
    let of = budgets.iter().find(|it| it["budget"] == account);
    of.unwrap_or_else(|| panic!("{account} in {json}"))["spent"].as_u64().unwrap()
}

pub fn is_over(reply: &Reply) -> bool {
    let refused = reply.refusal() == (429, 9757);
    assert!(refused || reply.json()["transmitted"] == true, "{}: {}", reply.status, reply.body);
    refused
}

/// Guesses wrong as long as guesses are judged, and returns how often.
fn guess(site: &Site, nonce: &str) -> usize {
    // Nobody has this code by chance in the life of a test.
    let judged = || site.solve(nonce, "00000000").json()["exhausted"] == false;
    (0..20).take_while(|_| judged()).count()
}

#[test]
fn many_validations_clients_and_spellings_bomb_nobody_beyond_the_budget() {
    everywhere("ADDRESS_MESSAGES = 4", |site| {
        let clients = ["1".to_owned(), another_client(site, "https://other.example/")];
        let turn = AtomicUsize::new(0);
        let refused = at_once(2 * SPELLINGS.len(), || {
            let turn = turn.fetch_add(1, Ordering::SeqCst);
            let nonce = setup_as(site, &clients[turn % 2]);
            is_over(&site.challenge(&nonce, SPELLINGS[turn / 2]))
        });
        assert_eq!(refused.iter().filter(|it| !**it).count(), 4);
        assert_eq!(site.messages().len(), 4);
        // Nor does another form of the request help, nor what a client proposes.
        let nonce = site.setup();
        let path = format!("challenge/{nonce}");
        for headers in [&JSON[..], &HTML, &[], &[("Accept-Language", "fr")]] {
            let reply = site.post(&path, headers, "CONTACT_EMAIL=ada@example.com");
            assert_eq!(reply.status, 429, "{}", reply.body);
            let seconds: u64 = reply.header("Retry-After").unwrap().parse().unwrap();
            assert!((1..=86_400).contains(&seconds), "{seconds}");
        }
        for body in
            ["CONTACT_EMAIL=ada@example.com&budget_seen=0.0.0", "CONTACT_EMAIL=%61DA@example.com"]
        {
            assert_eq!(site.post(&path, &JSON, body).refusal(), (429, 9757));
        }
        assert!(site.get(&path, &HTML).status >= 400);
        let bearer = format!("Bearer {SECRET}");
        let proposal = "{\"CONTACT_EMAIL\":\"ada@example.com\",\"read_only\":true}";
        let reply = site.post("setup/1", &[("Authorization", &bearer)], proposal);
        let proposed = reply.member("nonce").unwrap();
        assert_eq!(site.challenge(&proposed, ADA).refusal(), (429, 9757));
        // The refusals cost nothing: the validation has all that it had.
        let status = site.get(&authorize(&nonce), &[]).json();
        assert_eq!(status["changes_left"], 3, "{status}");
        assert_eq!(site.messages().len(), 4);
        prove(site);
    });
}

#[test]
fn guesses_at_an_address_end_with_its_messages_in_all_validations_together() {
    everywhere("ADDRESS_MESSAGES = 3\nRETRANSMISSION_INTERVAL = 0 s", |site| {
        let judged = at_once(12, || {
            let nonce = site.setup();
            let mut judged = 0;
            for spelling in SPELLINGS {
                if !is_over_or_too_many(&site.challenge(&nonce, spelling)) {
                    judged += guess(site, &nonce);
                }
            }
            judged
        });
        assert_eq!((judged.iter().sum::<usize>(), site.messages().len()), (9, 3));
        prove(site);
    });
}

/// Also when the validation has no changes left.
fn is_over_or_too_many(reply: &Reply) -> bool {
    reply.refusal() == (429, 9757) || reply.json()["transmitted"] == false
}

#[test]
fn a_helper_that_delivers_and_then_fails_brings_no_guesses() {
    let options = "ADDRESS_MESSAGES = 2\nRETRANSMISSION_INTERVAL = 0 s\nAUTH_TIMEOUT = 1 s\n\
                   SERVICE_MESSAGES = 1000\nVALIDATIONS_MAX = 100";
    everywhere(options, |site| {
        for (number, end) in
            ["exit 1", "exit 67", "exit 68", "exit 75", "exit 78", "kill -9 $$", "sleep 60"]
                .into_iter()
                .enumerate()
        {
            site.set_helper(&format!("{DELIVER}{end}\n"));
            let address = format!("victim{number}@example.com");
            let delivered = site.messages().len();
            let mut judged = 0;
            for _ in 0..3 {
                let nonce = site.setup();
                // As many as a validation refunds.
                for _ in 0..3 {
                    let reply = site.challenge(&nonce, &address);
                    assert_eq!(reply.status, 502, "{end}: {}", reply.body);
                    judged += guess(site, &nonce);
                }
                // Even with the message in hand.
                let pin = pin_in(&site.message(&address).unwrap()).unwrap();
                assert_eq!(site.solve(&nonce, &pin).json()["exhausted"], true, "{end}");
            }
            assert_eq!((judged, site.messages().len() - delivered), (0, 9), "{end}");
            // What is not refunded any more is charged, and then the budget ends.
            let nonce = site.setup();
            let replies: Vec<u16> =
                (0..6).map(|_| site.challenge(&nonce, &address).status).collect();
            assert_eq!(replies, [502, 502, 502, 502, 502, 429], "{end}");
            assert!(guess(site, &nonce) <= 3);
            assert_eq!(spent(site, "service"), 2 * (number as u64 + 1), "{end}");
        }
        site.set_helper(DELIVER);
        prove(site);
    });
}

/// A helper that delivers, waits until there is a file `go`, and fails.
fn slow_failure() -> String {
    format!(
        "{DELIVER}here=$(dirname \"$0\")\necho >>\"$here/begun\"\n\
         while [ ! -e \"$here/go\" ]; do sleep 0.02; done\nexit 1\n"
    )
}

/// Waits until so many helpers have begun.
fn wait_for_helpers(site: &Site, count: usize) {
    let begun = site.directory.path().join("begun");
    let is_there = || fs::read_to_string(&begun).is_ok_and(|it| it.len() == count);
    wait_for("helpers to begin", || is_there().then_some(()));
}

#[test]
fn refunds_that_race_guesses_and_each_other_give_back_each_message_once() {
    let options = "ADDRESS_MESSAGES = 50\nSERVICE_MESSAGES = 100\nRETRANSMISSION_INTERVAL = 0 s\n\
                   HELPERS_MAX = 32";
    everywhere(options, |site| {
        site.set_helper(&slow_failure());
        let guessed = site.setup();
        let others: Vec<String> = (0..4).map(|_| site.setup()).collect();
        thread::scope(|scope| {
            for nonce in others.iter().chain([&guessed]) {
                scope.spawn(move || assert_eq!(site.challenge(nonce, ADA).status, 502));
            }
            wait_for_helpers(site, 5);
            assert_eq!(spent(site, "service"), 5);
            // A message with a guess is used.
            assert_eq!(site.solve(&guessed, "00000000").refusal(), (403, 9758));
            fs::write(site.directory.path().join("go"), "").unwrap();
        });
        let left = |nonce: &str| {
            let status = site.get(&authorize(nonce), &[]).json();
            3 - status["pin_transmissions_left"].as_u64().unwrap()
        };
        assert_eq!(left(&guessed), 1);
        assert!(others.iter().all(|nonce| left(nonce) == 0));
        assert_eq!(spent(site, "service"), 1);
        // One validation asks and fails many times at once, to two addresses by turns.
        let raced = site.setup();
        let turn = AtomicUsize::new(0);
        at_once(8, || {
            let turn = turn.fetch_add(1, Ordering::SeqCst);
            let address = if turn.is_multiple_of(2) { ADA } else { "eve@example.com" };
            assert_ne!(site.challenge(&raced, address).status, 500);
            site.solve(&raced, "00000000")
        });
        // Now guesses are over, whatever was charged.
        guess(site, &raced);
        let before = spent(site, "service");
        site.set_helper(DELIVER);
        let sent = (0..20_u8).filter(|turn| {
            let address = if turn.is_multiple_of(2) { ADA } else { "eve@example.com" };
            let sent = site.challenge(&raced, address).json()["transmitted"] == true;
            sent && guess(site, &raced) <= 3
        });
        let sent = u64::try_from(sent.count()).unwrap();
        assert_eq!(spent(site, "service"), before + sent);
        // The address and its three changes allow nine messages, however many were refunded.
        assert!(before + sent <= 1 + 9, "{before} and {sent}");
        prove(site);
    });
}

#[test]
fn the_strangers_of_one_client_use_up_no_others_budget() {
    everywhere("", |site| {
        let other = another_client(site, "https://other.example/");
        let limit = ["--messages-per-day=2", crate::site::REDIRECT_URI];
        assert!(site.run("challenger-admin", &limit).status.success());
        let refused = (0..10).filter(|number| {
            is_over(&site.challenge(&site.setup(), &format!("stranger{number}@example.com")))
        });
        assert_eq!(refused.count(), 8);
        for number in 0..10 {
            let nonce = setup_as(site, &other);
            assert!(!is_over(&site.challenge(&nonce, &format!("person{number}@example.org"))));
        }
        // A client that is over its budget takes nothing from the address.
        for _ in 0..20 {
            assert!(is_over(&site.challenge(&site.setup(), ADA)));
        }
        let nonce = setup_as(site, &other);
        assert!(!is_over(&site.challenge(&nonce, ADA)));
        let pin = site.pin(ADA);
        assert_eq!(site.solve(&nonce, &wrong(&pin)).refusal(), (403, 9758));
        assert_eq!(site.solve(&nonce, &pin).status, 200);
    });
}

/// An answer without what is its own in each validation, and without times.
fn anonymous(reply: &Reply, nonce: &str) -> (u16, BTreeSet<String>, String) {
    let json = serde_json::from_str(&reply.body).unwrap_or(Value::Null);
    // What follows the style of a page.
    let body = reply.body.rsplit("</style>").next().unwrap();
    let mut body = body.replace(nonce, "NONCE");
    if let Some(seconds) = json["retry_after"].as_u64() {
        body = body.replace(&seconds.to_string(), "SECONDS");
    }
    // The reference of a validation is six letters.
    let is_reference = |it: &str| it.len() == 6 && it.bytes().all(|it| it.is_ascii_uppercase());
    let words = body.split_inclusive(|it: char| !it.is_ascii_alphabetic());
    let words = words.filter(|it| !is_reference(it.get(..it.len() - 1).unwrap_or_default()));
    let words: String = words.collect();
    let names = reply.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    (reply.status, names, words)
}

#[test]
fn a_refusal_is_the_same_whoever_had_the_messages() {
    let options = "ADDRESS_MESSAGES = 2\nADDRESS_PERIOD = 3 days\n\
                   [challenger-destination-full]\nDOMAIN = full.example\nMESSAGES = 1\n\
                   PERIOD = 3 days";
    everywhere(options, |site| {
        let other = another_client(site, "https://other.example/");
        for _ in 0..2 {
            assert!(!is_over(&site.challenge(&site.setup(), "a1@some.example")));
            assert!(!is_over(&site.challenge(&setup_as(site, &other), "a2@some.example")));
        }
        assert!(!is_over(&site.challenge(&setup_as(site, &other), "a0@full.example")));
        for headers in [JSON, HTML] {
            let refused = |address: &str| {
                let nonce = site.setup();
                let body = format!("CONTACT_EMAIL={}", escape(address));
                let reply = site.post(&format!("challenge/{nonce}"), &headers, body);
                assert_eq!(reply.status, 429, "{}", reply.body);
                let (status, names, body) = anonymous(&reply, &nonce);
                let body = body.replace(address, "IT").replace("full.example", "some.example");
                (status, names, body)
            };
            let mine = refused("a1@some.example");
            assert_eq!(refused("a2@some.example"), mine);
            // Nor is the rule of a destination told from the budget of an address.
            assert_eq!(refused("a2@full.example"), mine);
            let text = mine.2.to_lowercase();
            for word in ["other.example", "destination", "domain", "address_messages"] {
                assert!(!text.contains(word), "{word} in {text}");
            }
        }
    });
}

#[test]
fn the_log_names_a_budget_and_neither_address_nor_digest() {
    everywhere("ADDRESS_MESSAGES = 1", |site| {
        let nonce = site.setup();
        assert!(!is_over(&site.challenge(&nonce, ADA)));
        for spelling in SPELLINGS {
            assert!(is_over(&site.challenge(&site.setup(), spelling)));
        }
        let is_it =
            |line: &str| line.contains("budget exhausted") && line.contains("budget=address");
        wait_for("the log", || site.log().lines().any(is_it).then_some(()));
        let log = site.log();
        assert_eq!(log.lines().filter(|line| is_it(line)).count(), 1, "once: {log}");
        let address = Address::new([("CONTACT_EMAIL".to_owned(), ADA.to_owned())]).unwrap();
        let Account::Address(digest) = Account::of_address(&address) else { unreachable!() };
        let hex: String = digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let text = Account::of_address(&address).to_text();
        let text = text.strip_prefix("address:").unwrap();
        for secret in [&text[..8], &hex[..8], ADA] {
            assert!(!log.to_lowercase().contains(&secret.to_lowercase()), "{secret} in {log}");
        }
    });
}

/// Budgets and periods as large, and as small, as can be.
pub const EXTREME: &str = "ADDRESS_MESSAGES = 4294967295\nADDRESS_PERIOD = 10000 years\n\
                   SERVICE_MESSAGES = 4294967295\nSERVICE_PERIOD = 584000 years\n\
                   RETRANSMISSION_INTERVAL = 0 s\n\
                   [challenger-destination-one]\nDOMAIN = one.example\nMESSAGES = 1\n\
                   PERIOD = 584000 years\n\
                   [challenger-destination-short]\nDOMAIN = short.example\nMESSAGES = 1\n\
                   PERIOD = 1 s";

pub fn extremes_work(site: &Site) {
    prove(site);
    assert!(!is_over(&site.challenge(&site.setup(), "ada@one.example")));
    let over = site.challenge(&site.setup(), "bob@one.example");
    let seconds: u64 = over.header("Retry-After").unwrap().parse().unwrap();
    assert_eq!(over.json()["retry_after"], seconds);
    assert!(seconds > 583_000 * 365 * 86_400, "{seconds}");
    let page =
        site.post(&format!("challenge/{}", site.setup()), &HTML, "CONTACT_EMAIL=x@one.example");
    assert_eq!(page.status, 429, "{}", page.body);
    // Nothing is collected before its time.
    for _ in 0..2 {
        assert!(site.run("challenger-dbinit", &["--garbagecollect"]).status.success());
    }
    assert!(is_over(&site.challenge(&site.setup(), "bob@one.example")));
    // On PostgreSQL, more may be set aside.
    assert!((2..=16).contains(&spent(site, "service")));
    // Whatever a second brings, nobody is told to wait for none.
    for number in 0..40 {
        let reply = site.challenge(&site.setup(), &format!("p{number}@short.example"));
        if is_over(&reply) {
            assert_eq!(reply.header("Retry-After"), Some("1"), "{}", reply.body);
        }
    }
}

#[test]
fn budgets_of_any_size_work() {
    everywhere(EXTREME, extremes_work);
}

#[test]
fn collecting_garbage_meanwhile_frees_nothing() {
    everywhere("ADDRESS_MESSAGES = 5\nSERVICE_MESSAGES = 100", |site| {
        let over = AtomicUsize::new(0);
        let sent = thread::scope(|scope| {
            scope.spawn(|| {
                while over.load(Ordering::SeqCst) == 0 {
                    assert!(site.run("challenger-dbinit", &["-g"]).status.success());
                }
            });
            let refused = at_once(8, || {
                (0..5).filter(|_| is_over(&site.challenge(&site.setup(), ADA))).count()
            });
            over.store(1, Ordering::SeqCst);
            40 - refused.iter().sum::<usize>()
        });
        assert_eq!((sent, site.messages().len(), spent(site, "service")), (5, 5, 5));
    });
}
