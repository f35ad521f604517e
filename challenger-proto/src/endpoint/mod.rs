//! The endpoints. Each reads its request, names the rows to load, and decides.

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

/// The nonce of a path. A malformed nonce is reported as unknown.
fn parse_nonce(argument: &str) -> Result<Nonce, Refused> {
    Nonce::parse(argument).ok_or_else(|| Refusal::ValidationUnknown.into())
}

fn keys_of(nonce: &Nonce) -> Load {
    Load { validation: Some(nonce.digest()), ..Load::default() }
}

/// The validation that was loaded, if it exists and its time is not over.
fn live_validation(rows: Loaded, now: Timestamp) -> Result<Validation, Refusal> {
    rows.validation.ok_or(Refusal::ValidationUnknown)?.live(now)
}

/// The answer to anything a person does after the right PIN: back to the client with the
/// authorization response (RFC 6749 §4.1.2), until the code has been redeemed and a second visit
/// there would only fail.
fn completed(
    validation: &Validation,
    code: &AuthorizationCode,
    context: Context<'_>,
) -> Result<Response, Refused> {
    let state = validation.authorization.as_ref().and_then(|request| request.state.as_deref());
    let url = validation.redirect_uri.with_code(&code.to_text(), state);
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
