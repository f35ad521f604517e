//! What people were told while something broke, and whether it is still so.

use std::path::PathBuf;

use challenger_testkit::{Peer, Place, code_of, escape, pin_in, request, wrong};
use serde_json::Value;

use crate::site::{REDIRECT_URI, SECRET, Site};

/// Files each message under the letters and digits of its address.
pub(crate) const FILE: &str = r#"#!/bin/sh
set -eu
name=$(dirname "$0")/outbox/$(printf '%s' "$1" | tr -dc 'a-z0-9')
cat > "$name.part"
mv "$name.part" "$name"
"#;

/// How far a person got, as far as the server said so.
#[derive(Default)]
pub(crate) struct Story {
    pub(crate) email: String,
    pub(crate) nonce: Option<String>,
    pub(crate) challenged: bool,
    pub(crate) code: Option<String>,
    /// Whether `/token` was asked; the answer may have been lost.
    pub(crate) asked: bool,
    pub(crate) token: Option<String>,
}

/// A client that takes a lost connection for an answer, too.
pub(crate) struct Caller {
    pub(crate) place: Place,
    pub(crate) outbox: PathBuf,
    /// Whether the database may fail.
    pub(crate) may_fail: bool,
}

impl Caller {
    fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Option<(u16, Value)> {
        let mut peer = Peer::new(self.place.connect().ok()?);
        peer.send(request("POST", path, headers, body.as_bytes()));
        let reply = peer.try_reply_to("POST").ok()?;
        if self.may_fail && reply.status == 500 {
            assert!(matches!(reply.refusal(), (500, 52 | 53)), "{}", reply.body);
            return None;
        }
        Some((reply.status, serde_json::from_str(&reply.body).ok()?))
    }

    /// Gets a nonce, unless the server says nothing.
    pub(crate) fn begin(&self, story: &mut Story) -> Option<()> {
        let bearer = format!("Bearer {SECRET}");
        let (status, answer) = self.post("setup/1", &[("Authorization", &bearer)], "")?;
        assert_eq!(status, 200, "{answer}");
        story.nonce = Some(answer["nonce"].as_str()?.to_string());
        Some(())
    }

    /// Goes on until the end of the process, or until the server says nothing.
    pub(crate) fn prove(&self, story: &mut Story) -> Option<()> {
        self.begin(story)?;
        let nonce = story.nonce.clone()?;
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

/// Holds the server to its answers.
pub(crate) fn verify(site: &Site, story: &Story) {
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
