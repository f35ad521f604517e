//! The eight digits: guessing them, taking them elsewhere, and having others flooded with them.

use std::fs;
use std::sync::Barrier;
use std::thread;

use challenger_testkit::{Peer, at_once, code_of, escape, pin_in, request, wait_for, wrong};

use crate::harness::{authorize, everywhere, prove, under};
use crate::site::{DELIVER, Site};

const ADA: &str = "ada@example.com";
const JSON: [(&str, &str); 1] = [("Accept", "application/json")];

/// Guesses wrong as long as guesses are judged, and returns how often.
fn guess(site: &Site, nonce: &str, pin: &str) -> usize {
    let judged = || site.solve(nonce, &wrong(pin)).json()["exhausted"] == false;
    (0..100).take_while(|_| judged()).count()
}

#[test]
fn guesses_end_with_the_budget() {
    everywhere("RETRANSMISSION_INTERVAL = 0 s", |site| {
        let nonce = site.setup();
        let mut guesses = 0;
        for address in 0..3 {
            let email = format!("ada{address}@example.com");
            for message in 0..3 {
                let sent = site.challenge(&nonce, &email);
                assert_eq!(sent.json()["transmitted"], true, "{address} {message}");
                guesses += guess(site, &nonce, &site.pin(&email));
            }
            let more = site.challenge(&nonce, &email);
            assert_eq!(more.refusal(), (429, 9757), "three messages to one address");
        }
        // The last guess of all is judged, and answered with a status of its own.
        assert_eq!((guesses, site.messages().len()), (26, 9));
        let last = site.pin("ada2@example.com");
        assert_eq!(site.solve(&nonce, &last).refusal(), (429, 9757), "the right one is too late");
        assert_eq!(site.challenge(&nonce, "bob@example.com").refusal(), (429, 9757));
        let status = site.get(&authorize(&nonce), &[]).json();
        for left in ["changes_left", "pin_transmissions_left", "auth_attempts_left"] {
            assert_eq!(status[left], 0, "{status}");
        }
        assert_eq!((&status["solved"], &status["fix_address"]), (&false.into(), &true.into()));
        prove(site);
    });
}

#[test]
fn guesses_on_one_validation_cost_no_other_any() {
    everywhere("", |site| {
        let (mallorys, adas) = (site.setup(), site.setup());
        assert_eq!(site.challenge(&mallorys, "mallory@example.com").status, 200);
        assert_eq!(site.challenge(&adas, ADA).status, 200);
        let pin = site.pin(ADA);
        // A code is good for the validation that it was sent for, and for no other.
        assert_eq!(site.solve(&mallorys, &pin).status, 403);
        guess(site, &mallorys, &site.pin("mallory@example.com"));
        assert_eq!(site.solve(&mallorys, &pin).json()["exhausted"], true);
        // Nor does a crowd of guesses keep Ada from her proof.
        assert_eq!(site.solve(&adas, &pin).status, 200);
        // The same address gets another code in another validation.
        let again = site.setup();
        assert_eq!(site.challenge(&again, ADA).status, 200);
        let pins: Vec<String> =
            site.messages().iter().filter_map(|message| pin_in(message)).collect();
        let others: Vec<&String> = pins.iter().filter(|other| **other != pin).collect();
        assert_eq!((pins.len(), others.len()), (3, 2));
    });
}

#[test]
fn a_code_ends_with_its_address() {
    everywhere("ADDRESS_CHANGES = 5", |site| {
        let nonce = site.setup();
        assert_eq!(site.challenge(&nonce, ADA).status, 200);
        let first = site.pin(ADA);
        assert_eq!(site.challenge(&nonce, "eve@example.com").status, 200);
        // Somebody who can read Eve's mail proves Eve's address with her code only.
        assert_eq!(site.solve(&nonce, &first).status, 403);
        assert_eq!(site.solve(&nonce, &site.pin("eve@example.com")).status, 200);
        // A right code after the end is not a second proof, but the same redirect.
        let code = |pin: &str| {
            let reply = site.solve(&nonce, pin).json();
            code_of(reply["redirect_url"].as_str().unwrap())
        };
        assert_eq!(code(&first), code(&site.pin("eve@example.com")));
    });
}

