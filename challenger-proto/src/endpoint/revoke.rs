//! `POST /revoke`: a client gives an access token up (RFC 7009).

use crate::endpoint::authentication::Credentials;
use crate::endpoint::common::oauth_form;
use crate::endpoint::decision::Decision;
use crate::http::{Body, Request, Response};
use crate::oauth::grant::AccessToken;
use crate::refusal::{Refusal, Refused};
use crate::store::{Keys, Rows, Write};
use crate::time::Timestamp;

/// A revocation request (RFC 7009 §2.1).
#[derive(Clone, Debug)]
pub(crate) struct RevokeRequest {
    credentials: Credentials,
    /// `None` if it is malformed, which is as good as unknown.
    token: Option<AccessToken>,
}

impl RevokeRequest {
    pub(crate) fn parse(request: &Request) -> Result<Self, Refused> {
        let form = oauth_form(request)?;
        let credentials = Credentials::require(request, &form)?;
        Ok(Self { credentials, token: AccessToken::parse(form.require("token")?) })
    }

    pub(crate) fn keys(&self) -> Keys {
        let grant = self.token.as_ref().map(AccessToken::digest);
        Keys { client: Some(self.credentials.client), grant, ..Keys::default() }
    }

    pub(crate) fn decide(&self, mut rows: Rows, now: Timestamp) -> Result<Decision, Refused> {
        let unknown = Refusal::ClientSecretWrong;
        let client = self.credentials.authenticate(rows.client.take(), unknown, now)?;
        let response = Response::new(200, Body::Empty);
        match rows.grant {
            // The purpose is reached (§2.2).
            None => Ok(Decision::Respond(response)),
            Some((_, grant)) if grant.client != client.id => Err(Refusal::TokenForeign.into()),
            Some((_, grant)) => Ok(Decision::Write(Write::Discard(grant.token), response)),
        }
    }
}
