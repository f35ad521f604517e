//! The parameters of an authorization request (RFC 6749 §4.1.1), whichever way they come.

use alloc::string::{String, ToString};

use crate::http::TARGET_MAX;
use crate::http::form::Form;
use crate::oauth::client::ClientId;
use crate::oauth::grant::AuthorizationRequest;
use crate::oauth::pkce::CodeChallenge;
use crate::refusal::{Refusal, Refused};

/// Their names.
const PARAMETERS: [&str; 7] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

/// Whether there is any of them.
pub(super) fn is_there(form: &Form) -> bool {
    PARAMETERS.iter().any(|name| form.get(name).is_some())
}

/// The client that asks.
pub(super) fn client_id(form: &Form) -> Result<ClientId, Refused> {
    ClientId::parse(form.require("client_id")?)
        .ok_or_else(|| Refusal::ParameterMalformed.about("client_id"))
}

/// The part that is remembered.
pub(super) fn request(form: &Form) -> Result<AuthorizationRequest, Refused> {
    if form.require("response_type")? != "code" {
        return Err(Refusal::ResponseTypeUnsupported.about("response_type"));
    }
    let text = |name| form.get(name).map(ToString::to_string);
    let (state, scope) = (text("state"), text("scope"));
    // A body has room for a state that no browser could bring along, and whose redirect no proxy
    // would pass on.
    let length: usize = [&state, &scope].into_iter().flatten().map(String::len).sum();
    if length > TARGET_MAX {
        return Err(Refusal::ParameterMalformed.about("state"));
    }
    Ok(AuthorizationRequest {
        state,
        scope,
        code_challenge: code_challenge(form)?,
        names_redirect_uri: form.get("redirect_uri").is_some(),
    })
}

/// PKCE's two parameters (RFC 7636 §4.3).
fn code_challenge(form: &Form) -> Result<Option<CodeChallenge>, Refused> {
    let method = form.get("code_challenge_method");
    match form.get("code_challenge") {
        None if method.is_some() => Err(Refusal::ParameterMissing.about("code_challenge")),
        None => Ok(None),
        Some(challenge) => CodeChallenge::parse(challenge, method)
            .map(Some)
            .map_err(|parameter| Refusal::ParameterMalformed.about(parameter)),
    }
}
