//! `POST /introspect`: a client asks whether an access token is good (RFC 7662).

use alloc::string::ToString;

use serde_json::json;

use crate::endpoint::authentication::Credentials;
use crate::endpoint::common::oauth_form;
use crate::endpoint::decision::{Context, Decision};
use crate::http::json::insert;
use crate::http::{Request, Response};
use crate::oauth::grant::{AccessToken, Grant};
use crate::refusal::{Refusal, Refused};
use crate::store::{Keys, Rows};

/// An introspection request (RFC 7662 §2.1).
#[derive(Clone, Debug)]
pub(crate) struct IntrospectRequest {
    credentials: Credentials,
    /// `None` if it is malformed, which is as good as unknown.
    token: Option<AccessToken>,
}

impl IntrospectRequest {
    pub(crate) fn parse(request: &Request) -> Result<Self, Refused> {
        let form = oauth_form(request)?;
        let credentials = Credentials::require(request, &form)?;
        Ok(Self { credentials, token: AccessToken::parse(form.require("token")?) })
    }

    pub(crate) fn keys(&self) -> Keys {
        let grant = self.token.as_ref().map(AccessToken::digest);
        Keys { client: Some(self.credentials.client), grant, ..Keys::default() }
    }

    /// Another client's token is not active to this one, which learns nothing about it (§2.2).
    pub(crate) fn decide(&self, mut rows: Rows, context: Context<'_>) -> Result<Decision, Refused> {
        let unknown = Refusal::ClientSecretWrong;
        let client = self.credentials.authenticate(rows.client.take(), unknown, context.now)?;
        let mine = |grant: &Grant| grant.client == client.id && context.now < grant.expires;
        let Some(grant) = rows.grant.map(|(_, grant)| grant).filter(mine) else {
            return Ok(Decision::Respond(Response::json(200, json!({"active": false}))));
        };
        let mut body = json!({
            "active": true,
            "client_id": client.id.to_string(),
            "exp": grant.expires.seconds(),
            "sub": grant.subject(),
            "token_type": "Bearer",
        });
        if let Some(issuer) = &context.service.issuer {
            insert(&mut body, "iss", issuer.as_str());
        }
        Ok(Decision::Respond(Response::json(200, body)))
    }
}
