//! `GET /info`: a client reads the validated address.

use alloc::vec::Vec;

use serde_json::{Value, json};

use crate::address::{Address, Channel};
use crate::endpoint::decision::{Context, Decision};
use crate::http::json::insert;
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
        let mut body = json!({
            "id": serial.0,
            "sub": grant.subject(),
            "address": grant.address.to_json(),
            "address_type": context.service.address_type.as_str(),
            "address_expiration": grant.valid_until.to_json(),
            "expires": grant.valid_until.to_json(),
        });
        for (name, value) in claims(&grant.address, context.service.address_type.channel()) {
            insert(&mut body, name, value);
        }
        Ok(Decision::Respond(Response::json(200, body)))
    }
}

/// The standard claims about an address (OpenID Connect Core §5.1).
fn claims(address: &Address, channel: Channel) -> Vec<(&'static str, Value)> {
    let value = |field| address.get(field).map(Value::from);
    let (claim, verified, value) = match channel {
        Channel::Email => ("email", "email_verified", value("CONTACT_EMAIL")),
        Channel::Phone => ("phone_number", "phone_number_verified", value("CONTACT_PHONE")),
        Channel::Other | Channel::Post => return Vec::new(),
    };
    // A verified number is in the format of E.164, with the country.
    let is_whole = |it: &Value| it.as_str().is_some_and(|it| it.starts_with('+'));
    let value = value.filter(|it| channel == Channel::Email || is_whole(it));
    let both = |value| Vec::from([(claim, value), (verified, Value::Bool(true))]);
    value.map(both).unwrap_or_default()
}
