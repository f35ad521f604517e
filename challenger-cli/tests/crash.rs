//! The server killed again and again in the middle of its work: every answer that a client got
//! stays true.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use challenger_testkit::{Cluster, Peer, Place, code_of, escape, pin_in, request, wait_for, wrong};
use serde_json::Value;
use site::{REDIRECT_URI, SECRET, Site};

const PEOPLE: usize = 4;
const KILLS: u64 = 6;

/// Files each message under the letters and digits of its address.
const FILE: &str = r#"#!/bin/sh
set -eu
name=$(dirname "$0")/outbox/$(printf '%s' "$1" | tr -dc 'a-z0-9')
cat > "$name.part"
mv "$name.part" "$name"
"#;

/// How far a person got, as far as the server said so.
#[derive(Default)]
struct Story {
    email: String,
    nonce: Option<String>,
    challenged: bool,
    code: Option<String>,
    /// Whether `/token` was asked; the answer may have been lost.
    asked: bool,
    token: Option<String>,
}

/// A client that takes a lost connection for an answer, too.
struct Caller {
    place: Place,
    outbox: PathBuf,
}

impl Caller {
    fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Option<(u16, Value)> {
        let mut peer = Peer::new(self.place.connect().ok()?);
        peer.send(request("POST", path, headers, body.as_bytes()));
        let reply = peer.try_reply_to("POST").ok()?;
        Some((reply.status, serde_json::from_str(&reply.body).ok()?))
    }

    /// Goes on until the end of the process, or until the server says nothing.
    fn prove(&self, story: &mut Story) -> Option<()> {
        let bearer = format!("Bearer {SECRET}");
        let (status, answer) = self.post("setup/1", &[("Authorization", &bearer)], "")?;
        assert_eq!(status, 200, "{answer}");
        let nonce = answer["nonce"].as_str()?.to_string();
        story.nonce = Some(nonce.clone());
        let body = format!("CONTACT_EMAIL={}", story.email.replace('@', "%40"));
        let (status, answer) = self.post(&format!("challenge/{nonce}"), &[], &body)?;
        assert_eq!(status, 200, "{answer}");
        story.challenged = true;
        let pin = pin_in(&std::fs::read_to_string(self.outbox.join(key(&story.email))).unwrap())?;
        let json = [("Accept", "application/json")];
        let body = format!("pin={pin}");
        let (status, answer) = self.post(&format!("solve/{nonce}"), &json, &body)?;
        assert_eq!(status, 200, "{answer}");
        let code = code_of(answer["redirect_url"].as_str()?);
        story.code = Some(code.clone());
        story.asked = true;
        let (status, answer) = self.post("token", &[], &token_request(&code))?;
        assert_eq!(status, 200, "{answer}");
        story.token = Some(answer["access_token"].as_str()?.to_string());
        Some(())
    }
}

fn key(email: &str) -> String {
    email.chars().filter(|it| it.is_ascii_lowercase() || it.is_ascii_digit()).collect()
}

fn token_request(code: &str) -> String {
    format!(
        "grant_type=authorization_code&client_id=1&code={code}&client_secret={}&redirect_uri={}",
        escape(SECRET),
        escape(REDIRECT_URI)
    )
}

/// People prove addresses, and the server is killed at random moments.
fn under_fire(mut site: Site) {
    site.set_helper(FILE);
    site.start();
    let outbox: &Path = &site.directory.path().join("outbox");
    let (place, next) = (site.place.clone(), AtomicUsize::new(0));
    let (stories, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let told = || stories.lock().unwrap().len();
    thread::scope(|scope| {
        for _ in 0..PEOPLE {
            scope.spawn(|| {
                let caller = Caller { place: place.clone(), outbox: outbox.to_path_buf() };
                while !over.load(Ordering::SeqCst) {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let email = format!("p{number}@example.com");
                    let mut story = Story { email, ..Story::default() };
                    if caller.prove(&mut story).is_none() {
                        // The server is down; it comes back.
                        thread::sleep(Duration::from_millis(20));
                    }
                    stories.lock().unwrap().push(story);
                }
            });
        }
        for kill in 0..KILLS {
            let before = told();
            wait_for("people to get on", || (told() > before + 20).then_some(()));
            thread::sleep(Duration::from_millis(7 * kill));
            site.signal("KILL");
            assert_eq!(site.wait(), None);
            site.start();
        }
        over.store(true, Ordering::SeqCst);
    });
    let stories = stories.into_inner().unwrap();
    assert!(stories.iter().filter(|story| story.token.is_some()).count() > 20);
    let cut = stories.iter().filter(|story| story.nonce.is_some() && story.token.is_none());
    assert!(cut.count() > 0, "no kill hit anybody");
    for story in &stories {
        verify(&site, story);
    }
    site.stop();
}

/// Holds the server to its answers.
fn verify(site: &Site, story: &Story) {
    let Some(nonce) = &story.nonce else { return };
    let query = "response_type=code&client_id=1";
    let status = site.get(&format!("authorize/{nonce}?{query}"), &[]);
    assert_eq!(status.status, 200, "an acknowledged nonce works");
    let status = status.json();
    if story.challenged {
        assert_eq!(status["last_address"]["CONTACT_EMAIL"], story.email.as_str());
        assert!(status["changes_left"].as_u64() <= Some(2), "no counter went up: {status}");
        assert!(status["pin_transmissions_left"].as_u64() <= Some(2), "{status}");
    }
    let Some(code) = &story.code else { return };
    assert_eq!(status["solved"], true, "a solved validation stays solved");
    let any = site.solve(nonce, &wrong("00000000"));
    assert_eq!(any.json()["type"], "completed");
    assert_eq!(&code_of(any.json()["redirect_url"].as_str().unwrap()), code, "one code");
    assert!(story.asked);
    if let Some(token) = &story.token {
        // Before the code is used again, which takes the token back.
        let info = site.info(token).json();
        assert_eq!(info["address"]["CONTACT_EMAIL"], story.email.as_str(), "{info}");
        assert_eq!(site.token(code).refusal(), (401, 9753), "no code is redeemed twice");
    } else {
        let again = site.token(code);
        assert!(again.status == 200 || again.refusal() == (401, 9753), "{}", again.body);
        assert_eq!(site.token(code).refusal(), (401, 9753), "no code is redeemed twice");
    }
}

#[test]
fn whatever_was_said_on_sqlite_is_so() {
    under_fire(Site::new(""));
}

#[test]
fn whatever_was_said_on_postgresql_is_so() {
    let cluster = Cluster::durable();
    under_fire(Site::on_postgres("", &cluster.uri(&cluster.create_database())));
}
