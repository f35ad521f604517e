//! The auditor's knowledge of an authorization request, and of how a validation was opened.

use challenger_proto::http::Form;
use challenger_proto::oauth::ClientId;

use super::{S256_CHALLENGE, S256_VERIFIER};

/// The registration of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    pub secret: String,
    pub redirect_uri: String,
    /// Whether browsers may begin by themselves, once there is a budget.
    pub is_open: bool,
}

/// How a validation was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a browser, for an open client.
    Direct,
    Pushed,
    Setup,
}

/// The authorization request that counts.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub state: Option<String>,
    /// Whether there is a PKCE challenge, and its verifier if the auditor knows that.
    pub has_challenge: bool,
    pub verifier: Option<String>,
    pub names_redirect_uri: bool,
}

impl Asked {
    /// Reads a request that was accepted for a client.
    pub(super) fn read(form: &Form, client: ClientId, registered: &Registered) -> Self {
        let client = client.to_string();
        assert_eq!(form.get("client_id"), Some(client.as_str()), "I9: a foreign client");
        assert_eq!(form.get("response_type"), Some("code"), "I9: another response type");
        let uri = form.get("redirect_uri");
        assert!(uri.is_none_or(|it| it == registered.redirect_uri), "I9: a foreign URI");
        let challenge = form.get("code_challenge");
        let verifier = match form.get("code_challenge_method") {
            None | Some("plain") => challenge,
            Some(_) => challenge.filter(|it| *it == S256_CHALLENGE).map(|_| S256_VERIFIER),
        };
        Self {
            state: form.get("state").map(ToString::to_string),
            has_challenge: challenge.is_some(),
            verifier: verifier.map(ToString::to_string),
            names_redirect_uri: uri.is_some(),
        }
    }

    /// Checks what a client presents with a code.
    pub(super) fn presented(&self, form: &Form, registered: &Registered) {
        let uri = form.get("redirect_uri");
        let may_miss = !self.names_redirect_uri;
        assert!(uri.is_some() || may_miss, "I9: the redirect URI of the request is left out");
        assert!(uri.is_none_or(|it| it == registered.redirect_uri), "I9: a foreign URI");
        let verifier = form.get("code_verifier");
        assert_eq!(verifier.is_some(), self.has_challenge, "I9: a verifier without a challenge");
        if self.verifier.is_some() {
            assert_eq!(verifier, self.verifier.as_deref(), "I9: the verifier");
        }
    }
}
