//! `GET` and `POST /authorize/$NONCE`: a person arrives at a validation that is open.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Value, json};

use crate::endpoint::authorization;
use crate::endpoint::common::{completed, keys_of, live_validation, parse_nonce};
use crate::endpoint::decision::{Context, Decision};
use crate::endpoint::view::{address_form, code_form, is_challenged, is_stuck, view};
use crate::http::form::Form;
use crate::http::json::insert;
use crate::http::{Request, Response};
use crate::machine::outcome::AuthorizeOutcome;
use crate::machine::validation::Validation;
use crate::oauth::client::ClientId;
use crate::oauth::grant::AuthorizationRequest;
use crate::refusal::{Refusal, Refused};
use crate::secret::nonce::Nonce;
use crate::service::Service;
use crate::store::{Keys, Rows, Write};

/// A person who arrives, perhaps with an authorization request (RFC 6749 §4.1.1) in the query.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizeRequest {
    nonce: Nonce,
    /// Without any of its parameters, this only looks, and changes nothing.
    asked: Option<Asked>,
}

#[derive(Clone, Debug)]
struct Asked {
    client: ClientId,
    redirect_uri: Option<String>,
    request: AuthorizationRequest,
}

impl AuthorizeRequest {
    pub(crate) fn parse(request: &Request, argument: &str) -> Result<Self, Refused> {
        let nonce = parse_nonce(argument)?;
        let query = Form::parse(request.query().as_bytes())?;
        if !authorization::is_there(&query) {
            return Ok(Self { nonce, asked: None });
        }
        let request = authorization::request(&query)?;
        let client = authorization::client_id(&query)?;
        let redirect_uri = query.get("redirect_uri").map(ToString::to_string);
        Ok(Self { nonce, asked: Some(Asked { client, redirect_uri, request }) })
    }

    pub(crate) fn keys(&self) -> Keys {
        keys_of(&self.nonce)
    }

    /// Whether the row may change.
    pub(crate) const fn asks(&self) -> bool {
        self.asked.is_some()
    }

    pub(crate) fn decide(&self, rows: Rows, context: Context<'_>) -> Result<Decision, Refused> {
        let validation = live_validation(rows, context.now)?;
        let Some(Asked { client, redirect_uri, request }) = &self.asked else {
            return Ok(Decision::Respond(self.respond(&validation, context)?));
        };
        // Another client's nonce is reported as unknown.
        if validation.client != *client {
            return Err(Refusal::ValidationUnknown.into());
        }
        let registered = validation.redirect_uri.as_str();
        if redirect_uri.as_deref().is_some_and(|given| given != registered) {
            return Err(Refusal::RedirectUriForeign.into());
        }
        // The page is about the new request: its links lead back with the new `state`.
        Ok(match validation.authorize(request.clone()) {
            AuthorizeOutcome::Changed(changed) => {
                let response = self.respond(changed.row(), context)?;
                Decision::Write(Write::Update(changed.into_row(), Vec::new()), response)
            }
            AuthorizeOutcome::Same(validation) => {
                Decision::Respond(self.respond(&validation, context)?)
            }
            AuthorizeOutcome::Fixed(validation) => {
                let view = view(&validation, &self.nonce, context, []);
                let refused = Refusal::RequestFixed.into();
                Decision::Respond(context.audience.refuse(context.service, &refused, view))
            }
        })
    }

    fn respond(&self, validation: &Validation, context: Context<'_>) -> Result<Response, Refused> {
        if !context.audience.html {
            return Ok(Response::json(200, status(validation, context.service)));
        }
        if let Some(code) = validation.authorization_code(&self.nonce) {
            return completed(validation, &code, context);
        }
        let left = validation.budget(&context.service.limits);
        if is_challenged(validation) && left.addresses == 0 && !is_stuck(validation, context) {
            // The address cannot change any more, so its form would not help.
            return code_form(validation, &self.nonce, false, context);
        }
        address_form(validation, &self.nonce, context, None)
    }
}

/// The wire's `ChallengeStatus`.
fn status(validation: &Validation, service: &Service) -> Value {
    let budget = validation.budget(&service.limits);
    let mut status = json!({
        "fix_address": validation.is_address_fixed(),
        "solved": validation.is_solved(),
        "changes_left": budget.addresses,
        "retransmission_time": budget.next_transmission.to_json(),
        "pin_transmissions_left": budget.transmissions,
        "auth_attempts_left": budget.attempts,
    });
    if let Some(address) = validation.address() {
        insert(&mut status, "last_address", address.to_json());
    }
    status
}