#[test]
fn what_is_no_code_costs_no_guess() {
    let long = "1".repeat(60_000);
    let odd = [
        "",
        "1",
        "1234567",
        "123456789",
        "1234567a",
        "0x123456",
        "1e7",
        "+1234567",
        "-12345678x",
        "12345678.0",
        "1234.5678",
        "12345678;",
        "12345678'--",
        "%31%32",
        "null",
        "true",
        "[]",
        "12345678,12345678",
        "1234567\u{b2}",
        "\u{2160}2345678",
        "%0A",
        long.as_str(),
    ];
    everywhere("", |site| {
        let nonce = site.setup();
        assert_eq!(site.challenge(&nonce, ADA).status, 200);
        for pin in odd {
            let body = format!("pin={pin}");
            let reply = site.post(&format!("solve/{nonce}"), &JSON, body);
            assert!(matches!(reply.refusal(), (400, 25 | 26)), "{pin:.40}: {}", reply.body);
        }
        for name in ["pin[]", "PIN", "pin.0", " pin"] {
            let body = format!("{name}={}", site.pin(ADA));
            let reply = site.post(&format!("solve/{nonce}"), &JSON, body);
            assert_eq!(reply.refusal(), (400, 25), "{name}");
        }
        let status = site.get(&authorize(&nonce), &[]).json();
        assert_eq!(status["auth_attempts_left"], 3);
        // Digits of other scripts that people type are digits.
        let wide: String = site
            .pin(ADA)
            .chars()
            .map(|it| char::from_u32(0xff10 + it.to_digit(10).unwrap()).unwrap())
            .collect();
        assert_eq!(site.solve(&nonce, &wide).status, 200);
    });
}

#[test]
fn a_form_that_lies_about_the_budget_learns_nothing() {
    // Without a pause between messages: a page that counts its seconds down changes by itself.
    everywhere("RETRANSMISSION_INTERVAL = 0 s", |site| {
        let nonce = site.setup();
        assert_eq!(site.challenge(&nonce, ADA).status, 200);
        let pin = site.pin(ADA);
        for seen in ["0.0.0", "9.9.9", "2.2.4", "3.3.3", "2.2.", "2.2.3.", " 2.2.3", "-1", "x"] {
            for accept in [("Accept", "text/html"), JSON[0]] {
                let try_pin = |pin: &str| {
                    let body = format!("pin={pin}&budget_seen={}", escape(seen));
                    let reply = site.post(&format!("solve/{nonce}"), &[accept], body);
                    (reply.status, reply.body)
                };
                let answer = try_pin(&pin);
                assert_eq!(answer, try_pin(&wrong(&pin)), "{seen}");
                assert_eq!(answer.0, 403, "{seen}");
            }
        }
        let status = site.get(&authorize(&nonce), &[]).json();
        assert_eq!((&status["solved"], &status["auth_attempts_left"]), (&false.into(), &3.into()));
        let body = format!("pin={pin}&budget_seen=2.2.3");
        assert_eq!(site.post(&format!("solve/{nonce}"), &JSON, body).status, 200);
    });
}

#[test]
fn a_code_that_races_a_change_of_its_address_proves_its_own() {
    everywhere("", |site| {
        for round in 0..20 {
            let nonce = site.setup();
            let (mine, hers) =
                (format!("mine{round}@example.com"), format!("hers{round}@example.com"));
            assert_eq!(site.challenge(&nonce, &mine).status, 200);
            let pin = site.pin(&mine);
            let barrier = Barrier::new(2);
            let solved = thread::scope(|scope| {
                let change = scope.spawn(|| {
                    barrier.wait();
                    site.challenge(&nonce, &hers)
                });
                barrier.wait();
                let solved = site.solve(&nonce, &pin);
                assert_eq!(change.join().unwrap().status, 200);
                solved
            });
            if solved.status != 200 {
                assert_eq!(solved.refusal(), (403, 9758), "it is the code of an old address");
                continue;
            }
            let code = code_of(solved.json()["redirect_url"].as_str().unwrap());
            let token = site.token(&code).json()["access_token"].as_str().unwrap().to_owned();
            assert_eq!(site.info(&token).json()["address"]["CONTACT_EMAIL"], mine);
        }
    });
}

#[test]
fn nobody_is_flooded_with_messages() {
    everywhere("", |site| {
        let nonce = site.setup();
        let asked = at_once(32, || site.challenge(&nonce, ADA).json()["transmitted"] == true);
        let sent = asked.into_iter().filter(|it| *it).count();
        assert_eq!((sent, site.messages().len()), (1, 1), "one, and then a minute's pause");
        // Other spellings of the same form, another order, a proposal: it is the same address.
        for body in [
            "CONTACT_EMAIL=%61da%40example.com",
            "CONTACT_EMAIL=+ada@example.com+",
            "CONTACT_EMAIL=ada@example.com&read_only=true",
            "CONTACT_EMAIL=ada%40example.com%0D%0A",
        ] {
            let reply = site.post(&format!("challenge/{nonce}"), &[], body);
            assert_eq!(reply.json()["transmitted"], false, "{body}: {}", reply.body);
        }
        assert_eq!(site.messages().len(), 1);
    });
}

