//! `GET /status/$NONCE`: a client asks how a validation stands, and changes nothing.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::json;

use crate::endpoint::common::{keys_of, parse_nonce};
use crate::endpoint::decision::{Context, Decision};
use crate::http::{Request, Response};
use crate::machine::validation::{Progress, Validation};
use crate::oauth::client::compare_with_nobody;
use crate::refusal::{Refusal, Refused};
use crate::secret::Secret;
use crate::secret::nonce::Nonce;
use crate::store::{Keys, Rows};

/// A client's question.
#[derive(Clone, Debug)]
pub(crate) struct StatusRequest {
    nonce: Nonce,
    secret: Secret<String>,
}

impl StatusRequest {
    pub(crate) fn parse(request: &Request, argument: &str) -> Result<Self, Refused> {
        let secret = request.credentials("Bearer").ok_or(Refusal::ClientSecretMissing)?;
        Ok(Self { nonce: parse_nonce(argument)?, secret: Secret::new(secret.to_string()) })
    }

    /// With accounts, however few, comes the client of the validation.
    pub(crate) fn keys(&self) -> Keys {
        Keys { accounts: Some(Vec::new()), ..keys_of(&self.nonce) }
    }

    pub(crate) fn decide(&self, rows: Rows, context: Context<'_>) -> Result<Decision, Refused> {
        let secret = self.secret.expose();
        let (Some(validation), Some(client)) = (rows.validation, rows.client) else {
            compare_with_nobody(secret);
            return Err(Refusal::ValidationUnknown.into());
        };
        if !client.secret.matches(secret) {
            return Err(Refusal::ClientSecretWrong.into());
        }
        let budget = validation.budget(&context.service.limits);
        let is_spent = budget.is_exhausted() && !validation.is_solved();
        let is_over = is_spent || context.now >= validation.expires;
        let body = json!({
            "state": state(&validation, is_over),
            "expires": validation.expires.to_json(),
            "changes_left": budget.addresses,
            "retransmission_time": budget.next_transmission.to_json(),
            "pin_transmissions_left": budget.transmissions,
            "auth_attempts_left": budget.attempts,
        });
        Ok(Decision::Respond(Response::json(200, body)))
    }
}

/// How far it has come.
const fn state(validation: &Validation, is_over: bool) -> &'static str {
    match validation.progress {
        Progress::Redeemed { .. } | Progress::Revoked(_) => "redeemed",
        _ if is_over => "over",
        Progress::Open => "open",
        Progress::Challenged(_) => "message_sent",
        Progress::Solved(_) => "proved",
    }
}
