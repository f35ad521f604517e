//! `GET` and `POST /authorize/$NONCE`: a person arrives, with the client's authorization request.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Value, json};

use crate::endpoint::common::{completed, keys_of, live_validation, parse_nonce};
use crate::endpoint::decision::{Context, Decision};
use crate::endpoint::view::address_form;
use crate::http::form::Form;
use crate::http::json::insert;
use crate::http::{Request, Response};
use crate::machine::transitions::AuthorizeOutcome;
use crate::machine::validation::Validation;
use crate::oauth::client::ClientId;
use crate::oauth::grant::AuthorizationRequest;
use crate::oauth::pkce::CodeChallenge;
use crate::refusal::{Refusal, Refused};
use crate::secret::nonce::Nonce;
use crate::service::Service;
use crate::store::{Keys, Rows, Write};

/// An authorization request (RFC 6749 §4.1.1), all of it from the query.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizeRequest {
    nonce: Nonce,
    client: ClientId,
    redirect_uri: Option<String>,
    request: AuthorizationRequest,
}

impl AuthorizeRequest {
    pub(crate) fn parse(request: &Request, argument: &str) -> Result<Self, Refused> {
        let nonce = parse_nonce(argument)?;
        let query = Form::parse(request.query().as_bytes())?;
        if query.require("response_type")? != "code" {
            return Err(Refusal::ParameterMalformed.about("response_type"));
        }
        let client = ClientId::parse(query.require("client_id")?)
            .ok_or_else(|| Refusal::ParameterMalformed.about("client_id"))?;
        let text = |name| query.get(name).map(ToString::to_string);
        let request = AuthorizationRequest {
            state: text("state"),
            scope: text("scope"),
            code_challenge: parse_code_challenge(&query)?,
            names_redirect_uri: query.get("redirect_uri").is_some(),
        };
        Ok(Self { nonce, client, redirect_uri: text("redirect_uri"), request })
    }

    pub(crate) fn keys(&self) -> Keys {
        keys_of(&self.nonce)
    }

    pub(crate) fn decide(&self, rows: Rows, context: Context<'_>) -> Result<Decision, Refused> {
        let validation = live_validation(rows, context.now)?;
        // Another client's nonce is reported as unknown.
        if validation.client != self.client {
            return Err(Refusal::ValidationUnknown.into());
        }
        let registered = validation.redirect_uri.as_str();
        if self.redirect_uri.as_deref().is_some_and(|given| given != registered) {
            return Err(Refusal::RedirectUriForeign.into());
        }
        // The page is about the new request: its links lead back with the new `state`.
        Ok(match validation.authorize(self.request.clone()) {
            AuthorizeOutcome::Changed(changed) => {
                let response = self.respond(changed.row(), context)?;
                Decision::Write(Write::Update(changed.into_row(), Vec::new()), response)
            }
            AuthorizeOutcome::Same(validation) => {
                Decision::Respond(self.respond(&validation, context)?)
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
        address_form(validation, &self.nonce, context, None)
    }
}

/// PKCE's two parameters (RFC 7636 §4.3).
fn parse_code_challenge(query: &Form) -> Result<Option<CodeChallenge>, Refused> {
    let method = query.get("code_challenge_method");
    match query.get("code_challenge") {
        None if method.is_some() => Err(Refusal::ParameterMissing.about("code_challenge")),
        None => Ok(None),
        Some(challenge) => CodeChallenge::parse(challenge, method)
            .map(Some)
            .map_err(|parameter| Refusal::ParameterMalformed.about(parameter)),
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
