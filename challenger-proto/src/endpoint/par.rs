//! `POST /par`: a client pushes its authorization request (RFC 9126), and opens a validation.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use serde_json::json;

use crate::endpoint::authentication::Credentials;
use crate::endpoint::authorization;
use crate::endpoint::common::oauth_form;
use crate::endpoint::decision::{Context, Decision};
use crate::endpoint::opening::{keys_to_open, open};
use crate::endpoint::proposal::Proposal;
use crate::http::form::Form;
use crate::http::{Request, Response};
use crate::oauth::grant::AuthorizationRequest;
use crate::refusal::{Refusal, Refused};
use crate::secret::entropy::Entropy;
use crate::secret::nonce::Nonce;
use crate::service::Service;
use crate::store::{Keys, Rows, Write};
use crate::time::{Span, Timestamp};

/// What a `request_uri` begins with (RFC 9126 §2.2). The nonce follows.
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// How long a `request_uri` is good, unless its validation ends before: the client redirects the
/// browser at once.
const LIFETIME: Span = Span::seconds(300);

/// A pushed authorization request.
#[derive(Clone, Debug)]
pub(crate) struct ParRequest {
    credentials: Credentials,
    redirect_uri: Option<String>,
    request: AuthorizationRequest,
    proposal: Proposal,
}

impl ParRequest {
    pub(crate) fn parse(request: &Request, service: &Service) -> Result<Self, Refused> {
        let form = oauth_form(request)?;
        let credentials = Credentials::require(request, &form)?;
        // A request about a request (§2.1), and one in a JWT (RFC 9101), which this does not read.
        if let Some(name) = ["request", "request_uri"].iter().find(|it| form.get(it).is_some()) {
            return Err(Refusal::ParameterMalformed.about(*name));
        }
        let request = authorization::request(&form)?;
        let redirect_uri = form.get("redirect_uri").map(ToOwned::to_owned);
        let proposal = proposal(&form, service)?;
        Ok(Self { credentials, redirect_uri, request, proposal })
    }

    pub(crate) fn keys(&self, now: Timestamp, service: &Service) -> Keys {
        keys_to_open(self.credentials.client, now, service)
    }

    pub(crate) fn decide(
        &self,
        mut rows: Rows,
        entropy: Entropy,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        let unknown = Refusal::ClientSecretWrong;
        let client = self.credentials.authenticate(rows.client.take(), unknown, context.now)?;
        let registered = client.redirect_uri.as_str();
        if self.redirect_uri.as_deref().is_some_and(|given| given != registered) {
            return Err(Refusal::RedirectUriForeign.about("redirect_uri"));
        }
        let (nonce, validation) = open(&client, rows.count, &self.proposal, entropy, context)?;
        let until = validation.expires.min(context.now.plus(LIFETIME));
        let validation = validation.with_request(self.request.clone(), until);
        let expires_in = until.since(context.now).as_seconds();
        let body = json!({"request_uri": request_uri(&nonce), "expires_in": expires_in});
        let response = Response::json(201, body);
        Ok(Decision::Write(Write::Open(validation, client.secret.digest), response))
    }
}

/// The address that the client proposes, whole or as a hint.
fn proposal(form: &Form, service: &Service) -> Result<Proposal, Refused> {
    match (form.get("address"), form.get("login_hint")) {
        (Some(_), Some(_)) => Err(Refusal::ParameterMalformed.about("login_hint")),
        (Some(object), None) => Proposal::parse(object.as_bytes()).map_err(|refused| {
            // It is not the body that is wrong.
            let is_json = refused.refusal != Refusal::JsonInvalid;
            if is_json { refused } else { Refusal::ParameterMalformed.about("address") }
        }),
        (None, Some(hint)) => Ok(Proposal::of_hint(hint, service)),
        (None, None) => Ok(Proposal::default()),
    }
}

fn request_uri(nonce: &Nonce) -> String {
    format!("{PREFIX}{}", nonce.to_text())
}

/// The nonce in a `request_uri`.
pub(super) fn parse_request_uri(text: &str) -> Option<Nonce> {
    Nonce::parse(text.strip_prefix(PREFIX)?)
}
