//! `POST /token`: a client exchanges the code for an access token.

use alloc::borrow::ToOwned;
use alloc::string::String;

use serde_json::json;

use crate::endpoint::authentication::Credentials;
use crate::endpoint::common::oauth_form;
use crate::endpoint::decision::{Context, Decision};
use crate::endpoint::response::View;
use crate::http::{Request, Response};
use crate::machine::outcome::RedeemOutcome;
use crate::machine::validation::Validation;
use crate::oauth::grant::{AccessToken, AuthorizationCode};
use crate::oauth::pkce::CodeVerifier;
use crate::refusal::{Refusal, Refused};
use crate::secret::entropy::Entropy;
use crate::store::{Keys, Rows, Write};

/// An access token request (RFC 6749 §4.1.3).
#[derive(Clone, Debug)]
pub(crate) struct TokenRequest {
    credentials: Credentials,
    redirect_uri: Option<String>,
    /// `None` if the code is malformed; the client is authenticated first.
    code: Option<AuthorizationCode>,
    verifier: Option<CodeVerifier>,
}

impl TokenRequest {
    pub(crate) fn parse(request: &Request) -> Result<Self, Refused> {
        let form = oauth_form(request)?;
        if form.require("grant_type")? != "authorization_code" {
            return Err(Refusal::GrantTypeUnsupported.about("grant_type"));
        }
        let credentials = Credentials::parse(request, &form)?;
        let code = AuthorizationCode::parse(form.require("code")?);
        let redirect_uri = form.get("redirect_uri").map(ToOwned::to_owned);
        let malformed = || Refusal::ParameterMalformed.about("code_verifier");
        let verifier = form
            .get("code_verifier")
            .map(|text| CodeVerifier::parse(text).ok_or_else(malformed))
            .transpose()?;
        Ok(Self { credentials, redirect_uri, code, verifier })
    }

    pub(crate) fn keys(&self) -> Keys {
        let validation = self.code.as_ref().map(|code| code.validation);
        Keys { client: Some(self.credentials.client), validation, ..Keys::default() }
    }

    pub(crate) fn decide(
        &self,
        mut rows: Rows,
        entropy: Entropy,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        // RFC 6749 §5.2 demands 401 of a failure of HTTP Basic; otherwise the protocol says 404.
        let basic = context.audience.used_basic();
        let unknown = if basic { Refusal::ClientSecretWrong } else { Refusal::ClientUnknown };
        let client = self.credentials.authenticate(rows.client.take(), unknown, context.now)?;
        let code = self.code.as_ref().ok_or(Refusal::CodeMismatch)?;
        let validation = rows
            .validation
            .ok_or(Refusal::ValidationUnknown)
            .and_then(|validation| validation.live(context.now))
            .map_err(|_| Refusal::ValidationUnknownToCode)?;
        // Another client can neither use nor spend a code (RFC 6749 §10.5).
        if validation.client != client.id {
            return Err(Refusal::CodeMismatch.into());
        }
        self.check_redirect_uri(&validation)?;
        let limits = &context.service.limits;
        let token = AccessToken::draw(entropy);
        let redeemed =
            validation.redeem(code, self.verifier.as_ref(), token.digest(), context.now, limits)?;
        Ok(match redeemed {
            RedeemOutcome::First(changed, grant) => {
                let mut response = Response::json(
                    200,
                    json!({
                        "access_token": token.to_text(),
                        "token_type": "Bearer",
                        "expires_in": limits.token_duration.as_seconds(),
                    }),
                );
                response.set("Pragma", "no-cache");
                Decision::Write(Write::Redeem(changed.into_row(), grant), response)
            }
            RedeemOutcome::Late(changed, token) => {
                let response = context.audience.refuse(
                    context.service,
                    &Refusal::CodeSpent.into(),
                    View::default(),
                );
                Decision::Write(Write::Revoke(changed.into_row(), token), response)
            }
        })
    }

    /// It is the registered one. It may be left out if the authorization request left it out (RFC
    /// 6749 §4.1.3).
    fn check_redirect_uri(&self, validation: &Validation) -> Result<(), Refused> {
        let named = validation.authorization.as_ref().is_none_or(|it| it.names_redirect_uri);
        match self.redirect_uri.as_deref() {
            None if named => Err(Refusal::ParameterMissing.about("redirect_uri")),
            Some(given) if given != validation.redirect_uri.as_str() => {
                Err(Refusal::RedirectUriMismatch.into())
            }
            None | Some(_) => Ok(()),
        }
    }
}
