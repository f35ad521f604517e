//! `POST /token`: a client exchanges the code for an access token.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use data_encoding::BASE64;
use serde_json::json;
use zeroize::Zeroizing;

use crate::endpoint::decision::{Context, Decision};
use crate::endpoint::response::View;
use crate::http::form::Form;
use crate::http::{Request, Response};
use crate::machine::transitions::RedeemOutcome;
use crate::oauth::client::{Client, ClientId, compare_with_nobody};
use crate::oauth::grant::{AccessToken, AuthorizationCode};
use crate::oauth::pkce::CodeVerifier;
use crate::refusal::{Refusal, Refused};
use crate::secret::Secret;
use crate::secret::entropy::Entropy;
use crate::store::{Keys, Rows, Write};

/// An access token request (RFC 6749 §4.1.3).
#[derive(Clone, Debug)]
pub(crate) struct TokenRequest {
    client: ClientId,
    /// The secret in each spelling that the client may have meant.
    secrets: Secret<Vec<String>>,
    redirect_uri: String,
    /// `None` if the code is malformed; the client is authenticated first.
    code: Option<AuthorizationCode>,
    verifier: Option<CodeVerifier>,
}

impl TokenRequest {
    pub(crate) fn parse(request: &Request) -> Result<Self, Refused> {
        let form = Form::parse(&request.body)?;
        let (client, secrets) = match request.credentials("Basic") {
            Some(credentials) => client_from_basic(credentials, &form)?,
            None => client_from_form(&form)?,
        };
        let grant_type = form.require("grant_type")?;
        let code = form.require("code")?;
        let redirect_uri = form.require("redirect_uri")?.to_owned();
        if grant_type != "authorization_code" {
            return Err(Refusal::GrantTypeUnsupported.about("grant_type"));
        }
        let malformed = || Refusal::ParameterMalformed.about("code_verifier");
        let verifier = form
            .get("code_verifier")
            .map(|text| CodeVerifier::parse(text).ok_or_else(malformed))
            .transpose()?;
        let code = AuthorizationCode::parse(code);
        Ok(Self { client, secrets: Secret::new(secrets), redirect_uri, code, verifier })
    }

    pub(crate) fn keys(&self) -> Keys {
        let validation = self.code.as_ref().map(|code| code.validation);
        Keys { client: Some(self.client), validation, ..Keys::default() }
    }

    pub(crate) fn decide(
        &self,
        mut rows: Rows,
        entropy: Entropy,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        let client = self.authenticate(rows.client.take(), context)?;
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
        if validation.redirect_uri.as_str() != self.redirect_uri {
            return Err(Refusal::RedirectUriMismatch.into());
        }
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

    /// Client authentication (RFC 6749 §2.3.1). A failure of HTTP Basic is always answered 401, as
    /// §5.2 demands; otherwise an unknown client is answered 404.
    fn authenticate(
        &self,
        client: Option<Client>,
        context: Context<'_>,
    ) -> Result<Client, Refused> {
        let Some(client) = client else {
            for secret in self.secrets.expose() {
                compare_with_nobody(secret);
            }
            let basic = context.audience.used_basic();
            let refusal = if basic { Refusal::ClientSecretWrong } else { Refusal::ClientUnknown };
            return Err(refusal.into());
        };
        // No early end, so that the response time does not reveal how many spellings there are.
        let right = self
            .secrets
            .expose()
            .iter()
            .fold(false, |right, secret| client.secret.matches(secret) | right);
        if right { Ok(client) } else { Err(Refusal::ClientSecretWrong.into()) }
    }
}

fn client_from_form(form: &Form) -> Result<(ClientId, Vec<String>), Refused> {
    let id = form.require("client_id")?;
    let secret = form.require("client_secret")?.to_owned();
    Ok((parse_client_id(id)?, Vec::from([secret])))
}

/// Reads `id:secret` in base64 (RFC 7617). Both should have been form-urlencoded before (RFC 6749
/// §2.3.1), but many libraries do not.
fn client_from_basic(credentials: &str, form: &Form) -> Result<(ClientId, Vec<String>), Refused> {
    let malformed = || Refusal::ParameterMalformed.about("Authorization");
    if form.get("client_secret").is_some() {
        return Err(Refusal::ParameterMalformed.about("client_secret"));
    }
    let bytes = BASE64.decode(credentials.trim().as_bytes()).map_err(|_| malformed())?;
    let text = Zeroizing::new(String::from_utf8(bytes).map_err(|_| malformed())?);
    let (id, secret) = text.split_once(':').ok_or_else(malformed)?;
    let decoded_id = urldecode(id).ok_or_else(malformed)?;
    let client = parse_client_id(&decoded_id)?;
    if form.get("client_id").is_some_and(|given| ClientId::parse(given) != Some(client)) {
        return Err(Refusal::ParameterMalformed.about("client_id"));
    }
    let mut secrets = Vec::from([secret.to_owned()]);
    secrets.extend(urldecode(secret).filter(|decoded| decoded != secret));
    Ok((client, secrets))
}

fn parse_client_id(text: &str) -> Result<ClientId, Refused> {
    ClientId::parse(text).ok_or_else(|| Refusal::ParameterMalformed.about("client_id"))
}

/// Decodes one form-urlencoded value; `None` if it is malformed.
fn urldecode(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        return None;
    }
    let mut pair = String::from("x=");
    pair.push_str(text);
    Form::parse(pair.as_bytes()).ok()?.pairs().next().map(|(_, value)| value.to_owned())
}
