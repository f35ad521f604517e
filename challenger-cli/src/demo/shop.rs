//! The demonstration's shop as an OAuth client: a small web site that wants to know an address for
//! certain.
//!
//! It goes the standard way of docs/api.md, in the order in which an integrator would write it:
//! `/par`, send the browser to `/authorize`, take the code from the redirect, `/token`, `/info`.
//! Its pages are in pages.rs.

use challenger_proto::address::AddressType;
use challenger_proto::http::{Form, Request};
use data_encoding::BASE64URL_NOPAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::browser::Browser;
use super::exchange::Exchange;
use super::inbox::written;
use super::sessions::{Session, Sessions};

/// The shop, as it was registered with the service.
pub(super) struct Shop {
    /// The service's URL without a slash at its end, which is its issuer identifier, too.
    pub(super) service: String,
    pub(super) client_id: String,
    pub(super) secret: String,
    pub(super) redirect_uri: String,
    pub(super) sessions: Sessions,
    pub(super) browser: Browser,
}

/// Where a person is sent to prove an address.
pub(super) struct Departure {
    pub(super) url: String,
    /// The cookie by which the shop knows their browser when they come back.
    pub(super) cookie: String,
}

/// A person who is back.
pub(super) struct Arrival {
    pub(super) outcome: Outcome,
    /// What the shop asked the service for this person.
    pub(super) exchanges: Vec<Exchange>,
}

/// What came of it.
pub(super) enum Outcome {
    /// Messages reach the person at this address.
    Confirmed { address: String },
    /// Something is wrong.
    Failed { problem: String },
    /// The person chose to stop.
    Stopped,
    /// The service cannot help right now.
    Unavailable,
    /// This answer was used already, or belongs to another browser, or is no answer of the service.
    Unknown,
}

impl Shop {
    /// Pushes a request to the service, to which the person is sent then.
    ///
    /// # Errors
    /// Why the service did not take it.
    pub(super) fn start(&self) -> Result<Departure, String> {
        let session = Session::new();
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(&session.verifier));
        let pushed = self.call(
            "POST /par",
            &[
                ("response_type", "code"),
                ("redirect_uri", &self.redirect_uri),
                ("state", &session.state),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ],
        )?;
        let request_uri = pushed.text("request_uri")?;
        let request_uri = utf8_percent_encode(request_uri, NON_ALPHANUMERIC);
        let Self { service, client_id, .. } = self;
        let url = format!("{service}/authorize?client_id={client_id}&request_uri={request_uri}");
        let cookie = self.sessions.keep(Session { exchanges: vec![pushed], ..session });
        Ok(Departure { url, cookie })
    }

    /// The person is back, with an answer of the service.
    pub(super) fn finish(&self, request: &Request) -> Arrival {
        let unknown = Arrival { outcome: Outcome::Unknown, exchanges: Vec::new() };
        let Ok(back) = Form::parse(request.query().as_bytes()) else {
            return unknown;
        };
        let is_from_service = back.get("iss") == Some(&self.service);
        let state = back.get("state").filter(|_| is_from_service);
        let Some(session) = state.and_then(|state| self.sessions.take(request, state)) else {
            return unknown;
        };
        let Session { verifier, mut exchanges, .. } = session;
        let outcome = match back.get("error") {
            None => {
                let code = back.get("code").unwrap_or_default();
                match self.redeem(code, &verifier, &mut exchanges) {
                    Ok(address) => Outcome::Confirmed { address },
                    Err(problem) => Outcome::Failed { problem },
                }
            }
            Some("access_denied") => Outcome::Stopped,
            Some("temporarily_unavailable") => Outcome::Unavailable,
            Some(error) => Outcome::Failed { problem: format!("the service answered {error}") },
        };
        Arrival { outcome, exchanges }
    }

    /// Exchanges the code for a token, and the token for the address, which it returns as people
    /// write it.
    fn redeem(
        &self,
        code: &str,
        verifier: &str,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<String, String> {
        let granted = self.call(
            "POST /token",
            &[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", &self.redirect_uri),
                ("code_verifier", verifier),
            ],
        )?;
        let token = granted.text("access_token")?.to_owned();
        exchanges.push(granted);
        let reply = self.browser.get_as(&format!("{}/info", self.service), &token)?;
        let bearer = format!("Bearer {token}");
        let info = Exchange::read("GET /info", &[("Authorization", &bearer)], &reply)?;
        let address = info.answer.get("address").ok_or("the service returned no address")?;
        let address_type = AddressType::new(info.text("address_type")?);
        let address_type = address_type.ok_or("the service returned no type of address")?;
        let address = written(&address_type, |field| address.get(field)?.as_str());
        exchanges.push(info);
        Ok(address)
    }

    /// Calls an endpoint of the service as the client that the shop is.
    fn call(&self, request: &'static str, fields: &[(&str, &str)]) -> Result<Exchange, String> {
        let client = [("client_id", &*self.client_id), ("client_secret", &*self.secret)];
        let fields = [&client, fields].concat();
        let path = request.trim_start_matches("POST ");
        let reply = self.browser.post(&format!("{}{path}", self.service), &fields)?;
        Exchange::read(request, &fields, &reply)
    }
}
