//! The endpoints: each reads its request, names what to load, and decides.

pub(crate) mod authorize;
pub(crate) mod challenge;
pub(crate) mod config;
pub(crate) mod info;
pub(crate) mod legal;
pub(crate) mod root;
pub(crate) mod setup;
pub(crate) mod solve;
pub(crate) mod token;
mod view;

use alloc::string::String;

use serde_json::json;

use crate::decision::Context;
use crate::grant::AuthorizationCode;
use crate::http::Response;
use crate::nonce::Nonce;
use crate::page::PageName;
use crate::refusal::{Refusal, Refused};
use crate::response::View;
use crate::storage::{Load, Loaded};
use crate::time::Timestamp;
use crate::validation::Validation;

/// The nonce of a path. One that cannot be is as unknown as one that is not.
fn parse_nonce(argument: &str) -> Result<Nonce, Refused> {
    Nonce::parse(argument).ok_or_else(|| Refusal::ValidationUnknown.into())
}

fn keys_of(nonce: &Nonce) -> Load {
    Load { validation: Some(nonce.digest()), ..Load::default() }
}

/// The validation that was rows, if it exists and its time is not over.
fn live_validation(rows: Loaded, now: Timestamp) -> Result<Validation, Refusal> {
    rows.validation.ok_or(Refusal::ValidationUnknown)?.live(now)
}

/// The authorization response (RFC 6749 §4.1.2) of a solved validation.
fn redirect_url(validation: &Validation, nonce: &Nonce) -> Result<String, Refused> {
    let solution = validation.solution().ok_or(Refusal::Internal)?;
    let uri = &validation.redirect_uri;
    let code = AuthorizationCode::derive(nonce, &solution.salt, solution.renewed_at, uri);
    let state = validation.authorization.as_ref().and_then(|request| request.state.as_deref());
    Ok(uri.with_code(&code.to_text(), state))
}

/// The answer to anything a person does after the right PIN: back to the client, until the code has
/// been redeemed and a second visit there would only fail.
fn completed(
    validation: &Validation,
    nonce: &Nonce,
    context: Context<'_>,
) -> Result<Response, Refused> {
    let url = redirect_url(validation, nonce)?;
    if !context.audience.html {
        return Ok(Response::json(200, json!({"type": "completed", "redirect_url": url})));
    }
    if validation.is_redeemed() {
        let data = [("client", validation.redirect_uri.host().into())].into_iter().collect();
        let view = View { data, client: None };
        return context.audience.page(context.service, 200, PageName::AlreadyDone, view);
    }
    Ok(Response::found(url))
}
