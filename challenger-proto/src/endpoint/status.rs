//! `GET /status/$NONCE`: a client asks how a validation stands, and changes nothing.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::json;

use crate::endpoint::authentication::admit;
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
    secret: Secret<[String; 1]>,
}

impl StatusRequest {
    pub(crate) fn parse(request: &Request, argument: &str) -> Result<Self, Refused> {
        let secret = request.credentials("Bearer").ok_or(Refusal::ClientSecretMissing)?;
        Ok(Self { nonce: parse_nonce(argument)?, secret: Secret::new([secret.to_string()]) })
    }

    /// With accounts, however few, comes the client of the validation.
    pub(crate) fn keys(&self) -> Keys {
        Keys { accounts: Some(Vec::new()), ..keys_of(&self.nonce) }
    }

    pub(crate) fn decide(&self, rows: Rows, context: Context<'_>) -> Result<Decision, Refused> {
        let secret = self.secret.expose();
        let (Some(validation), Some(client)) = (rows.validation, rows.client) else {
            secret.iter().for_each(|it| compare_with_nobody(it));
            return Err(Refusal::ValidationUnknown.into());
        };
        admit(&client, secret, Refusal::ClientSecretWrong, context.now)?;
        let budget = validation.budget(&context.service.limits);
        let in_time = context.now < validation.expires;
        let body = json!({
            "state": state(&validation, in_time, budget.is_exhausted()),
            "expires": validation.expires.to_json(),
            "changes_left": budget.addresses,
            "retransmission_time": budget.next_transmission.to_json(),
            "pin_transmissions_left": budget.transmissions,
            "auth_attempts_left": budget.attempts,
        });
        Ok(Decision::Respond(Response::json(200, body)))
    }
}

/// How far it has come. A proof is as good when it was the last try.
const fn state(validation: &Validation, in_time: bool, is_exhausted: bool) -> &'static str {
    match validation.progress {
        Progress::Redeemed { .. } | Progress::Revoked(_) => "redeemed",
        _ if !in_time => "over",
        Progress::Solved(_) => "proved",
        Progress::Open | Progress::Challenged(_) if is_exhausted => "over",
        Progress::Open => "open",
        Progress::Challenged(_) => "message_sent",
    }
}
