//! `GET /info`: a client reads the validated address.

use alloc::string::ToString;

use serde_json::json;

use crate::endpoint::decision::{Context, Decision};
use crate::http::{Request, Response};
use crate::oauth::grant::AccessToken;
use crate::refusal::{Refusal, Refused};
use crate::store::{Keys, Rows};

/// A request for what a token opens (RFC 6750 §2.1).
#[derive(Clone, Debug)]
pub(crate) struct InfoRequest {
    token: AccessToken,
}

impl InfoRequest {
    pub(crate) fn parse(request: &Request) -> Result<Self, Refused> {
        if request.header("Authorization").is_none() {
            return Err(Refusal::BearerMissing.into());
        }
        let token = request.credentials("Bearer").and_then(|it| AccessToken::parse(it.trim()));
        Ok(Self { token: token.ok_or(Refusal::BearerMalformed)? })
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys { grant: Some(self.token.digest()), ..Keys::default() }
    }

    pub(crate) fn decide(&self, rows: Rows, context: Context<'_>) -> Result<Decision, Refused> {
        let live = rows.grant.filter(|(_, grant)| context.now < grant.expires);
        let (serial, grant) = live.ok_or(Refusal::GrantUnknown)?;
        Ok(Decision::Respond(Response::json(
            200,
            json!({
                "id": serial.0,
                "sub": serial.0.to_string(),
                "address": grant.address.to_json(),
                "address_type": context.service.address_type.as_str(),
                "expires": grant.valid_until.to_json(),
            }),
        )))
    }
}
