//! Client authentication (RFC 6749 §2.3.1): by HTTP Basic, or in the form.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::http::Request;
use crate::http::form::Form;
use crate::oauth::client::{Client, ClientId, compare_with_nobody};
use crate::refusal::{Refusal, Refused};
use crate::secret::Secret;
use crate::time::Timestamp;

/// Who a client says that it is.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) client: ClientId,
    /// The secret in each spelling that the client may have meant.
    secrets: Secret<Vec<String>>,
}

impl Credentials {
    pub(super) fn parse(request: &Request, form: &Form) -> Result<Self, Refused> {
        let (client, secrets) = match request.credentials("Basic") {
            Some(credentials) => client_from_basic(credentials, form)?,
            None => client_from_form(form)?,
        };
        Ok(Self { client, secrets: Secret::new(secrets) })
    }

    /// Reads them where the standard alone decides: a client that does not authenticate is refused
    /// like one that fails to (RFC 6749 §5.2). At `/token`, the protocol says 400.
    pub(super) fn require(request: &Request, form: &Form) -> Result<Self, Refused> {
        let is_there = |name| form.get(name).is_some();
        let basic = request.credentials("Basic").is_some();
        let in_form = is_there("client_id") && is_there("client_secret");
        if !basic && !in_form {
            return Err(Refusal::ClientSecretMissing.into());
        }
        Self::parse(request, form).map_err(|refused| match refused.detail.as_deref() {
            Some("Authorization") => Refusal::ClientSecretMissing.into(),
            Some(_) | None => refused,
        })
    }

    /// The client, if this is its secret.
    ///
    /// # Errors
    /// [`Refusal::ClientSecretWrong`], [`Refusal::ClientDisabled`], or the refusal for a client
    /// that does not exist.
    pub(super) fn authenticate(
        &self,
        client: Option<Client>,
        unknown: Refusal,
        now: Timestamp,
    ) -> Result<Client, Refused> {
        let secrets = self.secrets.expose();
        let Some(client) = client else {
            secrets.iter().for_each(|secret| compare_with_nobody(secret));
            return Err(unknown.into());
        };
        admit(&client, secrets, Refusal::ClientSecretWrong, now)?;
        Ok(client)
    }
}

/// Admits a client that knows its secret, or the one of before as long as that is good. The secret
/// may have several spellings.
///
/// # Errors
/// `wrong`, or [`Refusal::ClientDisabled`].
pub(super) fn admit(
    client: &Client,
    secrets: &[String],
    wrong: Refusal,
    now: Timestamp,
) -> Result<(), Refusal> {
    // No early end, so that the response time does not reveal how many spellings there are.
    let is_right = |right, secret: &String| client.has_secret(secret, now) | right;
    match secrets.iter().fold(false, is_right) {
        false => Err(wrong),
        true if client.disabled => Err(Refusal::ClientDisabled),
        true => Ok(()),
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
    // Some send it both ways, which RFC 6749 §2.3 forbids them. What is the same has one meaning.
    if form.get("client_secret").is_some_and(|given| !secrets.iter().any(|it| it == given)) {
        return Err(Refusal::ParameterMalformed.about("client_secret"));
    }
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