#[test]
fn a_mailbox_gets_one_message_a_minute_whatever_is_in_between() {
    everywhere("ADDRESS_CHANGES = 9", |site| {
        let nonce = site.setup();
        let transmitted = |address: &str| {
            let reply = site.challenge(&nonce, address);
            assert_eq!(reply.status, 200, "{address}: {}", reply.body);
            reply.json()["transmitted"] == true
        };
        assert!(transmitted(ADA));
        let first = site.pin(ADA);
        for spelling in ["Ada@example.com", "ADA@example.com", "ada%2B1@example.com"] {
            assert!(!transmitted(spelling), "{spelling}");
            // Nothing was sent to this spelling, so there is nothing to guess.
            assert_eq!(site.solve(&nonce, &first).json()["exhausted"], true);
        }
        assert!(transmitted("eve@example.com"));
        assert!(!transmitted(ADA));
        assert!(!transmitted("eve@example.com"));
        assert_eq!(site.messages().len(), 2);
        assert!(!transmitted(ADA));
        assert_eq!(site.solve(&nonce, &first).status, 200, "the first message is still good");
    });
}

#[test]
fn a_crowd_on_one_validation_is_in_nobodys_way() {
    everywhere("PIN_ATTEMPTS = 5", |site| {
        let nonce = site.setup();
        assert_eq!(site.challenge(&nonce, ADA).status, 200);
        let pin = wrong(&site.pin(ADA));
        under(site, || {
            let request =
                request("POST", &format!("solve/{nonce}"), &JSON, format!("pin={pin}").as_bytes());
            let mut crowd: Vec<Peer> = (0..200).map(|_| site.connect()).collect();
            assert!(crowd.iter_mut().all(|peer| peer.send(&request)));
            let replies = crowd.iter_mut().map(|peer| peer.reply().unwrap());
            // Nobody is asked to try again: after five writes nothing is written any more.
            let judged = replies.map(|reply| match reply.status {
                403 => reply.json()["exhausted"] == false,
                _ => panic!("{:?}", reply.refusal()),
            });
            assert_eq!(judged.filter(|judged| *judged).count(), 5);
        });
    });
}

#[test]
fn who_holds_all_helpers_costs_others_a_moment() {
    everywhere("HELPERS_MAX = 2\nHELPERS_WAIT = 200 ms", |site| {
        let slow = "set -eu\nhere=$(dirname \"$0\")\n\
                    case \"$1\" in *slow*) echo >>\"$here/begun\"\n\
                    while [ -e \"$here/begun\" ] && [ ! -e \"$here/go\" ]; do sleep 0.02; done\n\
                    esac\n";
        site.set_helper(&DELIVER.replace("set -eu\n", slow));
        let folder = site.directory.path();
        thread::scope(|scope| {
            for number in 0..2 {
                let nonce = site.setup();
                scope.spawn(move || site.challenge(&nonce, &format!("slow{number}@example.com")));
            }
            let begun = || fs::read_to_string(folder.join("begun")).is_ok_and(|it| it.len() == 2);
            wait_for("the helpers to begin", || begun().then_some(()));
            let nonce = site.setup();
            let busy = site.challenge(&nonce, ADA);
            assert_eq!(busy.refusal(), (503, 9752));
            assert!(busy.header("Retry-After").is_some());
            let status = site.get(&authorize(&nonce), &[]).json();
            assert_eq!(
                (&status["changes_left"], &status["pin_transmissions_left"]),
                (&3.into(), &3.into())
            );
            fs::write(folder.join("go"), "").unwrap();
        });
        prove(site);
    });
}

#[test]
fn a_code_is_told_to_the_helper_by_standard_input_only() {
    everywhere("BASE_URL = https://challenger.example/", |site| {
        let telling = "set -eu\n{ env; tr '\\0' '\\n' </proc/$$/cmdline; ls -l /proc/$$/fd; pwd; } \
                       >\"$(dirname \"$0\")/told\"\n";
        site.set_helper(&DELIVER.replace("set -eu\n", telling));
        let (nonce, _) = site.solved(ADA);
        let pin = site.pin(ADA);
        let told = fs::read_to_string(site.directory.path().join("told")).unwrap();
        assert!(told.contains(ADA) && told.contains("CHALLENGER_SUBJECT"), "{told}");
        for secret in [&pin, &format!("{}-{}", &pin[..4], &pin[4..]), &nonce] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
        // Nor is it in the answers that people and clients get before they know it.
        let message = site.message(ADA).unwrap();
        assert!(!message.contains(&nonce), "{message}");
    });
}
