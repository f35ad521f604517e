//! What several endpoints do: find the validation of a nonce, and lead back to the client.

use alloc::string::String;

use serde_json::json;

use crate::endpoint::decision::Context;
use crate::endpoint::response::View;
use crate::http::form::Form;
use crate::http::page::{PageName, Variables};
use crate::http::{Request, Response};
use crate::machine::validation::Validation;
use crate::oauth::grant::AuthorizationCode;
use crate::oauth::redirect::Outcome;
use crate::refusal::{Refusal, Refused};
use crate::secret::nonce::Nonce;
use crate::service::Service;
use crate::store::{Keys, Rows};
use crate::time::Timestamp;

/// The nonce of a path. A malformed nonce is reported as unknown.
pub(super) fn parse_nonce(argument: &str) -> Result<Nonce, Refused> {
    Nonce::parse(argument).ok_or_else(|| Refusal::ValidationUnknown.into())
}

pub(super) fn keys_of(nonce: &Nonce) -> Keys {
    Keys { validation: Some(nonce.digest()), ..Keys::default() }
}

/// The validation that was loaded, if it exists and its time is not over.
pub(super) fn live_validation(rows: Rows, now: Timestamp) -> Result<Validation, Refusal> {
    rows.validation.ok_or(Refusal::ValidationUnknown)?.live(now)
}

/// The form in the body of a request from a client. Some send JSON or multipart instead.
pub(super) fn oauth_form(request: &Request) -> Result<Form, Refused> {
    let body = request.body.trim_ascii_start();
    if body.starts_with(b"{") || body.starts_with(b"--") {
        return Err(Refusal::BodyNotForm.into());
    }
    Form::parse(&request.body)
}

/// The authorization response that leads back to the client of a validation.
pub(super) fn back_to_client(
    validation: &Validation,
    outcome: Outcome<'_>,
    service: &Service,
) -> String {
    let state = validation.authorization.as_ref().and_then(|request| request.state.as_deref());
    validation.redirect_uri.respond(outcome, state, service.issuer.as_deref())
}

/// The answer to anything a person does after the right PIN: back to the client with the
/// authorization response (RFC 6749 §4.1.2), until the code has been redeemed and a second visit
/// there would only fail.
pub(super) fn completed(
    validation: &Validation,
    code: &AuthorizationCode,
    context: Context<'_>,
) -> Result<Response, Refused> {
    let url = back_to_client(validation, Outcome::Code(&code.to_text()), context.service);
    if !context.audience.html {
        return Ok(Response::json(200, json!({"type": "completed", "redirect_url": url})));
    }
    if validation.is_redeemed() {
        let mut data: Variables =
            [("client", validation.shown_client().into())].into_iter().collect();
        if let Some(url) = validation.redirect_uri.origin() {
            data.set("home_url", url);
        }
        let view = View { data, client: None };
        return context.audience.page(context.service, 200, PageName::AlreadyDone, view);
    }
    Ok(Response::found(url))
}
