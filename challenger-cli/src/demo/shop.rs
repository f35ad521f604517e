//! The demonstration's shop: a small web site that wants to know an address for certain.
//!
//! It goes the standard way of docs/api.md, in the order in which an integrator would write it:
//! `/par`, send the browser to `/authorize`, take the code from the redirect, `/token`, `/info`.

use challenger_proto::address::AddressType;
use challenger_proto::http::{Form, Method, Request};
use challenger_server::front::Answer;
use challenger_server::pages::escape_html;
use data_encoding::BASE64URL_NOPAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::browser::{Browser, Reply};
use super::inbox::written;
use super::sessions::{Session, Sessions};
use super::site::{page, redirect};

/// The shop, as it was registered with the service.
pub(super) struct Shop {
    /// The service's URL without a slash at its end, which is its issuer identifier, too.
    pub(super) service: String,
    pub(super) client_id: String,
    pub(super) secret: String,
    pub(super) redirect_uri: String,
    /// The shop's own URL, with a slash at its end.
    pub(super) url: String,
    pub(super) sessions: Sessions,
    pub(super) browser: Browser,
}

impl Shop {
    pub(super) fn respond(&self, request: &Request) -> Answer {
        let answer = match (request.method, request.path()) {
            (Method::Get | Method::Head, "/") => Ok(self.welcome()),
            (Method::Post, "/start") => self.start(),
            (Method::Get, "/callback") => self.finish(request),
            _ => Ok(page(404, "Nothing here", "<p><a href=\"/\">To the shop</a></p>")),
        };
        answer.unwrap_or_else(|problem| {
            let problem = format!("<p>{}</p>", escape_html(&problem));
            self.offer(502, "That did not work", &problem, "Begin again")
        })
    }

    fn welcome(&self) -> Answer {
        let text = "<p>This shop wants to be sure that its bills reach you.</p>\
                    <p>Messages are not sent anywhere. They are in the \
                    <a href=\"/inbox\" target=\"_blank\">inbox</a>.</p>";
        self.offer(200, "Demo shop", text, "Prove my address")
    }

    /// Pushes a request to the service, and sends the person there.
    fn start(&self) -> Result<Answer, String> {
        let session = Session::new();
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(&session.verifier));
        let pushed = self.call(
            "par",
            &[
                ("response_type", "code"),
                ("redirect_uri", &self.redirect_uri),
                ("state", &session.state),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ],
        )?;
        let request_uri = text(&pushed, "request_uri")?;
        let request_uri = utf8_percent_encode(&request_uri, NON_ALPHANUMERIC);
        let Self { service, client_id, .. } = self;
        let mut answer = redirect(format!(
            "{service}/authorize?client_id={client_id}&request_uri={request_uri}"
        ));
        answer.headers.push(("Set-Cookie", self.sessions.keep(session).into()));
        Ok(answer)
    }

    /// The person is back, with an answer of the service.
    fn finish(&self, request: &Request) -> Result<Answer, String> {
        let back = Form::parse(request.query().as_bytes()).map_err(|_| "a broken callback")?;
        let is_from_service = back.get("iss") == Some(&self.service);
        let state = back.get("state").filter(|_| is_from_service);
        let Some(session) = state.and_then(|state| self.sessions.take(request, state)) else {
            let text = "<p>This visit is over, or did not begin in this browser.</p>";
            return Ok(self.offer(400, "Nothing to finish here", text, "Begin again"));
        };
        match back.get("error") {
            None => self.redeem(back.get("code").unwrap_or_default(), &session.verifier),
            Some("access_denied") => {
                let text = "<p>That is fine. The shop did not get an address.</p>";
                Ok(self.offer(200, "You chose to stop", text, "Begin again"))
            }
            Some("temporarily_unavailable") => {
                let text = "<p>The service cannot help right now. Please try again later.</p>";
                Ok(self.offer(503, "Not now", text, "Try again"))
            }
            Some(error) => Err(format!("the service answered {error}")),
        }
    }

    /// Exchanges the code for a token, and the token for the address.
    fn redeem(&self, code: &str, verifier: &str) -> Result<Answer, String> {
        let token = self.call(
            "token",
            &[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", &self.redirect_uri),
                ("code_verifier", verifier),
            ],
        )?;
        let token = text(&token, "access_token")?;
        let info = json(&self.browser.get_as(&format!("{}/info", self.service), &token)?)?;
        let address = info.get("address").ok_or("the service returned no address")?;
        let address_type = AddressType::new(&text(&info, "address_type")?);
        let address_type = address_type.ok_or("the service returned no type of address")?;
        let address = written(&address_type, |field| address.get(field)?.as_str());
        let thanks = format!(
            "<p>You can receive messages at this address:</p>\
             <p class=\"address\"><strong id=\"address\">{}</strong></p>\
             <p>The shop read this at <code>/info</code>:</p><pre>{}</pre>",
            escape_html(&address),
            escape_html(&serde_json::to_string_pretty(&info).unwrap_or_default()),
        );
        Ok(self.offer(200, "Thank you", &thanks, "Once more"))
    }

    /// Calls an endpoint of the service as the client that the shop is.
    fn call(&self, path: &str, fields: &[(&str, &str)]) -> Result<Value, String> {
        let client = [("client_id", &*self.client_id), ("client_secret", &*self.secret)];
        let fields = [&client, fields].concat();
        json(&self.browser.post(&format!("{}/{path}", self.service), &fields)?)
    }

    /// A page that ends with a button to begin. It leads to the host of the redirect URI, because
    /// the cookie has to be there when the person comes back: `localhost` is another one.
    fn offer(&self, status: u16, title: &str, text: &str, button: &str) -> Answer {
        let url = &self.url;
        let form = format!(
            "{text}\n<form method=\"post\" action=\"{url}start\"><button>{button}</button></form>"
        );
        page(status, title, &form)
    }
}

fn json(reply: &Reply) -> Result<Value, String> {
    let value: Value = serde_json::from_str(&reply.body)
        .map_err(|_| format!("the service answered {} without JSON", reply.status))?;
    if matches!(reply.status, 200 | 201) {
        return Ok(value);
    }
    let hint = value.get("hint").and_then(Value::as_str).unwrap_or("no reason given");
    Err(format!("the service answered {}: {hint}", reply.status))
}

fn text(value: &Value, name: &str) -> Result<String, String> {
    let text = value.get(name).and_then(Value::as_str);
    text.map(str::to_string).ok_or_else(|| format!("the service's answer has no {name}"))
}
